//! Addresses that are not public: the special-purpose registries of IANA (RFC 6890) and what has been added to them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Range {
    /// "This network", `::`.
    Unspecified,
    /// This machine.
    Loopback,
    /// Private networks (RFC 1918), unique and site-local addresses.
    Private,
    /// Link-local; the metadata services of clouds are there.
    LinkLocal,
    /// Shared by customers of a provider (RFC 6598).
    Shared,
    /// Multicast and broadcast.
    Multicast,
    /// Examples in texts.
    Documentation,
    /// Tests of network devices.
    Benchmarking,
    /// A cloud's own services under a public address.
    Cloud,
    /// Not given out for general use.
    Reserved,
    /// An IPv6 address that stands for an IPv4 one (6to4, NAT64, Teredo, ISATAP, IPv4-compatible and -translated).
    Translated,
}

impl Range {
    /// In a few words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Shared => "shared by a provider's customers",
            Self::Multicast => "multicast",
            Self::Documentation => "for documentation",
            Self::Benchmarking => "for benchmarks",
            Self::Cloud => "a cloud's own service",
            Self::Reserved => "reserved",
            Self::Translated => "a translated IPv4 address",
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// First address, bits, why. The first match counts.
const V4: &[(Ipv4Addr, u8, Range)] = &[
    (Ipv4Addr::UNSPECIFIED, 8, Range::Unspecified),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Range::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Range::Shared),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Range::Loopback),
    // Azure's host: name server, health probe and agent of every machine there.
    (Ipv4Addr::new(168, 63, 129, 16), 32, Range::Cloud),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Range::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Range::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Range::Reserved),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Range::Documentation),
    (Ipv4Addr::new(192, 31, 196, 0), 24, Range::Reserved),
    (Ipv4Addr::new(192, 52, 193, 0), 24, Range::Reserved),
    // Relays of 6to4 (RFC 7526).
    (Ipv4Addr::new(192, 88, 99, 0), 24, Range::Reserved),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Range::Private),
    (Ipv4Addr::new(192, 175, 48, 0), 24, Range::Reserved),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Range::Benchmarking),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Range::Documentation),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Range::Documentation),
    (Ipv4Addr::new(224, 0, 0, 0), 4, Range::Multicast),
    (Ipv4Addr::BROADCAST, 32, Range::Multicast),
    (Ipv4Addr::new(240, 0, 0, 0), 4, Range::Reserved),
];

const fn v6(first: u16, second: u16, third: u16) -> Ipv6Addr {
    Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0)
}

/// Likewise. Only `2000::/3` is given out for general use; the last entries are what remains.
const V6: &[(Ipv6Addr, u8, Range)] = &[
    (Ipv6Addr::UNSPECIFIED, 128, Range::Unspecified),
    (Ipv6Addr::LOCALHOST, 128, Range::Loopback),
    (v6(0x0100, 0, 0), 64, Range::Reserved),
    (v6(0x2001, 0x0002, 0), 48, Range::Benchmarking),
    (v6(0x2001, 0, 0), 23, Range::Reserved),
    (v6(0x2001, 0x0db8, 0), 32, Range::Documentation),
    (v6(0x2620, 0x004f, 0x8000), 48, Range::Reserved),
    (v6(0x3fff, 0, 0), 20, Range::Documentation),
    (v6(0xfc00, 0, 0), 7, Range::Private),
    (v6(0xfe80, 0, 0), 10, Range::LinkLocal),
    (v6(0xfec0, 0, 0), 10, Range::Private),
    (v6(0xff00, 0, 0), 8, Range::Multicast),
    (v6(0, 0, 0), 3, Range::Reserved),
    (v6(0x4000, 0, 0), 2, Range::Reserved),
    (v6(0x8000, 0, 0), 1, Range::Reserved),
];

/// Why the address is not public; none if it is. A translated one is not, whatever it stands for.
pub(super) fn range_of(address: IpAddr) -> Option<Range> {
    match address {
        IpAddr::V4(address) => {
            let is_in = |first: &Ipv4Addr, bits: u8| {
                (u32::from(address) ^ u32::from(*first)).checked_shr(32 - u32::from(bits)).unwrap_or(0) == 0
            };
            V4.iter().find(|(first, bits, _)| is_in(first, *bits)).map(|(_, _, range)| *range)
        }
        IpAddr::V6(address) if translated(address).is_some() => Some(Range::Translated),
        IpAddr::V6(address) => {
            let is_in = |first: &Ipv6Addr, bits: u8| {
                (u128::from(address) ^ u128::from(*first)).checked_shr(128 - u32::from(bits)).unwrap_or(0)
                    == 0
            };
            V6.iter().find(|(first, bits, _)| is_in(first, *bits)).map(|(_, _, range)| *range)
        }
    }
}

/// The IPv4 address that an IPv6 one stands for. Mapped ones (`::ffff:a.b.c.d`) are not among these: the operating
/// system takes them for the IPv4 address itself, and so does [`IpAddr::to_canonical`].
pub(super) fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let pair = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        // IPv4-compatible (RFC 4291, section 2.5.5.1), but for `::` and `::1`.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => pair(high, low),
        // IPv4-translated (RFC 7915), NAT64 with the well-known prefix and with that for local use (RFC 6052, 8215).
        [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x0064, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x0064, 0xff9b, 1, _, _, _, high, low]
        // 6to4 (RFC 3056).
        | [0x2002, high, low, ..]
        // ISATAP (RFC 5214), in any network.
        | [_, _, _, _, 0 | 0x0200, 0x5efe, high, low] => pair(high, low),
        // Teredo (RFC 4380): the client, with its bits turned over.
        [0x2001, 0, .., high, low] => pair(!high, !low),
        _ => None,
    }
}
