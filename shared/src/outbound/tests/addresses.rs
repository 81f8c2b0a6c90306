//! Each range of addresses at both of its ends, and what lies beside it.

use std::net::IpAddr;

use super::{networks, settings};
use crate::config;
use crate::outbound::{Policy, Range, Refusal, Standing};

/// First, last, why.
const RANGES: &[(&str, &str, Range)] = &[
    ("0.0.0.0", "0.255.255.255", Range::Unspecified),
    ("10.0.0.0", "10.255.255.255", Range::Private),
    ("100.64.0.0", "100.127.255.255", Range::Shared),
    ("127.0.0.0", "127.255.255.255", Range::Loopback),
    ("168.63.129.16", "168.63.129.16", Range::Cloud),
    ("169.254.0.0", "169.254.255.255", Range::LinkLocal),
    ("172.16.0.0", "172.31.255.255", Range::Private),
    ("192.0.0.0", "192.0.0.255", Range::Reserved),
    ("192.0.2.0", "192.0.2.255", Range::Documentation),
    ("192.31.196.0", "192.31.196.255", Range::Reserved),
    ("192.52.193.0", "192.52.193.255", Range::Reserved),
    ("192.88.99.0", "192.88.99.255", Range::Reserved),
    ("192.168.0.0", "192.168.255.255", Range::Private),
    ("192.175.48.0", "192.175.48.255", Range::Reserved),
    ("198.18.0.0", "198.19.255.255", Range::Benchmarking),
    ("198.51.100.0", "198.51.100.255", Range::Documentation),
    ("203.0.113.0", "203.0.113.255", Range::Documentation),
    ("224.0.0.0", "239.255.255.255", Range::Multicast),
    ("240.0.0.0", "255.255.255.254", Range::Reserved),
    ("255.255.255.255", "255.255.255.255", Range::Multicast),
    ("::", "::", Range::Unspecified),
    ("::1", "::1", Range::Loopback),
    ("100::", "100::ffff:ffff:ffff:ffff", Range::Reserved),
    ("0:0:0:1::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Range::Reserved),
    ("2001:1::", "2001:1:ffff:ffff:ffff:ffff:ffff:ffff", Range::Reserved),
    ("2001:2::", "2001:2:0:ffff:ffff:ffff:ffff:ffff", Range::Benchmarking),
    ("2001:10::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Range::Reserved),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Range::Documentation),
    ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", Range::Reserved),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Range::Documentation),
    ("4000::", "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Range::Reserved),
    ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Range::Reserved),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Range::Private),
    ("fe00::", "fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Range::Reserved),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Range::LinkLocal),
    ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Range::Private),
    ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Range::Multicast),
    // What stands for an IPv4 address, be that one public.
    ("::2", "::ffff:ffff", Range::Translated),
    ("::5db8:d822", "::93.184.216.34", Range::Translated),
    ("::ffff:0:0.0.0.0", "::ffff:0:255.255.255.255", Range::Translated),
    ("64:ff9b::", "64:ff9b::255.255.255.255", Range::Translated),
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:255.255.255.255", Range::Translated),
    ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", Range::Translated),
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Range::Translated),
    ("2a00:1450:4001:81b:0:5efe:93.184.216.34", "2a00:1450:4001:81b:200:5efe:10.0.0.1", Range::Translated),
];

/// What lies right beside a range, and others that are public.
const PUBLIC: &[&str] = &[
    "1.0.0.0",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "2000::",
    "2001:200::",
    "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db9::",
    "2003::",
    "2620:4f:7fff::",
    "2a00:1450:4001:81b:1:5efe:a00:1",
    "3fff:1000::",
    "::ffff:93.184.216.34",
];

fn judge(policy: &Policy, address: &str) -> Result<Standing, Refusal> {
    policy.judge(address.parse().unwrap_or_else(|error| panic!("{address}: {error}")))
}

#[test]
fn every_range_is_refused_from_its_first_to_its_last_address() {
    let policy = Policy::new(&settings(&[]));
    for (first, last, range) in RANGES {
        for address in [first, last] {
            assert_eq!(judge(&policy, address), Err(Refusal::Address(*range)), "{address}");
            let mapped = match address.parse().unwrap() {
                IpAddr::V4(address) => address.to_ipv6_mapped().into(),
                IpAddr::V6(_) => continue,
            };
            assert_eq!(policy.judge(mapped), Err(Refusal::Address(*range)), "{mapped}");
        }
    }
}

