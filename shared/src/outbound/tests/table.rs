//! Ways to this machine that somebody may try: each is really tried, and the listener must not hear of it. With the
//! network listed the same ways arrive, which shows that they would have.

use std::net::IpAddr;
use std::sync::Arc;

use super::receiver::{Manner, Receiver};
use super::{LOOPBACK, Names, PUBLIC, TestClock, outbound, post, settings, with_targets, word};
use crate::outbound::SystemLookup;

/// Spellings of addresses of this machine. All of them reach a listener on 127.0.0.1 if nobody looks.
const SPELLINGS: &[&str] = &[
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0X7F.1",
    "0x7f.0x0.0x0.0x1",
    "0177.0.0.1",
    "0177.0.0.01",
    "017700000001",
    "127.0.0.0x1",
    "%31%32%37.0.0.1",
    "127\u{3002}0\u{3002}0\u{3002}1",
    "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
    "\u{2460}\u{2461}\u{2466}.0.0.1",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
];

/// Other addresses, by themselves. Nothing need listen there: no connection is tried.
const OTHERS: &[&str] = &[
    "0.0.0.0",
    "0",
    "[::]",
    "[::1]",
    "127.255.255.254",
    "10.0.0.1",
    "0xa.1",
    "012.0.0.1",
    "167772161",
    "172.16.0.1",
    "192.168.0.1",
    "3232235521",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "168.63.129.16",
    "192.0.0.192",
    "198.18.0.1",
    "203.0.113.1",
    "224.0.0.1",
    "255.255.255.255",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[2001:db8::1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::10.0.0.1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:53aa:64c:0:0:80ff:fffe]",
    "[2a00:1450:4001:81b:0:5efe:127.0.0.1]",
];

/// Names, and where each leads.
const NAMES: &[(&str, &[&[IpAddr]])] = &[
    ("localtest.example", &[&[LOOPBACK]]),
    ("localtest.example.", &[&[LOOPBACK]]),
    ("both.example", &[&[PUBLIC, LOOPBACK]]),
    ("both-turned.example", &[&[LOOPBACK, PUBLIC]]),
    ("xn--lclhost-o1a.example", &[&[LOOPBACK]]),
];

#[tokio::test]
async fn no_way_to_this_machine_is_taken() {
    let receiver = Receiver::start(Manner::status("200 OK")).await;
    let closed = outbound(&settings(&[]), Names::new(NAMES));
    let hosts = SPELLINGS.iter().chain(OTHERS).copied().chain(NAMES.iter().map(|(name, _)| *name));
    let mut tried = 0;
    for host in hosts {
        let attempt = post(&closed, &receiver.url(host)).await;
        assert_eq!(word(&attempt), "address_refused", "{host}: {attempt:?}");
        tried += 1;
    }
    assert!(tried >= 60, "{tried}");
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn every_way_is_one_if_the_network_is_listed() {
    let receiver = Receiver::start(Manner::status("200 OK")).await;
    let open = outbound(&settings(&["127.0.0.0/8"]), Names::new(NAMES));
    let ways = SPELLINGS.iter().copied().chain(["localtest.example", "localtest.example."]);
    let mut arrived = 0;
    for host in ways {
        let attempt = post(&open, &receiver.url(host)).await;
        assert_eq!(word(&attempt), "200", "{host}: {attempt:?}");
        arrived += 1;
    }
    assert_eq!(receiver.connections(), arrived);
    // One of two addresses is still a public one, where a protected server may be; there is none.
    open.check(&receiver.url("both.example").parse().unwrap()).await.unwrap();
}

/// The name of this machine, as this machine itself looks it up.
#[tokio::test]
async fn the_system_s_own_names_are_no_way_either() {
    let receiver = Receiver::start(Manner::status("200 OK")).await;
    let names = [("localhost", "address_refused"), ("no-such-name.invalid", "name_not_found")];
    _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (targets, clock) = (super::Targets::at(&[]), Arc::new(TestClock::default()));
    let closed =
        crate::outbound::Outbound::new(&settings(&[]), Vec::new(), targets, Arc::new(SystemLookup), clock)
            .unwrap();
    for (name, expected) in names {
        assert_eq!(word(&post(&closed, &receiver.url(name)).await), expected, "{name}");
    }
    assert_eq!(receiver.connections(), 0);
}

/// The name is harmless when it is registered, and leads here when it is used. It is looked up once per request: the
/// address that was checked is the one that is connected to, or there is no connection.
#[tokio::test]
async fn a_name_that_changes_its_answer_gains_nothing() {
    let receiver = Receiver::start(Manner::status("200 OK")).await;
    let turning: &[&[IpAddr]] = &[&[PUBLIC], &[LOOPBACK]];
    let names = Names::new(&[("turning.example", turning)]);
    let closed = outbound(&settings(&[]), names.clone());
    let url = receiver.url("turning.example");
    closed.check(&url.parse().unwrap()).await.unwrap();
    let asked = names.asked();
    assert_eq!(word(&post(&closed, &url).await), "address_refused");
    assert_eq!((receiver.connections(), names.asked() - asked), (0, 1));

    // And back: what would be refused the second time is not looked up a second time.
    let names = Names::new(&[("turning.example", &[&[LOOPBACK], &[IpAddr::from([10, 0, 0, 1])]])]);
    let open = outbound(&settings(&["127.0.0.1/32"]), names.clone());
    assert_eq!(word(&post(&open, &url).await), "200");
    assert_eq!(names.asked(), 1);
    // The connection is not kept: the next request is looked up and checked again.
    assert_eq!(word(&post(&open, &url).await), "address_refused");
    assert_eq!((receiver.connections(), names.asked()), (1, 2));
}

#[tokio::test]
async fn only_https_is_sent_unless_http_is_allowed() {
    let receiver = Receiver::start(Manner::status("200 OK")).await;
    let closed = crate::config::Outbound { allow_http: false, ..settings(&["127.0.0.0/8"]) };
    let closed = with_targets(&closed, Names::new(&[]), super::Targets::at(&[]), Arc::default());
    assert_eq!(word(&post(&closed, &receiver.url("127.0.0.1")).await), "url_refused");
    assert_eq!(receiver.connections(), 0);
}
