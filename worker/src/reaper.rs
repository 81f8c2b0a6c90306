//! What ends without a lane: deadlines and cancels, settled from the ticket store's list and not from the queue, so that
//! they fire for hosts that are paused or dead too. And tickets that do not move any more, because only history knows
//! their end, or because the broker has lost their messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use rolecall_shared::control::Settlement;
use rolecall_shared::domain::ticket::{Ending, State, Ticket};
use rolecall_shared::domain::{Class, Failure, HostKey, Job, TicketId};
use rolecall_shared::queue::{BellDelay, Depth};
use rolecall_shared::tickets::{Close, ClosingAs, Settled};

use crate::Worker;

const AT_ONCE: usize = 256;

/// Looks every `worker.reap`. Every worker does; ending twice is ending once.
pub(crate) async fn run(worker: Arc<Worker>) {
    loop {
        tokio::time::sleep(worker.settings.worker.reap).await;
        if let Err(failure) = reap(&worker).await {
            tracing::debug!(%failure, "deadlines not looked at");
        }
        if let Err(failure) = look_after_unmoved(&worker).await {
            tracing::debug!(%failure, "tickets that do not move not looked at");
        }
    }
}

/// Looks after the tickets that have not moved for `worker.stale`: ends what history knows as ended, and brings back
/// messages that are nowhere.
async fn look_after_unmoved(worker: &Worker) -> Result<(), Failure> {
    let unmoved = worker.tickets.unmoved(AT_ONCE, worker.settings.worker.stale).await?;
    if unmoved.is_empty() {
        return Ok(());
    }
    let mut ended = worker.control.find_history(&unmoved).await?;
    let mut promised: BTreeMap<HostKey, Vec<Job>> = BTreeMap::new();
    for id in unmoved {
        if let Some(Settlement { job, ending, finished_at, .. }) = ended.remove(&id) {
            tracing::warn!(ticket = %id, "the ticket store holds a ticket in an older state than history");
            worker.tickets.restore_final(&Settled { job, ending, finished_at }).await?;
        } else if let Some(ticket) = worker.tickets.find(id).await?.filter(is_promised) {
            promised.entry(ticket.job.host.clone()).or_default().push(ticket.job);
        }
    }
    for (host, jobs) in promised {
        publish_again(worker, &host, jobs).await?;
    }
    Ok(())
}

/// Its message must be on its host's queue, or in the hands of a lane.
fn is_promised(ticket: &Ticket) -> bool {
    matches!(ticket.state, State::Queued | State::Running) && ticket.dead_lettered.is_none()
}

/// A queue that is empty and that nobody consumes holds no message of a ticket that is not over: the broker has lost
/// it, and the ticket carries all that was in it. Should it turn up after all, a lane runs a ticket once.
async fn publish_again(worker: &Worker, host: &HostKey, mut jobs: Vec<Job>) -> Result<(), Failure> {
    if worker.queue.depth(host).await? != Depth::default() {
        return Ok(());
    }
    jobs.sort_by_key(|job| job.submitted_at);
    tracing::warn!(%host, jobs = jobs.len(), "the broker has lost messages: they are published again");
    for job in &jobs {
        worker.queue.publish(job).await?;
    }
    worker.queue.ring(host, BellDelay::Now).await
}

async fn reap(worker: &Worker) -> Result<(), Failure> {
    loop {
        let due = worker.tickets.due(AT_ONCE).await?;
        let mut any_ended = false;
        for &ticket in &due {
            match expire(worker, ticket).await {
                Ok(has_ended) => any_ended |= has_ended,
                Err(failure) if failure.code().class() == Class::Unavailable => return Err(failure),
                // One that cannot be read must not keep those behind it waiting.
                Err(failure) => {
                    tracing::error!(%ticket, %failure, cause = failure.cause_chain(), "a deadline cannot be settled");
                }
            }
        }
        if due.len() < AT_ONCE || !any_ended {
            return Ok(());
        }
    }
}

/// Ends a ticket whose deadline passed before it ran. Answers false when a lane has it, or had it.
pub(crate) async fn expire(worker: &Worker, ticket: TicketId) -> Result<bool, Failure> {
    match worker.tickets.close(ticket, ClosingAs::Expired).await? {
        Close::Closing(ticket, closing) => {
            finish_closing(worker, &ticket, closing).await?;
            Ok(true)
        }
        Close::Not(_) | Close::Unknown => Ok(false),
    }
}

/// `closing` is on its way to an end: first the audit row, then the state. Whoever meets it finishes it.
pub(crate) async fn finish_closing(
    worker: &Worker,
    ticket: &Ticket,
    closing: ClosingAs,
) -> Result<(), Failure> {
    let ending = match closing {
        ClosingAs::Cancelled => Ending::Cancelled,
        ClosingAs::Expired => Ending::Expired,
    };
    let finished_at = worker.clock.now();
    let job = ticket.job.clone();
    let settlement =
        Settlement { job: job.clone(), ending: ending.clone(), finished_at, attempts: ticket.attempts };
    worker.control.settle(&[settlement]).await?;
    // History keeps the first ending. It is another one if the ticket store has come back older than it was: then
    // the job had ended before, and what it ended with stands.
    let held = worker.control.find_history(&[job.ticket]).await?.remove(&job.ticket);
    if let Some(held) = held.filter(|held| held.ending != ending) {
        let Settlement { job, ending, finished_at, .. } = held;
        return worker.tickets.restore_final(&Settled { job, ending, finished_at }).await;
    }
    worker.metrics.job_settled(
        &job.operation,
        &ending,
        finished_at.duration_since(job.submitted_at).unsigned_abs(),
    );
    worker.tickets.closed(&Settled { job, ending, finished_at }).await
}
