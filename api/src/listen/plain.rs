//! Plain HTTP over TCP.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

use super::Peer;
use super::accept::Listener;

/// The listener without TLS.
pub(crate) struct Plain(pub(crate) TcpListener);

impl Listener for Plain {
    type Raw = (TcpStream, SocketAddr);
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<Self::Raw> {
        self.0.accept().await
    }

    async fn open(&self, (stream, address): Self::Raw) -> Option<(TcpStream, Peer)> {
        without_delay(&stream);
        Some((stream, Peer::at(address, false)))
    }
}

/// Without this the small answers of a keep-alive connection wait for the other side's delayed ACK.
pub(super) fn without_delay(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
}
