//! How often somebody may try who has proven nothing yet.
//!
//! Two limits, both before anything is hashed or looked up. An address may try so many credentials in a time that were
//! not proven lately. And after some failures an account is closed to that address for a while, longer each time;
//! alike for accounts that do not exist. Credentials that were right lately pass by both, so nobody locks out an owner who
//! is at work, and never one who is somewhere else.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

/// Failures that cost nothing but themselves.
const FREE: u32 = 3;
/// The first wait, doubled with each failure up to the longest one.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(5);
/// After so long without a failure all is forgiven.
const FORGIVEN: Duration = Duration::from_mins(15);
/// Pairs of account and address that are remembered. A flood of them drives out those whose wait is over.
const CAPACITY: usize = 65_536;

/// Where somebody is, for limits: all of an IPv6 network of 64 bits is one place, since whoever has one address there has
/// them all. None is the local socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place(Option<IpAddr>);

impl Place {
    pub(super) fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        }))
    }
}

struct Failures {
    count: u32,
    last: Instant,
    closed_until: Instant,
}

/// Counts attempts.
pub(crate) struct Attempts {
    of_address: RateLimiter<Place, HashMapStateStore<Place>, DefaultClock>,
    failures: Mutex<HashMap<(String, Place), Failures>>,
}

impl Attempts {
    /// At most so many attempts of one address in a minute; so many can come at once.
    pub(crate) fn new(per_minute: u32) -> Self {
        let quota = Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN));
        Self { of_address: RateLimiter::hashmap(quota), failures: Mutex::default() }
    }

    /// Counts an attempt; `Err` is how long to wait with the next one. `account` is none where the credentials name none.
    pub(super) fn begin(&self, account: Option<&str>, address: Option<IpAddr>) -> Result<(), Duration> {
        let place = Place::of(address);
        if let Some(account) = account {
            let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(found) = failures.get(&(account.to_owned(), place)) {
                let left = found.closed_until.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    return Err(left);
                }
            }
        }
        self.of_address
            .check_key(&place)
            .map_err(|not_until| not_until.wait_time_from(DefaultClock::default().now()))
    }

    /// The credentials were wrong.
    pub(super) fn failed(&self, account: &str, address: Option<IpAddr>) {
        let now = Instant::now();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= CAPACITY {
            failures.retain(|_, found| found.closed_until > now);
        }
        if failures.len() >= CAPACITY {
            // Everybody's wait is shortened rather than memory filled; the limit of the address stays.
            failures.clear();
        }
        let found = failures.entry((account.to_owned(), Place::of(address))).or_insert(Failures {
            count: 0,
            last: now,
            closed_until: now,
        });
        if now.saturating_duration_since(found.last) > FORGIVEN {
            found.count = 0;
        }
        found.count = found.count.saturating_add(1);
        found.last = now;
        if let Some(doublings) = found.count.checked_sub(FREE) {
            let wait = FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST);
            found.closed_until = now + wait;
        }
    }

    /// The credentials were right: earlier failures are forgiven.
    pub(super) fn succeeded(&self, account: &str, address: Option<IpAddr>) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(&(account.to_owned(), Place::of(address)));
    }

    /// Forgets addresses that have not tried for a while. To be called now and then.
    pub(crate) fn tidy(&self) {
        self.of_address.retain_recent();
        self.of_address.shrink_to_fit();
        let now = Instant::now();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|_, found| now.saturating_duration_since(found.last) <= FORGIVEN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)));
    const AWAY: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 8)));

    #[tokio::test(start_paused = true)]
    async fn failures_close_an_account_to_an_address_for_longer_each_time() {
        let attempts = Attempts::new(1_000);
        for _ in 0..FREE - 1 {
            attempts.failed("ci", HOME);
            assert_eq!(attempts.begin(Some("ci"), HOME), Ok(()));
        }
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            attempts.failed("ci", HOME);
            assert_eq!(attempts.begin(Some("ci"), HOME), Err(Duration::from_secs(seconds)));
            assert_eq!(attempts.begin(Some("ci"), AWAY), Ok(()), "its owner is elsewhere");
            assert_eq!(attempts.begin(Some("qa"), HOME), Ok(()), "it is another account");
            tokio::time::advance(Duration::from_secs(seconds)).await;
            assert_eq!(attempts.begin(Some("ci"), HOME), Ok(()));
        }
        attempts.succeeded("ci", HOME);
        attempts.failed("ci", HOME);
        assert_eq!(attempts.begin(Some("ci"), HOME), Ok(()), "forgiven");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_long_ago_are_forgiven() {
        let attempts = Attempts::new(1_000);
        for _ in 0..10 {
            attempts.failed("ci", HOME);
        }
        tokio::time::advance(FORGIVEN + Duration::from_secs(1)).await;
        attempts.failed("ci", HOME);
        assert_eq!(attempts.begin(Some("ci"), HOME), Ok(()));
        attempts.tidy();
        assert_eq!(attempts.failures.lock().unwrap().len(), 1);
        tokio::time::advance(FORGIVEN + Duration::from_secs(1)).await;
        attempts.tidy();
        assert!(attempts.failures.lock().unwrap().is_empty());
    }

    #[test]
    fn an_address_tries_so_often_whatever_it_tries() {
        let attempts = Attempts::new(5);
        for n in 0..5 {
            assert_eq!(attempts.begin(Some(&n.to_string()), HOME), Ok(()));
        }
        let wait = attempts.begin(None, HOME).unwrap_err();
        assert!(wait <= Duration::from_secs(12), "{wait:?}");
        assert_eq!(attempts.begin(None, AWAY), Ok(()));
        assert_eq!(attempts.begin(None, None), Ok(()));
    }

    #[test]
    fn a_network_of_64_bits_is_one_place() {
        let place = |text: &str| Place::of(Some(text.parse().unwrap()));
        assert_eq!(place("2001:db8:0:1::1"), place("2001:db8:0:1:ffff::2"));
        assert_ne!(place("2001:db8:0:1::1"), place("2001:db8:0:2::1"));
        assert_ne!(place("192.0.2.7"), place("192.0.2.8"));
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let attempts = Attempts::new(1);
        for n in 0..CAPACITY + 10 {
            attempts.failed(&n.to_string(), HOME);
        }
        assert!(attempts.failures.lock().unwrap().len() <= CAPACITY);
    }
}
