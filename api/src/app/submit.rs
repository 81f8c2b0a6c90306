//! Submitting one job.

use std::sync::Arc;
use std::time::Duration;

use rolecall_shared::domain::ticket::{State, Ticket};
use rolecall_shared::domain::{Code, Failure, Job, Operation, Target, TicketId};
use tokio::time::Instant;

use super::keep::{Keeper, Kept, key_reused};
use super::submission::Submission;
use super::{App, hosts, tickets, webhooks};
use crate::auth::Caller;

/// How long a submit under a key waits for the ticket store to be whole, and how often it asks.
const REBUILT_WITHIN: Duration = Duration::from_secs(1);
const ASK_AGAIN: Duration = Duration::from_millis(50);

impl App {
    pub(super) fn keeper(&self) -> Keeper {
        Keeper {
            tickets: Arc::clone(&self.tickets),
            queue: Arc::clone(&self.queue),
            confirm_timeout: self.settings.api.confirm_timeout,
        }
    }
}

/// What became of a request for a job.
pub(crate) struct Submitted {
    /// The ticket of the job.
    pub(crate) ticket: Ticket,
    /// It was there before: the request is a retry.
    pub(crate) is_retry: bool,
}

/// Under which ticket a job is submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Under {
    /// A ticket of its own.
    Fresh(TicketId),
    /// One under which it may have been submitted before.
    Known(TicketId),
}

impl Under {
    /// The ticket that the request itself asks for.
    fn of(asked: &Submission, caller: &Caller, app: &App) -> Self {
        let ticket = asked.ticket_id(caller, app.clock.now());
        if asked.key.is_some() { Self::Known(ticket) } else { Self::Fresh(ticket) }
    }

    pub(super) fn ticket(self) -> TicketId {
        match self {
            Self::Fresh(ticket) | Self::Known(ticket) => ticket,
        }
    }
}

/// Keeps a job and answers its ticket; with a key that is known, the ticket that is there.
pub(crate) async fn submit(caller: &Caller, app: &Arc<App>, asked: Submission) -> Result<Submitted, Failure> {
    let under = Under::of(&asked, caller, app);
    let kept = keep(caller, app, asked, under).await?;
    let is_retry = matches!(kept, Kept::Before(_));
    Ok(Submitted { ticket: present(caller, app, kept).await?, is_retry })
}

/// The same under a ticket that somebody else has chosen.
pub(super) async fn keep(
    caller: &Caller,
    app: &Arc<App>,
    asked: Submission,
    under: Under,
) -> Result<Kept, Failure> {
    let operation = asked.operation.clone();
    let kept = keep_one(caller, app, asked, under).await;
    count(app, &operation, kept.as_ref().err());
    kept
}

/// Whether the caller may submit this, and its target takes jobs.
pub(super) async fn check(caller: &Caller, app: &App, asked: &Submission) -> Result<Target, Failure> {
    app.may_submit(caller, &asked.operation, &asked.target)?;
    let found = app.control.find_target(&asked.target).await?;
    usable(found.as_ref()).cloned()
}

async fn keep_one(caller: &Caller, app: &Arc<App>, asked: Submission, under: Under) -> Result<Kept, Failure> {
    let target = check(caller, app, &asked).await?;
    match admit_under(caller, app, asked, &target, under).await? {
        Admitted::Before(ticket) => Ok(Kept::Before(ticket)),
        Admitted::New(job) => {
            let keeper = app.keeper();
            // To its end, also when the caller goes away: between ticket and confirm nobody else knows of the job.
            let kept = app.tasks.spawn(async move { keeper.keep(vec![*job]).await }).await;
            let mut kept = kept.map_err(Failure::internal)?;
            kept.pop().unwrap_or_else(|| Err(Failure::internal("no answer for a job")))
        }
    }
}

