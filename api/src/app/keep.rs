//! Accepted means kept: ticket, message and confirm, in that order.
//!
//! The crash windows. Before the ticket: nothing happened. Between ticket and confirm: an `accepting` ticket that a
//! retry with the same key picks up; a message without a confirm may exist, and a lane that meets it runs it. Between
//! confirm and `queued`: the same, and the lane runs it. Whatever happened, 202 is said only after the confirm.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, future, stream};
use rolecall_shared::domain::ticket::{State, Ticket};
use rolecall_shared::domain::{Code, Failure, HostKey, Job, TicketId};
use rolecall_shared::failpoints::{Failpoint, reach};
use rolecall_shared::queue::{BellDelay, Queue};
use rolecall_shared::tickets::{Accepted, Enqueued, Tickets};
use tokio::task::coop;

/// How many questions of one batch are on their way to a server at once.
const WINDOW: usize = 64;

/// The servers that keep a job.
#[derive(Clone)]
pub(crate) struct Keeper {
    pub(crate) tickets: Arc<dyn Tickets>,
    pub(crate) queue: Arc<dyn Queue>,
    /// How long one publish may take before its ticket is withdrawn.
    pub(crate) confirm_timeout: Duration,
}

/// A job that is kept.
#[derive(Debug)]
pub(crate) enum Kept {
    /// Confirmed now, and where its ticket stands: a lane may have been faster than this answer.
    Now(Box<Job>, State),
    /// The ticket was there before: a retry.
    Before(Box<Ticket>),
}

impl Kept {
    pub(super) fn ticket_id(&self) -> TicketId {
        match self {
            Self::Now(job, _) => job.ticket,
            Self::Before(ticket) => ticket.job.ticket,
        }
    }
}

type Answer = Result<Kept, Failure>;

impl Keeper {
    /// Keeps each of the jobs, in order, or says why not; one answer per job. Jobs of one host enter its queue in
    /// the order given.
    pub(crate) async fn keep(&self, jobs: Vec<Job>) -> Vec<Answer> {
        let mut answers: BTreeMap<usize, Answer> = BTreeMap::new();
        let (firsts, copies) = split_copies(jobs, &mut answers);

        let accepted = stream::iter(firsts)
            .map(|(at, job)| async move { (at, self.accept(job).await) })
            .buffered(WINDOW)
            .collect::<Vec<_>>()
            .await;
        let mut hosts: BTreeMap<HostKey, Vec<(usize, Job)>> = BTreeMap::new();
        for (at, step) in accepted {
            match step {
                Step::Publish(job) => hosts.entry(job.host.clone()).or_default().push((at, *job)),
                Step::Answered(answer) => drop(answers.insert(at, answer)),
            }
        }
        let broker_is_down = AtomicBool::new(false);
        let published = hosts.into_values().map(|jobs| self.publish_in_order(jobs, &broker_is_down));
        answers.extend(future::join_all(published).await.into_iter().flatten());

        for (at, first) in copies {
            let copy = match answers.get(&first) {
                Some(Ok(Kept::Now(job, state))) => Ok(Kept::Now(job.clone(), *state)),
                Some(Ok(Kept::Before(ticket))) => Ok(Kept::Before(ticket.clone())),
                Some(Err(failure)) => Err(Failure::new(failure.code(), failure.detail())),
                None => Err(Failure::internal("a copy without its original")),
            };
            answers.insert(at, copy);
        }
        answers.into_values().collect()
    }

    async fn accept(&self, job: Job) -> Step {
        reach(Failpoint::BeforeAccept);
        match self.tickets.accept(&job).await {
            Ok(Accepted::New) => Step::Publish(Box::new(job)),
            // Its first try is under way, or died before the confirm. A second message is harmless: a lane runs a
            // ticket once.
            Ok(Accepted::Known(ticket)) if ticket.state == State::Accepting => {
                Step::Publish(Box::new(ticket.job))
            }
            Ok(Accepted::Known(ticket)) => Step::Answered(Ok(Kept::Before(Box::new(ticket)))),
            Ok(Accepted::Reused) => Step::Answered(Err(key_reused())),
            Err(failure) => Step::Answered(Err(failure)),
        }
    }

