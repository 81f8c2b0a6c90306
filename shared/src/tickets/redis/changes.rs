//! The changes that are more than one call of a script: finishing, claiming, blocking.

use std::time::Duration;

use super::record::{self, Answer, millis};
use super::{RedisTickets, scripts};
use crate::domain::{
    ClaimId, Failure, Job,
    ticket::{State, Ticket},
};
use crate::retry;
use crate::tickets::{Claimed, Settled};

/// The ways to a final state; they differ in who may go them.
#[derive(Clone, Copy)]
pub(super) enum Finish {
    Settle(ClaimId),
    Close,
    Restore,
}

impl RedisTickets {
    /// Makes tickets final; says which it did.
    pub(super) async fn finish(&self, way: Finish, settled: &[Settled]) -> Result<Vec<bool>, Failure> {
        if settled.is_empty() {
            return Ok(Vec::new());
        }
        let mut call = self.call(&scripts::FINISH);
        match way {
            Finish::Settle(claim) => call.arg("settle").arg(claim.to_string()),
            Finish::Close => call.arg("close").arg(""),
            Finish::Restore => call.arg("restore").arg(""),
        };
        call.arg(self.finished_lifetime).arg(self.secret_lifetime);
        for Settled { job, ending, finished_at } in settled {
            call.key(self.keys.ticket(job.ticket)).key(self.keys.secret(job.ticket));
            record::job_args(&mut call, job)?;
            call.arg(ending.state().as_str())
                .arg(serde_json::to_string(ending).map_err(Failure::internal)?)
                .arg(finished_at.to_string())
                .arg(finished_at.as_millisecond())
                .arg(u8::from(ending.has_secret()));
        }
        self.link.invoke(&call).await
    }
}

/// What the claiming script said about one job.
pub(super) fn claimed(job: &Job, answer: Answer) -> Result<Claimed, Failure> {
    Ok(match answer.word.as_str() {
        "started" => Claimed::Started,
        "alone" => Claimed::Alone { attempts: answer.rest()? },
        "unknown" => Claimed::Unknown,
        "superseded" => Claimed::Final(superseded(job)),
        "final" => Claimed::Final(record::ticket(answer.rest()?)?),
        "closing" => {
            let (ticket, closing) = record::closing_ticket(answer.rest()?)?;
            Claimed::Closing(ticket, closing)
        }
        _ => return Err(answer.unexpected()),
    })
}

/// The ticket of a withdrawn attempt whose id stands for another request by now.
fn superseded(job: &Job) -> Ticket {
    Ticket {
        job: job.clone(),
        state: State::Withdrawn,
        revision: 0,
        attempts: 0,
        ending: None,
        finished_at: None,
        dead_lettered: None,
    }
}

/// Reads a state from a script's answer.
pub(super) fn state(word: &str) -> Result<State, Failure> {
    State::parse(word).ok_or_else(|| Failure::internal(format!("no state of a ticket: `{word}`")))
}

/// The longest list of delays a script is given; by then they have grown 2^31-fold.
const MOST_DELAYS: u32 = 32;

/// The delays (ms) after the first, the second, … failure of a host; after the last one it stays.
///
/// The policy is `retry`'s and the count is Redis': so one delay is drawn for every count until the cap is reached,
/// and the script picks in the step in which it counts.
pub(super) fn host_delays(first: Duration, cap: Duration) -> Vec<i64> {
    let grown = |failures: u32| first.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX));
    let steps = (0..MOST_DELAYS).find(|failures| grown(*failures) >= cap).unwrap_or(MOST_DELAYS);
    (0..=steps).map(|failures| millis(retry::delay_after(failures, first, cap))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_for_every_count_until_the_cap() {
        let (first, cap) = (Duration::from_millis(200), Duration::from_secs(30));
        let delays = host_delays(first, cap);
        // 0.2 s doubles eight times until it is above 30 s.
        assert_eq!(delays.len(), 9);
        for (failures, delay) in delays.into_iter().enumerate() {
            let longest = (200_i64 << failures).min(30_000);
            assert!((0..=longest).contains(&delay), "{delay} ms after {failures} failures");
        }
        assert_eq!(host_delays(cap, cap).len(), 1);
        assert_eq!(host_delays(Duration::ZERO, cap).len(), 33);
    }
}
