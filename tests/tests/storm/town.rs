//! What all callers share: the way to the apis, where nothing is asked only once, the jobs still to be submitted, and
//! what is counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use rolecall_tests::client::try_send;
use rolecall_tests::eventually::Pauses;
use rolecall_tests::{Answer, Client};
use tokio::sync::Semaphore;

use crate::callers::Password;
use crate::scene::{Doors, Place};

/// The longest a caller insists. On a machine with ten times more to do than it can, two and a half minutes were seen.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);
/// An answer that takes longer is none. A `?wait=` of 10 s is well below.
const NO_ANSWER: Duration = Duration::from_secs(20);

/// What all callers share.
pub(crate) struct Town {
    pub(crate) doors: Doors,
    pub(crate) places: Vec<Place>,
    /// One permit for each job that may be submitted by now; closed when there will be no more.
    pub(crate) budget: Semaphore,
    /// What role names end with.
    pub(crate) id: String,
    pub(crate) counts: Counts,
}

#[derive(Default)]
pub(crate) struct Counts {
    /// Accepted, resets of lost passwords included.
    pub(crate) accepted: AtomicUsize,
    pub(crate) ended: AtomicUsize,
    pub(crate) retries: AtomicUsize,
    pub(crate) lost: AtomicUsize,
}

impl Counts {
    /// How many jobs are not over, of so many that may have been begun, and of the resets that came on top.
    pub(crate) fn on_their_way(&self, released: usize) -> usize {
        // In this order: whatever changes in between, the difference is not below zero.
        let ended = self.ended.load(Ordering::Relaxed);
        released + self.lost.load(Ordering::Relaxed) - ended
    }

    pub(crate) fn add(count: &AtomicUsize) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// An answer, and how many asked in vain before.
pub(crate) struct Insisted {
    pub(crate) answer: Answer,
    retries: usize,
}

impl Town {
    pub(crate) async fn take(&self, first: usize, path: &str) -> Password {
        let ask = |client: &Client| client.request(Method::POST, &format!("{path}/secret"));
        let Insisted { answer, retries } = self.insist(first, ask, &[200, 410]).await;
        if answer.status == 200 {
            return Password::HandedOut(answer.text("password").to_owned());
        }
        assert!(
            retries > 0 && answer.is_problem(410, "secret_taken"),
            "the first to ask for {path}: {answer}"
        );
        assert!(answer.find("taken_by").is_some() && answer.find("taken_at").is_some(), "{answer}");
        Password::Lost
    }

    /// Asks one api after the other until one of them answers so. "Not now" and no answer are asked again; anything
    /// else is wrong.
    pub(crate) async fn insist(
        &self,
        first: usize,
        ask: impl Fn(&Client) -> reqwest::RequestBuilder,
        wanted: &[u16],
    ) -> Insisted {
        let (mut retries, mut pauses) = (0, Pauses::new(PATIENCE));
        loop {
            let client = self.doors.at(first + retries);
            let not_now = match try_send(ask(&client).timeout(NO_ANSWER)).await {
                Some(answer) if wanted.contains(&answer.status) => return Insisted { answer, retries },
                Some(answer) if answer.status == 503 || answer.status == 429 => {
                    assert!(answer.header("retry-after").is_some(), "not now, and not when: {answer}");
                    Some(answer)
                }
                Some(answer) => panic!("not what a caller should be told: {answer}"),
                None => None,
            };
            assert!(pauses.next().await, "{retries} tries were all in vain; the last answer was {not_now:?}");
            retries += 1;
            Counts::add(&self.counts.retries);
        }
    }
}