#[test]
fn what_is_beside_a_range_is_public() {
    let policy = Policy::new(&settings(&[]));
    for address in PUBLIC {
        assert_eq!(judge(&policy, address), Ok(Standing::Public), "{address}");
    }
}

#[test]
fn a_listed_network_is_open_and_its_neighbours_are_not() {
    let policy = Policy::new(&settings(&["10.20.0.0/16", "fd12:3456::/32", "127.0.0.1/32", "fe80::/10"]));
    let listed =
        ["10.20.0.0", "10.20.255.255", "::ffff:10.20.0.1", "fd12:3456:ffff::1", "127.0.0.1", "fe80::1"];
    for address in listed {
        assert_eq!(judge(&policy, address), Ok(Standing::Listed), "{address}");
    }
    for address in
        ["10.19.255.255", "10.21.0.0", "fd12:3457::", "127.0.0.2", "::10.20.0.1", "64:ff9b::10.20.0.1"]
    {
        assert!(matches!(judge(&policy, address), Err(Refusal::Address(_))), "{address}");
    }
}

/// Behind NAT64 every IPv4 address looks like this; listing the prefix must not open what it stands for.
#[test]
fn a_listed_prefix_of_a_translator_opens_what_may_be_reached_itself() {
    let policy = Policy::new(&settings(&["64:ff9b::/96", "10.20.0.0/16", "2002::/16"]));
    assert_eq!(judge(&policy, "64:ff9b::93.184.216.34"), Ok(Standing::Public));
    assert_eq!(judge(&policy, "64:ff9b::10.20.0.1"), Ok(Standing::Listed));
    for address in ["64:ff9b::10.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::", "2002:a9fe:a9fe::1"] {
        assert!(matches!(judge(&policy, address), Err(Refusal::Address(_))), "{address}");
    }
}

#[test]
fn a_refused_network_is_refused_also_where_it_is_public_or_listed() {
    let refused_networks = networks(&["93.184.216.0/24", "10.20.1.0/24"]);
    let settings = config::Outbound { refused_networks, ..settings(&["10.20.0.0/16"]) };
    let policy = Policy::new(&settings);
    for address in ["93.184.216.34", "::ffff:93.184.216.34", "10.20.1.1"] {
        assert_eq!(judge(&policy, address), Err(Refusal::Network), "{address}");
    }
    assert_eq!(judge(&policy, "10.20.2.1"), Ok(Standing::Listed));
}

#[test]
fn urls_are_judged_before_any_name_is_looked_up() {
    let https = Policy::new(&config::Outbound::default());
    let http = Policy::new(&settings(&[]));
    for good in ["https://ci.example.com/hook", "https://ci.example.com:8443/", "https://93.184.216.34/"] {
        assert!(https.parse_url(good).is_ok() && http.parse_url(good).is_ok(), "{good}");
    }
    assert_eq!(https.parse_url("http://ci.example.com/").err(), Some(Refusal::Scheme));
    assert!(http.parse_url("http://ci.example.com/").is_ok());
    let long = format!("https://ci.example.com/{}", "a".repeat(2_048 - 23));
    assert!(https.parse_url(&long).is_ok());
    let cases = [
        (format!("{long}a"), Refusal::Length),
        // Read, each of these characters takes nine bytes.
        (format!("https://ci.example.com/{}", "\u{20ac}".repeat(600)), Refusal::Length),
        (String::new(), Refusal::Form),
        ("/hook".to_owned(), Refusal::Form),
        ("https://".to_owned(), Refusal::Form),
        ("https://[fe80::1%25eth0]/".to_owned(), Refusal::Form),
        ("https://999.1.1.1/".to_owned(), Refusal::Form),
        ("ftp://ci.example.com/".to_owned(), Refusal::Scheme),
        ("file:///etc/passwd".to_owned(), Refusal::Scheme),
        ("gopher://127.0.0.1:6379/_x".to_owned(), Refusal::Scheme),
        ("https://user@ci.example.com/".to_owned(), Refusal::Credentials),
        ("https://:secret@ci.example.com/".to_owned(), Refusal::Credentials),
        ("https://93.184.216.34@127.0.0.1/".to_owned(), Refusal::Credentials),
        ("https://ci.example.com:25/".to_owned(), Refusal::Port(25)),
        ("https://ci.example.com:0/".to_owned(), Refusal::Port(0)),
        ("https://[::1]/".to_owned(), Refusal::Address(Range::Loopback)),
        ("https://0/".to_owned(), Refusal::Address(Range::Unspecified)),
    ];
    for (url, refusal) in cases {
        assert_eq!(https.parse_url(&url).err(), Some(refusal), "{url}");
    }
}
