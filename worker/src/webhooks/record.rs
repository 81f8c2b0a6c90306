//! Writes down what came of attempts, many at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rolecall_shared::control::webhooks::{Due, Ended, Verdict};
use rolecall_shared::retry::Delays;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};
use uuid::Uuid;

use super::{AT_ONCE, LEASE_MARGIN, actor};
use crate::Worker;

/// What came of an attempt; the last of a chain has its place among those that may run at once.
pub(super) struct Outcome {
    pub(super) ended: Ended,
    /// The endpoint, if it says that it is gone for good.
    pub(super) gone: Option<Uuid>,
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

impl Outcome {
    /// What was taken and not tried.
    pub(super) fn given_back(worker: &Worker, due: &Due) -> Self {
        let ended = Ended {
            delivery: due.delivery,
            lease: due.lease,
            at: worker.clock.now(),
            duration: Duration::ZERO,
            status: None,
            error: None,
            verdict: Verdict::GivenBack,
        };
        Self { ended, gone: None, permit: None }
    }
}

/// Until every attempt has ended.
pub(super) async fn run(worker: Arc<Worker>, mut ended: mpsc::Receiver<Outcome>, bell: Arc<Notify>) {
    let mut outcomes = Vec::with_capacity(AT_ONCE);
    while ended.recv_many(&mut outcomes, AT_ONCE).await > 0 {
        let (mut attempts, mut gone, mut places) = (Vec::new(), BTreeSet::new(), Vec::new());
        for outcome in outcomes.drain(..) {
            if let Some(word) = word(outcome.ended.verdict) {
                worker.metrics.webhook_attempted(word);
            }
            attempts.push(outcome.ended);
            gone.extend(outcome.gone);
            places.extend(outcome.permit);
        }
        let hopeless = write(&worker, &attempts).await;
        for id in gone {
            disable(&worker, id, "gone").await;
        }
        for id in hopeless {
            disable(&worker, id, "failing").await;
        }
        if !places.is_empty() {
            drop(places);
            bell.notify_one();
        }
    }
}

fn word(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Delivered => Some("delivered"),
        Verdict::Again { .. } => Some("again"),
        Verdict::GivenUp => Some("given_up"),
        Verdict::Postponed { .. } => Some("postponed"),
        Verdict::GivenBack => None,
    }
}

/// As long as the leases last; after that somebody else sends them again.
async fn write(worker: &Worker, attempts: &[Ended]) -> Vec<Uuid> {
    let end = tokio::time::Instant::now() + LEASE_MARGIN;
    let mut delays = Delays::full_jitter(Duration::from_millis(100), Duration::from_secs(1));
    loop {
        match worker.outbox.record(attempts, worker.settings.webhooks.disable_after).await {
            Ok(recorded) => return recorded.hopeless,
            Err(failure) if tokio::time::Instant::now() < end => {
                tracing::debug!(%failure, "what came of webhooks not written down yet");
                tokio::time::sleep(delays.next_delay()).await;
            }
            Err(failure) => {
                let cause = failure.cause_chain();
                tracing::warn!(%failure, cause, attempts = attempts.len(), "webhooks will be sent again");
                return Vec::new();
            }
        }
    }
}

async fn disable(worker: &Worker, id: Uuid, reason: &str) {
    match worker.control.disable_endpoint(id, reason, (&actor(), worker.clock.now())).await {
        Ok(true) => tracing::warn!(webhook = %id, reason, "a webhook is disabled"),
        Ok(false) => {}
        // Its next attempt says the same again.
        Err(failure) => {
            tracing::warn!(webhook = %id, reason, %failure, "a webhook should be disabled and is not");
        }
    }
}
