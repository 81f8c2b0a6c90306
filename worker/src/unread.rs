//! Passwords that nobody took in time: the audit says so.
//!
//! Every worker looks; the event is unique per ticket. The sealed password itself went with its lifetime in the ticket
//! store.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rolecall_shared::domain::Failure;

use crate::Worker;

const AT_ONCE: usize = 500;
/// What a process that starts looks back: twice the longest life of a password, so that nothing is missed that expired
/// while no worker ran for a week.
const FIRST_LOOK: Duration = Duration::from_hours(24 * 14);
/// What every later look takes up again of the one before, for settlements that came late and clocks that differ.
const OVERLAP: Duration = Duration::from_mins(5);

/// Looks every `worker.sweep`.
pub(crate) async fn run(worker: Arc<Worker>) {
    let mut after = worker.clock.now() - FIRST_LOOK;
    loop {
        tokio::time::sleep(worker.settings.worker.sweep).await;
        match expire(&worker, after).await {
            Ok(until) => after = until - OVERLAP,
            Err(failure) => tracing::debug!(%failure, "passwords that nobody took not looked at"),
        }
    }
}

/// Writes down what expired since `after`; answers until when that is.
async fn expire(worker: &Worker, after: Timestamp) -> Result<Timestamp, Failure> {
    // A take that was let in at the last moment has ended by then: it asks three times, each at most twice this long.
    let under_way = worker.settings.control.timeout.saturating_mul(7);
    let until = worker.clock.now() - under_way;
    while worker.control.expire_unread(after, until, AT_ONCE).await? == AT_ONCE {}
    Ok(until)
}
