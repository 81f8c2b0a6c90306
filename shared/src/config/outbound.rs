//! What may be reached at addresses that callers name.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::reader::Reader;
use super::shape::{Key, Names};
use super::{Outbound, keys};

pub(super) fn outbound(reader: &mut Reader) -> Outbound {
    let ca_file = reader.plain(&keys::OUTBOUND_CA);
    if let Some(Err(error)) = ca_file.as_ref().map(std::fs::File::open) {
        let file = ca_file.as_deref().unwrap_or_default();
        reader.fault(&keys::OUTBOUND_CA.path, format_args!("{file} cannot be opened: {error}"));
    }
    Outbound {
        allow_http: reader.flag(&keys::OUTBOUND_HTTP),
        allowed_networks: networks(reader, &keys::OUTBOUND_ALLOWED),
        refused_networks: networks(reader, &keys::OUTBOUND_REFUSED),
        ca_file: ca_file.map(Into::into),
    }
}

impl Outbound {
    /// The same with every network open that is not refused, and `http://`: for addresses that the operator has chosen
    /// and trusts.
    #[must_use]
    pub fn opened(&self) -> Self {
        let everything = vec![IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
        Self { allow_http: true, allowed_networks: everything, ..self.clone() }
    }
}

fn networks(reader: &mut Reader, key: &Key<Names>) -> Vec<IpNet> {
    let names = reader.names(key);
    reader.parsed(&key.path, names, |text| network(text).ok_or("is not a network, such as 10.20.0.0/16"))
}

/// `address/bits`, or one address. Bits of the address beyond those are a slip that would open something else than
/// what was meant, so they are refused.
fn network(text: &str) -> Option<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.into());
    }
    text.parse().ok().filter(|network: &IpNet| *network == network.trunc())
}
