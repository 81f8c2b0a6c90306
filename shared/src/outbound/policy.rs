//! Which URLs and addresses may be reached. Pure: names are not looked up here.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use super::ranges::{Range, range_of, translated};
use crate::config;

/// The longest URL.
pub const MAX_URL_BYTES: usize = 2_048;

/// Ports of other protocols, which an HTTP request could be mistaken for a request of: those that browsers refuse
/// (the Fetch standard, "port blocking").
const OTHER_PROTOCOLS: &[u16] = &[
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103,
    104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514,
    515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723,
    2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// Why something may not be reached. The text is for the caller: it names no address that a name led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a URL with a host.
    #[error("it is not an absolute URL with a host")]
    Form,
    /// Over [`MAX_URL_BYTES`].
    #[error("it is longer than {MAX_URL_BYTES} bytes")]
    Length,
    /// Neither https nor, if that is allowed, http.
    #[error("it must begin with https:// (http:// only if the operator sets outbound.allow_http)")]
    Scheme,
    /// `user:password@`.
    #[error("it must hold no user and no password: they would stand in logs")]
    Credentials,
    /// The port of another protocol.
    #[error("port {0} belongs to another protocol")]
    Port(u16),
    /// Not a public address.
    #[error("its address is {0}; only the operator can open that network (outbound.allowed_networks)")]
    Address(Range),
    /// One of the operator's refused networks.
    #[error("its network is one that the operator refuses (outbound.refused_networks)")]
    Network,
    /// A target's host, the broker, Redis or the control database.
    #[error(
        "it leads to a target or a server of Rolecall's own (outbound.allowed_networks opens its network)"
    )]
    Protected,
}

impl Refusal {
    /// A word for machines that does not change.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Form | Self::Length | Self::Scheme | Self::Credentials | Self::Port(_) => "url_refused",
            Self::Address(_) | Self::Network | Self::Protected => "address_refused",
        }
    }
}

/// What an address that may be reached is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The operator has listed its network, so it may be anything.
    Listed,
    /// Public, so it may still be one of the servers that are not to be reached.
    Public,
}

/// The operator's rules.
#[derive(Debug, Clone)]
pub struct Policy {
    allow_http: bool,
    allowed: Vec<IpNet>,
    refused: Vec<IpNet>,
}

impl Policy {
    /// From the settings.
    pub fn new(settings: &config::Outbound) -> Self {
        Self {
            allow_http: settings.allow_http,
            allowed: settings.allowed_networks.clone(),
            refused: settings.refused_networks.clone(),
        }
    }

    /// Reads a URL that a caller names, and checks it as [`check_url`](Self::check_url) does.
    pub fn parse_url(&self, text: &str) -> Result<Url, Refusal> {
        // A URL can grow by being read (spaces and the like become `%20`), so it is measured again below.
        if text.len() > MAX_URL_BYTES {
            return Err(Refusal::Length);
        }
        let url = Url::parse(text).map_err(|_| Refusal::Form)?;
        self.check_url(&url)?;
        Ok(url)
    }

    /// Everything that can be said without looking up a name. `Url` has read every spelling of an address (decimal,
    /// octal, hexadecimal, fewer parts, other digits) as the address it is (URL standard, "host parsing").
    pub fn check_url(&self, url: &Url) -> Result<(), Refusal> {
        if url.as_str().len() > MAX_URL_BYTES {
            return Err(Refusal::Length);
        }
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            _ => return Err(Refusal::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Credentials);
        }
        let port = url.port_or_known_default().ok_or(Refusal::Form)?;
        if OTHER_PROTOCOLS.contains(&port) {
            return Err(Refusal::Port(port));
        }
        match url.host() {
            Some(Host::Domain(_)) => Ok(()),
            Some(Host::Ipv4(address)) => self.judge(address.into()).map(drop),
            Some(Host::Ipv6(address)) => self.judge(address.into()).map(drop),
            None => Err(Refusal::Form),
        }
    }

    /// Whether an address may be reached, as far as addresses alone say.
    ///
    /// A network that is listed is open, but for one case: an IPv6 prefix whose addresses stand for IPv4 ones opens
    /// those that may be reached themselves, so that a network behind NAT64 can list `64:ff9b::/96`.
    pub fn judge(&self, address: IpAddr) -> Result<Standing, Refusal> {
        let address = address.to_canonical();
        if self.refused.iter().any(|network| network.contains(&address)) {
            return Err(Refusal::Network);
        }
        let is_listed = self.allowed.iter().any(|network| network.contains(&address));
        let inner = match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => translated(address),
        };
        match (range_of(address), inner) {
            (_, Some(inner)) if is_listed => self.judge(inner.into()),
            _ if is_listed => Ok(Standing::Listed),
            (Some(range), _) => Err(Refusal::Address(range)),
            (None, _) => Ok(Standing::Public),
        }
    }
}
