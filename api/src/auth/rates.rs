//! How many requests somebody may make, proven or not.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use rolecall_shared::config;
use rolecall_shared::domain::{Code, Failure};

/// How many seconds' worth may come at once.
const BURST: u32 = 10;

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock>;

/// The limits of one process.
pub(crate) struct Rates {
    accounts: Limiter<String>,
    addresses: Limiter<Option<IpAddr>>,
}

impl Rates {
    pub(crate) fn new(settings: &config::Auth) -> Self {
        Self {
            accounts: limiter(settings.account_requests_per_second),
            addresses: limiter(settings.address_requests_per_second),
        }
    }

    /// Counts a request of an account.
    pub(super) fn of_account(&self, account: &str) -> Result<(), Failure> {
        check(&self.accounts, &account.to_owned(), "This account makes too many requests.")
    }

    /// Counts a request from an address; none is the local socket.
    pub(crate) fn of_address(&self, address: Option<IpAddr>) -> Result<(), Failure> {
        check(&self.addresses, &address, "Too many requests come from this address.")
    }

    /// Forgets who has not asked for a while. To be called now and then.
    pub(crate) fn tidy(&self) {
        self.accounts.retain_recent();
        self.addresses.retain_recent();
    }
}

fn limiter<K: Hash + Eq + Clone>(per_second: u32) -> Limiter<K> {
    let per_second = NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
    let at_once = per_second.saturating_mul(NonZeroU32::new(BURST).unwrap_or(NonZeroU32::MIN));
    RateLimiter::hashmap(Quota::per_second(per_second).allow_burst(at_once))
}

fn check<K: Hash + Eq + Clone>(limiter: &Limiter<K>, key: &K, detail: &str) -> Result<(), Failure> {
    limiter.check_key(key).map_err(|not_until| {
        let wait = not_until.wait_time_from(DefaultClock::default().now());
        Failure::new(Code::TooManyRequests, detail).retry_after(wait)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_at_the_limit_for_each() {
        let settings = config::Auth {
            session: std::time::Duration::ZERO,
            logins_per_minute: 1,
            account_requests_per_second: 1,
            address_requests_per_second: 2,
        };
        let rates = Rates::new(&settings);
        for _ in 0..10 {
            assert!(rates.of_account("ci").is_ok());
        }
        assert_eq!(rates.of_account("ci").unwrap_err().code(), Code::TooManyRequests);
        assert!(rates.of_account("qa").is_ok());
        for _ in 0..20 {
            assert!(rates.of_address(None).is_ok());
        }
        assert!(rates.of_address(None).is_err());
        rates.tidy();
        assert!(rates.of_address(None).is_err(), "still recent");
    }
}
