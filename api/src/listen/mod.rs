//! The ways a connection reaches the API: plain HTTP, TLS, a Unix-domain socket.
//!
//! Owns what is known of a connection, taken from the kernel and from the handshake alone, and how long one may stay.
//! Never believes a header about where somebody comes from, and never lets one connection wait for another's
//! handshake.
//!
//! * `accept`: the loop of one listener, and the limit on open connections.
//! * `connection`: one connection from its first byte to its last.
//! * `plain`, `tls`, `unix`: the listeners; `certificate`: the files behind `tls`; `users`: names behind `unix`.
//!
//! Pure parts are tested beside the code, the whole by the suite `listeners` of the crate `rolecall-tests`.

mod accept;
mod certificate;
mod connection;
mod plain;
mod tls;
mod unix;
mod users;

use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpListener;

pub(crate) use accept::Acceptor;
pub use certificate::Certificate;
pub(crate) use plain::Plain;
pub(crate) use tls::Tls;
pub use unix::Socket;

/// Everything the API listens on, bound and checked.
#[derive(Debug)]
pub struct Listeners {
    /// Plain HTTP.
    pub plain: TcpListener,
    /// TLS, and the certificate that is shown there.
    pub tls: Option<(TcpListener, Certificate)>,
    /// The Unix-domain socket.
    pub unix: Option<Socket>,
}

/// What is known of a connection. Every request carries it, as [`ConnectInfo`](axum::extract::ConnectInfo).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The other side of a TCP connection: a caller, or the last proxy before us. A v4 address of a v6 socket is
    /// shown as what it is.
    pub(crate) address: Option<IpAddr>,
    /// The other side of the Unix-domain socket.
    pub(crate) unix: Option<UnixPeer>,
    /// Whether nobody between us and the other side of this connection can read along. A Unix-domain socket is no
    /// network, and not encrypted.
    pub(crate) encrypted: bool,
}

impl Peer {
    fn at(address: SocketAddr, encrypted: bool) -> Self {
        Self { address: Some(address.ip().to_canonical()), unix: None, encrypted }
    }
}

/// A process on this machine, by the kernel's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnixPeer {
    /// The user it ran as when it connected.
    pub(crate) uid: u32,
    /// The name of that user's account, if there is one and it could be looked up.
    pub(crate) name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_v4_address_is_shown_as_one() {
        let peer = |address: &str| Peer::at(address.parse().unwrap(), false).address.unwrap().to_string();
        assert_eq!(peer("[::ffff:192.0.2.1]:7"), "192.0.2.1");
        assert_eq!(peer("192.0.2.1:7"), "192.0.2.1");
        assert_eq!(peer("[2001:db8::1]:7"), "2001:db8::1");
    }
}