    /// The first one alone: if the host's queue is not known to this process yet it is declared first, and later
    /// messages could overtake the one that waits for it.
    async fn publish_in_order(&self, jobs: Vec<(usize, Job)>, down: &AtomicBool) -> Vec<(usize, Answer)> {
        let mut jobs = jobs.into_iter();
        let mut answers = Vec::with_capacity(jobs.len());
        if let Some((at, job)) = jobs.next() {
            answers.push((at, self.publish(job, down).await));
        }
        // `buffered` starts its futures in order, and a publish enters the publisher's line when it is started. But
        // not if tokio's budget of the task is spent by then: it makes them yield, and wakes them last in, first out.
        let rest = stream::iter(jobs).map(|(at, job)| async move { (at, self.publish(job, down).await) });
        answers.extend(coop::unconstrained(rest.buffered(WINDOW).collect::<Vec<_>>()).await);
        answers
    }

    async fn publish(&self, job: Job, down: &AtomicBool) -> Answer {
        reach(Failpoint::AfterAccept);
        // After one silence the rest of a batch is not made to wait for the same silence.
        let published = if down.load(Ordering::Relaxed) {
            Err(no_confirm())
        } else {
            match tokio::time::timeout(self.confirm_timeout, self.queue.publish(&job)).await {
                Ok(published) => published,
                Err(_) => Err(no_confirm()),
            }
        };
        match published {
            Ok(()) => self.enqueue(job).await,
            Err(failure) => {
                down.store(true, Ordering::Relaxed);
                self.withdraw(job, failure).await
            }
        }
    }

    async fn enqueue(&self, job: Job) -> Answer {
        reach(Failpoint::AfterConfirm);
        let Enqueued { state, ring } =
            self.tickets.enqueue(job.ticket, &job.host).await.map_err(|failure| unknown(&job, failure))?;
        if state == State::Withdrawn {
            // Another submit with the same key got no confirm and withdrew the ticket under us: the lane drops it.
            return Err(no_confirm().about(job.ticket));
        }
        reach(Failpoint::AfterEnqueue);
        if ring && let Err(failure) = self.queue.ring(&job.host, BellDelay::Now).await {
            // The job is safe; the sweeper rings every host that has messages and nobody working.
            tracing::warn!(host = %job.host, %failure, cause = failure.cause_chain(), "the doorbell did not ring");
        }
        reach(Failpoint::AfterRing);
        Ok(Kept::Now(Box::new(job), state))
    }

    async fn withdraw(&self, job: Job, failure: Failure) -> Answer {
        match self.tickets.withdraw(job.ticket).await {
            Ok(None | Some(State::Withdrawn)) => Err(failure),
            // The message did arrive, and a lane or another submit was faster.
            Ok(Some(state)) => Ok(Kept::Now(Box::new(job), state)),
            Err(store) => Err(unknown(&job, store)),
        }
    }
}

enum Step {
    Publish(Box<Job>),
    Answered(Answer),
}

/// Copies of one ticket within a batch: the first one counts, so that which one wins is not left to chance.
#[expect(clippy::type_complexity, reason = "positions beside what stands there, for one caller")]
fn split_copies(
    jobs: Vec<Job>,
    answers: &mut BTreeMap<usize, Answer>,
) -> (Vec<(usize, Job)>, Vec<(usize, usize)>) {
    let mut seen: HashMap<TicketId, (usize, String)> = HashMap::new();
    let (mut firsts, mut copies) = (Vec::with_capacity(jobs.len()), Vec::new());
    for (at, job) in jobs.into_iter().enumerate() {
        match seen.get(&job.ticket) {
            None => {
                seen.insert(job.ticket, (at, job.fingerprint.clone()));
                firsts.push((at, job));
            }
            Some((first, fingerprint)) if *fingerprint == job.fingerprint => copies.push((at, *first)),
            Some(_) => drop(answers.insert(at, Err(key_reused()))),
        }
    }
    (firsts, copies)
}

/// The key stands for another request.
pub(crate) fn key_reused() -> Failure {
    Failure::new(
        Code::IdempotencyKeyReused,
        "This idempotency key was used for another request; use a new key for a new request.",
    )
}

pub(super) fn no_confirm() -> Failure {
    Failure::new(Code::BrokerUnavailable, "The message broker did not confirm in time; nothing was accepted.")
}

fn unknown(job: &Job, cause: Failure) -> Failure {
    Failure::new(
        Code::OutcomeUnknown,
        "The ticket store failed in the middle: the job may or may not run. Look at the ticket, or send the \
         request again with the same idempotency key.",
    )
    .about(job.ticket)
    .caused_by(cause)
}

#[cfg(test)]
mod tests;
