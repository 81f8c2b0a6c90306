//! What the tests here stand on: names that lead where a test says, and receivers that count who comes.

mod addresses;
mod protected;
mod receiver;
mod sending;
mod table;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ipnet::IpNet;
use jiff::Timestamp;

use super::{Attempt, Lookup, Outbound, Post, TargetHosts};
use crate::config;
use crate::domain::{Clock, Code, Failure};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// A public address at which nobody is asked for anything here.
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34));

/// Names and what they lead to: the first answer once, and so on; the last one from then on.
#[derive(Default)]
struct Names {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: AtomicUsize,
}

impl Names {
    fn new(names: &[(&str, &[&[IpAddr]])]) -> Arc<Self> {
        let answers = names.iter().map(|(name, answers)| {
            ((*name).to_owned(), answers.iter().map(|addresses| addresses.to_vec()).collect())
        });
        Arc::new(Self { answers: Mutex::new(answers.collect()), asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Lookup for Names {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answers = answers.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() })
    }
}

/// Where the targets are said to stand; away if there is no list.
#[derive(Default)]
struct Targets(Mutex<Option<Vec<String>>>);

impl Targets {
    fn at(names: &[&str]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(names.iter().map(|&name| name.to_owned()).collect()))))
    }

    fn set(&self, names: Option<&[&str]>) {
        *self.0.lock().unwrap() = names.map(|names| names.iter().map(|&name| name.to_owned()).collect());
    }
}

#[async_trait]
impl TargetHosts for Targets {
    async fn hostnames(&self) -> Result<Vec<String>, Failure> {
        self.0.lock().unwrap().clone().ok_or_else(|| Failure::new(Code::ControlDatabaseUnavailable, "away"))
    }
}

/// A clock that a test moves.
#[derive(Debug, Default)]
struct TestClock(AtomicI64);

impl TestClock {
    fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + self.0.load(Ordering::SeqCst)).unwrap()
    }
}

fn networks(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Plain HTTP and these networks.
fn settings(allowed: &[&str]) -> config::Outbound {
    config::Outbound { allow_http: true, allowed_networks: networks(allowed), ..config::Outbound::default() }
}

fn outbound(settings: &config::Outbound, names: Arc<Names>) -> Outbound {
    with_targets(settings, names, Targets::at(&[]), Arc::new(TestClock::default()))
}

fn with_targets(
    settings: &config::Outbound,
    names: Arc<Names>,
    targets: Arc<Targets>,
    clock: Arc<TestClock>,
) -> Outbound {
    // Fails if another test was first.
    _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Outbound::new(settings, vec!["redis.internal".to_owned()], targets, names, clock).unwrap()
}

async fn post(outbound: &Outbound, url: &str) -> Attempt {
    post_within(outbound, url, Duration::from_secs(20)).await
}

async fn post_within(outbound: &Outbound, url: &str, timeout: Duration) -> Attempt {
    let headers = vec![("content-type", "application/json".to_owned().into())];
    let url = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
    outbound.post(Post { url, headers, body: b"{}".to_vec(), timeout }).await
}

/// The word for why there was no answer; the status if there was one.
fn word(attempt: &Attempt) -> String {
    attempt.result.as_ref().map_or_else(|trouble| trouble.as_str().to_owned(), ToString::to_string)
}
