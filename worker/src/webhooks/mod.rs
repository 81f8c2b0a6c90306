//! Telling receivers what happened: what the control database holds for them is taken, sent and recorded.
//!
//! * `dispatch`: takes what is due and lets attempts run, as many at once as are allowed.
//! * `attempt`: one attempt, from the keys that sign to what came of it. `verdict`: what follows from an answer.
//! * `record`: writes down what came of attempts, many at once; disables endpoints that are gone.
//! * `wake`: hears that there is something new. `tidy`: what is too old to be listed.
//! * `rules`: the notification rules of the configuration. What they tell goes through a channel, and not to a URL.
//!
//! Works on connections to the control database of its own, in tasks of its own, with a bound per endpoint: a receiver
//! that hangs delays nobody but itself, and no lane waits for anything here. Never decides what is told to whom; that is
//! written in the transaction of what happened. Tested in `tests/tests/webhooks`.

mod attempt;
mod dispatch;
mod record;
mod rules;
mod tidy;
mod verdict;
mod wake;

use std::sync::Arc;
use std::time::Duration;

use rolecall_shared::domain::Actor;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Worker;

/// Longer than an attempt may take by this much, a lease is over: enough to write down what came of it.
const LEASE_MARGIN: Duration = Duration::from_secs(5);
/// The most outcomes that are written down at once.
const AT_ONCE: usize = 256;

/// Begins all of it; it ends soon after `stop`, attempts under way included.
pub(crate) fn start(worker: &Arc<Worker>, tasks: &TaskTracker, stop: &CancellationToken) {
    let bell = Arc::new(Notify::new());
    // As long as an attempt may be under way its outcome has a place here.
    let (outcomes, ended) = mpsc::channel(worker.settings.webhooks.in_flight.max(1));
    tasks.spawn(record::run(Arc::clone(worker), ended, Arc::clone(&bell)));
    tasks.spawn(dispatch::run(Arc::clone(worker), outcomes, Arc::clone(&bell), tasks.clone(), stop.clone()));
    tasks.spawn(stop.clone().run_until_cancelled_owned(wake::run(Arc::clone(worker), bell)));
    tasks.spawn(stop.clone().run_until_cancelled_owned(tidy::run(Arc::clone(worker))));
    tasks.spawn(stop.clone().run_until_cancelled_owned(rules::run(Arc::clone(worker))));
}

/// As whom the audit knows what a worker does by itself.
pub(crate) fn actor() -> Actor {
    Actor {
        account: "rolecall".to_owned(),
        owner: "rolecall".to_owned(),
        address: None,
        via: Some("worker".to_owned()),
    }
}
