//! What the audit learns of those who were refused.
//!
//! Every refusal is counted; those that are alike within a moment become one row with their number, so that a flood of
//! wrong passwords is not a flood of rows. While the control database is away they wait here. What is in memory when the
//! process is killed, at most a moment's worth, is lost; a graceful stop writes it down.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rolecall_shared::control::Control;
use rolecall_shared::domain::{Actor, Event, EventName};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Caller;

/// How long refusals are gathered.
const GATHER: Duration = Duration::from_millis(500);
/// Refusals that are told apart at once; further ones are told together.
const CAPACITY: usize = 2_000;
/// The account of somebody who named none, or one that does not exist: what was typed there may be a password.
const NOBODY: &str = "-";

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Refusal {
    name: EventName,
    account: String,
    owner: String,
    address: Option<IpAddr>,
    via: String,
    /// Why, in one word.
    reason: &'static str,
    /// The pattern that would have allowed it.
    wanted: String,
}

struct Times {
    first: Timestamp,
    last: Timestamp,
    count: u64,
}

impl Times {
    fn and(&mut self, more: &Self) {
        self.first = self.first.min(more.first);
        self.last = self.last.max(more.last);
        self.count += more.count;
    }
}

/// Refusals that are not written down yet.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<HashMap<Refusal, Times>>);

impl Refusals {
    /// Somebody did not prove who they are. `account` is one that exists, or none.
    pub(super) fn login_failed(
        &self,
        account: Option<&str>,
        address: Option<IpAddr>,
        (via, reason): (&str, &'static str),
        now: Timestamp,
    ) {
        let account = account.unwrap_or(NOBODY).to_owned();
        let name = EventName::LoginFailed;
        let owner = account.clone();
        let via = via.to_owned();
        self.add(Refusal { name, account, owner, address, via, reason, wanted: String::new() }, now);
    }

    /// Somebody wanted what they may not.
    pub(crate) fn access_denied(&self, caller: &Caller, wanted: String, now: Timestamp) {
        let refusal = Refusal {
            name: EventName::AccessDenied,
            account: caller.account.clone(),
            owner: caller.owner.clone(),
            address: caller.address,
            via: caller.via.to_string(),
            reason: "forbidden",
            wanted,
        };
        self.add(refusal, now);
    }

    fn add(&self, mut refusal: Refusal, now: Timestamp) {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if gathered.len() >= CAPACITY && !gathered.contains_key(&refusal) {
            refusal = Refusal {
                account: NOBODY.to_owned(),
                owner: NOBODY.to_owned(),
                address: None,
                via: String::new(),
                reason: "many",
                wanted: String::new(),
                ..refusal
            };
        }
        let once = Times { first: now, last: now, count: 1 };
        gathered.entry(refusal).and_modify(|times| times.and(&once)).or_insert(once);
    }

    fn take(&self) -> HashMap<Refusal, Times> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn give_back(&self, taken: HashMap<Refusal, Times>) {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (refusal, before) in taken {
            gathered.entry(refusal).and_modify(|times| times.and(&before)).or_insert(before);
        }
    }

    /// Writes down what was gathered, again and again, and a last time when the process stops.
    pub(crate) async fn write_down(&self, control: &Control, stop: CancellationToken) {
        loop {
            let stopped = stop.run_until_cancelled(tokio::time::sleep(GATHER)).await.is_none();
            self.flush(control).await;
            if stopped {
                return;
            }
        }
    }

    /// Writes down what is gathered now. What cannot be written stays.
    pub(crate) async fn flush(&self, control: &Control) {
        let taken = self.take();
        if taken.is_empty() {
            return;
        }
        let events: Vec<_> = taken.iter().map(|(refusal, times)| event(refusal, times)).collect();
        if let Err(failure) = control.record_all(&events).await {
            tracing::warn!(%failure, refusals = events.len(), "refusals wait to be written into the audit");
            self.give_back(taken);
        }
    }
}

fn event(refusal: &Refusal, times: &Times) -> Event {
    let actor = Actor {
        account: refusal.account.clone(),
        owner: refusal.owner.clone(),
        address: refusal.address.map(|address| address.to_string()),
        via: Some(refusal.via.clone()),
    };
    let mut detail = json!({ "reason": refusal.reason, "count": times.count, "first_at": times.first });
    if !refusal.wanted.is_empty() {
        detail["wanted"] = json!(refusal.wanted);
    }
    Event { outcome: Some("refused".to_owned()), detail, ..Event::new(refusal.name, times.last, actor) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn fail(refusals: &Refusals, account: &str, second: i64) {
        refusals.login_failed(Some(account), None, ("basic", "wrong"), at(second));
    }

    #[test]
    fn those_that_are_alike_are_one_row_with_their_number() {
        let refusals = Refusals::default();
        for second in [3, 1, 2] {
            fail(&refusals, "ci", second);
        }
        fail(&refusals, "qa", 9);
        let taken = refusals.take();
        let mut events: Vec<_> = taken.iter().map(|(refusal, times)| event(refusal, times)).collect();
        events.sort_by_key(|event| event.actor.account.clone());
        assert_eq!(events.len(), 2);
        assert_eq!((events[0].at, &events[0].detail["count"]), (at(3), &json!(3)));
        assert_eq!(events[1].detail["count"], 1);

        fail(&refusals, "ci", 7);
        refusals.give_back(taken);
        let again = refusals.take();
        let ci = again.iter().find(|(refusal, _)| refusal.account == "ci").unwrap().1;
        assert_eq!((ci.first, ci.last, ci.count), (at(1), at(7), 4));
    }

    #[test]
    fn a_flood_of_different_ones_is_told_together() {
        let refusals = Refusals::default();
        for n in 0..CAPACITY + 50 {
            fail(&refusals, &n.to_string(), 1);
        }
        let taken = refusals.take();
        assert_eq!(taken.len(), CAPACITY + 1);
        let together = taken.iter().find(|(refusal, _)| refusal.reason == "many").unwrap().1;
        assert_eq!(together.count, 50);
    }
}
