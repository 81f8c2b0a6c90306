//! What ends without a lane: deadlines and cancels, settled from the ticket store's list and not from the queue, so that
//! they fire for hosts that are paused or dead too; and tickets whose end only history knows, because the store came
//! back older than it was.

use std::sync::Arc;

use rolecall_shared::control::Settlement;
use rolecall_shared::domain::ticket::{Ending, Ticket};
use rolecall_shared::domain::{Class, Failure, TicketId};
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
        if let Err(failure) = end_from_history(&worker).await {
            tracing::debug!(%failure, "tickets that do not move not looked at");
        }
    }
}

/// Ends what history knows as ended among the tickets that have not moved for `worker.stale`.
async fn end_from_history(worker: &Worker) -> Result<(), Failure> {
    let unmoved = worker.tickets.unmoved(AT_ONCE, worker.settings.worker.stale).await?;
    if unmoved.is_empty() {
        return Ok(());
    }
    for (ticket, Settlement { job, ending, finished_at, .. }) in worker.control.find_history(&unmoved).await?
    {
        tracing::warn!(%ticket, "the ticket store holds a ticket in an older state than history");
        worker.tickets.restore_final(&Settled { job, ending, finished_at }).await?;
    }
    Ok(())
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
