//! Rolecall's worker: one lane per target host.
//!
//! * `bells`: answers the doorbell, at most one lane per host and a bounded number at once.
//! * `lane`: a host's turn: the host lock, the exclusive consumer, batch after batch.
//! * `jobs`: what each operation does to a role; one file per operation, no I/O.
//! * `reaper`: deadlines, also for hosts that are paused or dead; tickets that the store set back.
//! * `sweeper`: rings for hosts whose bell was lost.
//! * `rebuilder`: tickets of waiting messages, after the ticket store was lost.
//! * `notary`: checkpoints of the audit, and what a process that died left outside of its ledger.
//! * `unread`: passwords that nobody took in time.
//! * `months`: the months of history that come.
//! * `webhooks`: tells receivers what happened.
//!
//! Never acknowledges a job whose ending is not in the control database, and never shows an ending that is not.
//! Tested end to end in the `tests` crate.

mod bells;
mod jobs;
mod lane;
mod months;
mod notary;
mod reaper;
mod rebuilder;
mod sweeper;
mod unread;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use rolecall_shared::audit::SigningKey;
use rolecall_shared::config::Settings;
use rolecall_shared::control::{Control, Outbox};
use rolecall_shared::domain::Clock;
use rolecall_shared::notify::Notifier;
use rolecall_shared::outbound::Outbound;
use rolecall_shared::queue::Queue;
use rolecall_shared::seal::KeyRing;
use rolecall_shared::target::{Connector, IdleSessions};
use rolecall_shared::telemetry::Metrics;
use rolecall_shared::tickets::Tickets;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Everything a worker works with.
pub struct Worker {
    /// The checked settings.
    pub settings: Arc<Settings>,
    /// Registry, audit and history.
    pub control: Control,
    /// What is to be told to webhooks.
    pub outbox: Outbox,
    /// Sends it.
    pub outbound: Outbound,
    /// Sends what notification rules say.
    pub notifier: Notifier,
    /// Live tickets and sealed secrets.
    pub tickets: Arc<dyn Tickets>,
    /// Jobs and bells.
    pub queue: Arc<dyn Queue>,
    /// Opens sessions on targets.
    pub connector: Connector,
    /// Sessions with the lock databases, kept from one turn to the next.
    pub sessions: IdleSessions,
    /// Seals generated passwords.
    pub keys: KeyRing,
    /// Signs the audit's checkpoints; without one there are none.
    pub audit_key: Option<SigningKey>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Metrics,
}

/// Works until `stop`, then finishes the batches under way and gives back the rest.
///
/// Returns true when everything ended within `worker.grace`; otherwise lanes were abandoned, which costs nothing
/// but the time until the broker takes their jobs back.
pub async fn run(worker: Arc<Worker>, stop: CancellationToken) -> bool {
    let tasks = TaskTracker::new();
    tasks.spawn(bells::answer(Arc::clone(&worker), tasks.clone(), stop.clone()));
    tasks.spawn(stop.clone().run_until_cancelled_owned(reaper::run(Arc::clone(&worker))));
    tasks.spawn(stop.clone().run_until_cancelled_owned(sweeper::run(Arc::clone(&worker))));
    tasks.spawn(stop.clone().run_until_cancelled_owned(rebuilder::run(Arc::clone(&worker))));
    tasks.spawn(stop.clone().run_until_cancelled_owned(notary::run(Arc::clone(&worker))));
    tasks.spawn(stop.clone().run_until_cancelled_owned(unread::run(Arc::clone(&worker))));
    tasks.spawn(stop.clone().run_until_cancelled_owned(months::run(Arc::clone(&worker))));
    webhooks::start(&worker, &tasks, &stop);
    tasks.spawn(stop.clone().run_until_cancelled_owned(close_idle(worker.sessions.clone())));
    stop.cancelled().await;
    tracing::info!("stopping: finishing the batches under way");
    tasks.close();
    tokio::time::timeout(worker.settings.worker.grace, tasks.wait()).await.is_ok()
}

async fn close_idle(sessions: IdleSessions) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    loop {
        every.tick().await;
        sessions.close_idle();
    }
}
