//! Where the api listens, and the rules between those keys.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use super::reader::Reader;
use super::{ApiTls, UnixSocket, keys};

/// The address for plain HTTP. None means that a fault is in the reader's list.
pub(super) fn plain(reader: &mut Reader) -> Option<SocketAddr> {
    let is_allowed = reader.flag(&keys::API_PLAIN);
    let address = reader.address(&keys::API_LISTEN)?;
    // A v4 address in the clothes of a v6 one is judged as what it is.
    if is_allowed || address.ip().to_canonical().is_loopback() {
        return Some(address);
    }
    reader.fault(
        &keys::API_LISTEN.path,
        format_args!(
            "{address} is reachable from other machines, and passwords would travel in clear: listen on {} for a proxy \
             on this machine that speaks TLS, or set {}, or set {} = true to have it so",
            SocketAddr::new(loopback(address.ip()), address.port()),
            keys::API_TLS.path,
            keys::API_PLAIN.path,
        ),
    );
    None
}

fn loopback(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
    }
}

/// Both files belong to the address; that they are stated without it is no fault, so that one variable switches TLS
/// off.
pub(super) fn tls(reader: &mut Reader) -> Option<ApiTls> {
    let listen = reader.address(&keys::API_TLS);
    let mut file = |key| {
        let file = reader.plain(key);
        if listen.is_some() && !reader.has_section(&key.path) {
            reader.fault(&key.path, format_args!("is missing while {} is set", keys::API_TLS.path));
        }
        file
    };
    let (certificate_file, key_file) = (file(&keys::API_TLS_CERTIFICATE), file(&keys::API_TLS_KEY));
    Some(ApiTls { listen: listen?, certificate_file: certificate_file?.into(), key_file: key_file?.into() })
}

pub(super) fn unix_socket(reader: &mut Reader) -> Option<UnixSocket> {
    let mode = reader.text(&keys::API_UNIX_MODE);
    let digits = (1..=4).contains(&mode.len()) && mode.bytes().all(|b| b.is_ascii_digit());
    let mode = u32::from_str_radix(&mode, 8).ok().filter(|mode| digits && *mode <= 0o777);
    if mode.is_none() {
        reader.fault(
            &keys::API_UNIX_MODE.path,
            "must be up to four octal digits, such as 0660, and at most 0777",
        );
    }
    let path = reader.plain(&keys::API_UNIX)?;
    // Relative to what would depend on who starts the process.
    if !Path::new(&path).is_absolute() {
        reader.fault(&keys::API_UNIX.path, format_args!("`{}` is not an absolute path", path.escape_debug()));
    }
    Some(UnixSocket { path: path.into(), mode: mode? })
}
