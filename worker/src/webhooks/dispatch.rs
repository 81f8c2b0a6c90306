//! Takes what is due and lets attempts run.

use std::sync::Arc;
use std::time::Duration;

use rolecall_shared::control::webhooks::Due;
use rolecall_shared::domain::Failure;
use rolecall_shared::retry::Delays;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::record::Outcome;
use super::{AT_ONCE, LEASE_MARGIN, attempt};
use crate::Worker;

/// Looks when the bell rings and every `webhooks.poll`, as long as there is room for another attempt.
pub(super) async fn run(
    worker: Arc<Worker>,
    outcomes: mpsc::Sender<Outcome>,
    bell: Arc<Notify>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(worker.settings.webhooks.in_flight));
    let mut delays = Delays::full_jitter(Duration::from_millis(100), Duration::from_secs(5));
    while !stop.is_cancelled() {
        let mut pause = worker.settings.webhooks.poll;
        match take(&worker, &room).await {
            Ok(taken) => {
                delays.reset();
                for (chain, permit) in taken {
                    tasks.spawn(attempt::run(
                        Arc::clone(&worker),
                        chain,
                        permit,
                        outcomes.clone(),
                        stop.clone(),
                    ));
                }
            }
            Err(failure) => {
                tracing::warn!(%failure, cause = failure.cause_chain(), "webhooks that are due not looked at");
                pause = delays.next_delay();
            }
        }
        tokio::select! {
            () = bell.notified() => {}
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// What is due, each with its place among those that may run at once. A place is given back when the outcome is written
/// down, which rings the bell.
async fn take(
    worker: &Worker,
    room: &Arc<Semaphore>,
) -> Result<Vec<(Vec<Due>, OwnedSemaphorePermit)>, Failure> {
    let settings = &worker.settings.webhooks;
    let free = room.available_permits().min(AT_ONCE);
    if free == 0 {
        return Ok(Vec::new());
    }
    // A chain goes on for as long as an attempt may take, and then the one under way may take as long.
    let lease = settings.timeout * 2 + LEASE_MARGIN;
    let chains = worker.outbox.take(free, settings.in_flight_per_endpoint, lease).await?;
    // Nobody else takes places, so there is one for each.
    let with_place = |chain| Some((chain, Arc::clone(room).try_acquire_owned().ok()?));
    Ok(chains.into_iter().filter_map(with_place).collect())
}