/// A target that takes jobs.
pub(super) fn usable(target: Option<&Target>) -> Result<&Target, Failure> {
    let target = target
        .ok_or_else(|| Failure::new(Code::TargetNotFound, "There is no such target; register it first."))?;
    if target.active {
        Ok(target)
    } else {
        Err(Failure::new(Code::TargetInactive, "The target is not active and takes no jobs."))
    }
}

/// What stands at the door.
pub(super) enum Admitted {
    /// A retry of something that is known.
    Before(Box<Ticket>),
    /// A job to keep.
    New(Box<Job>),
}

/// Decides between a retry and a new job; a drain and the backlog limit are for new ones only.
pub(super) async fn admit(
    caller: &Caller,
    app: &App,
    asked: Submission,
    target: &Target,
) -> Result<Admitted, Failure> {
    let under = Under::of(&asked, caller, app);
    admit_under(caller, app, asked, target, under).await
}

async fn admit_under(
    caller: &Caller,
    app: &App,
    asked: Submission,
    target: &Target,
    under: Under,
) -> Result<Admitted, Failure> {
    let callback = match &asked.callback {
        Some(callback) => Some(webhooks::resolve(caller, app, callback).await?),
        None => None,
    };
    let (ticket, now) = (under.ticket(), app.clock.now());
    let job = asked.into_job(caller, ticket, target, callback, &app.settings.tickets, now);
    if let Under::Known(_) = under
        && let Some(admitted) = retried(app, &job).await?
    {
        return Ok(admitted);
    }
    hosts::takes_jobs(app.control.find_host(&job.host).await?.as_ref())?;
    app.backlog.admit(&*app.queue, &job.host).await?;
    Ok(Admitted::New(Box::new(job)))
}

async fn retried(app: &App, job: &Job) -> Result<Option<Admitted>, Failure> {
    if app.tickets.find(job.ticket).await?.is_some() {
        // Which state it is in, and whether it is the same request, is decided when it is accepted, in one step.
        return Ok(Some(Admitted::New(Box::new(job.clone()))));
    }
    // The ticket store forgets finished tickets after a while, and may have been lost: history has not. What waits in a
    // message only must not be met by another request under its id.
    match found_when_rebuilt(app, job.ticket).await? {
        Some(before) if before.job.fingerprint == job.fingerprint => {
            Ok(Some(Admitted::Before(Box::new(before))))
        }
        Some(_) => Err(key_reused()),
        None => Ok(None),
    }
}

/// Workers rebuild within a moment; for longer than that nobody is kept waiting.
async fn found_when_rebuilt(app: &App, id: TicketId) -> Result<Option<Ticket>, Failure> {
    let end = Instant::now() + REBUILT_WITHIN;
    loop {
        match tickets::find_lost(app, id).await {
            Err(failure) if failure.code() == Code::TicketNotYetRebuilt && Instant::now() < end => {
                tokio::time::sleep(ASK_AGAIN).await;
            }
            found => return found,
        }
    }
}

/// The ticket to show for a job that is kept.
pub(super) async fn present(caller: &Caller, app: &App, kept: Kept) -> Result<Ticket, Failure> {
    match kept {
        Kept::Before(ticket) => Ok(*ticket),
        Kept::Now(job, state) if state.is_final() => {
            // A lane was faster than this answer. The job is accepted whatever the store says now.
            let id = job.ticket;
            match tickets::find(caller, app, id).await {
                Ok(ticket) => Ok(ticket),
                Err(failure) => {
                    tracing::warn!(ticket = %id, %failure, "a finished ticket could not be read back");
                    Ok(fresh(*job, State::Running))
                }
            }
        }
        Kept::Now(job, state) => Ok(fresh(*job, state)),
    }
}

fn fresh(job: Job, state: State) -> Ticket {
    Ticket { job, state, revision: 0, attempts: 0, ending: None, finished_at: None, dead_lettered: None }
}

/// Counts what became of a job that could be read.
pub(super) fn count(app: &App, operation: &Operation, refused: Option<&Failure>) {
    match refused {
        None => app.metrics.job_submitted(operation),
        Some(failure) => app.metrics.job_refused(failure.code()),
    }
}
