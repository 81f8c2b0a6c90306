//! What an operator does with messages that were put aside: looks, has them done again, throws them away.
//!
//! Nothing leaves the dead queue before its audit row is committed, and nothing before it is safe elsewhere: a message
//! is confirmed on its host's queue, or its new job is kept, and only then acknowledged here. Whatever is interrupted
//! can be typed again. One operator at a time; a second one waits a little, and is then told.
//!
//! No job is done twice. One that has not ended goes back as it is, and a lane runs a ticket once. One that was given
//! up (`attempts_exhausted`) is over, so a new job does it again, under an id that follows from the old one: copies of
//! the message, and commands that are repeated, all meet the same job. What ended otherwise is not done again.
//!
//! Tested end to end in `tests/tests/dead.rs`.

use std::sync::Arc;
use std::time::Duration;

use rolecall_shared::control::{Control, Ended, Settlement};
use rolecall_shared::domain::ticket::{Ending, State, Ticket};
use rolecall_shared::domain::{Actor, Class, Clock, Code, Event, EventName, Failure, HostKey, Job, TicketId};
use rolecall_shared::failpoints::{Failpoint, reach};
use rolecall_shared::queue::{BellDelay, DeadMessage, DeadQueue, Queue};
use rolecall_shared::tickets::Tickets;
use serde_json::json;
use tokio::time::Instant;

use super::cancel;
use super::hosts::takes_jobs;
use super::keep::{Keeper, Kept};
use super::submit::usable;

/// How many messages are looked through at most; what lies behind them is seen when some of these are gone.
pub const MOST: u16 = 10_000;
/// How long another operator is waited for, and how often he is asked.
const PATIENCE: Duration = Duration::from_secs(5);
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// The servers that hold what was put aside and what belongs to it.
pub struct DeadLetters {
    /// Audit, history, targets.
    pub control: Control,
    /// Live tickets.
    pub tickets: Arc<dyn Tickets>,
    /// The queues.
    pub queue: Arc<dyn Queue>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// How long one publish may take.
    pub confirm_timeout: Duration,
}

/// The head of the dead queue.
#[derive(Debug)]
pub struct Listed {
    /// In the order in which they were put aside.
    pub messages: Vec<DeadMessage>,
    /// How many lie behind them.
    pub more: u64,
}

/// Which messages are meant.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// Those of this name: more than one if it was put aside twice.
    Named(&'a str),
    /// All that are there now.
    All,
}

/// What became of one message.
#[derive(Debug)]
pub struct Answer<T> {
    /// Its name.
    pub id: String,
    /// It stays where it was if this is a failure.
    pub done: Result<T, Failure>,
}

/// How a message was replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// It is back on its host's queue, with the ticket it has.
    AsItIs,
    /// Its ticket had failed; this one does the same again.
    As(TicketId),
}

/// What is known of the ticket of a message.
#[derive(Debug)]
pub enum Standing {
    /// Nothing: it names no ticket, or one that the ticket store has lost. A lane rebuilds it from the message.
    Unknown,
    /// It has not ended.
    Open(Ticket),
    /// It ended.
    Ended(Job, Ending),
    /// It ended so long ago that how is not kept any more, or is in an archive that cannot be read here.
    Forgotten,
    /// It was never accepted.
    Withdrawn,
}

impl DeadLetters {
    /// The first `limit` messages, none of which is touched.
    pub async fn list(&self, limit: u16) -> Result<Listed, Failure> {
        let mut dead = self.open(limit).await?;
        let mut messages = Vec::new();
        while let Some(message) = dead.next().await? {
            messages.push(message);
        }
        let more = dead.left().await?;
        dead.release().await?;
        Ok(Listed { messages, more })
    }

    /// The messages of this name, each with what is known of its ticket. [`Code::NotFound`] if there is none.
    pub async fn show(&self, id: &str) -> Result<Vec<(DeadMessage, Standing)>, Failure> {
        let mut dead = self.open(MOST).await?;
        let found = choose(&mut *dead, Which::Named(id)).await?;
        dead.release().await?;
        let mut shown = Vec::with_capacity(found.len());
        for message in found {
            let standing = self.standing(message.ticket()).await?;
            shown.push((message, standing));
        }
        Ok(shown)
    }

    /// Has messages done again. Ends early when one of our own servers does not answer.
    pub async fn replay(&self, which: Which<'_>, actor: &Actor) -> Result<Vec<Answer<Replayed>>, Failure> {
        let mut dead = self.open(MOST).await?;
        let mut answers = Vec::new();
        for message in choose(&mut *dead, which).await? {
            let done = self.replay_one(&mut *dead, &message, actor).await;
            let goes_on = done.as_ref().err().is_none_or(concerns_one_message);
            answers.push(Answer { id: message.id, done });
            if !goes_on {
                break;
            }
        }
        dead.release().await?;
        Ok(answers)
    }

    /// Throws messages away. A ticket that has not ended is cancelled: nobody waits for it any more.
    pub async fn discard(&self, id: &str, actor: &Actor) -> Result<Vec<Answer<()>>, Failure> {
        let mut dead = self.open(MOST).await?;
        let mut answers = Vec::new();
        for message in choose(&mut *dead, Which::Named(id)).await? {
            let done = self.discard_one(&mut *dead, &message, actor).await;
            answers.push(Answer { id: message.id, done });
        }
        dead.release().await?;
        Ok(answers)
    }

    async fn open(&self, limit: u16) -> Result<Box<dyn DeadQueue>, Failure> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(dead) = self.queue.open_dead(limit).await? {
                return Ok(dead);
            }
            if Instant::now() >= end {
                let detail = "Somebody else is at work on the dead queue; try again when he is done.";
                return Err(Failure::new(Code::TooManyRequests, detail));
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// History first: the ticket store may have come back older than it was.
    async fn standing(&self, ticket: Option<TicketId>) -> Result<Standing, Failure> {
        let Some(id) = ticket else { return Ok(Standing::Unknown) };
        match self.control.find_ended(id).await {
            Ok(Ended::Not) => {}
            Ok(Ended::As(settlement)) => {
                let Settlement { job, ending, .. } = *settlement;
                return Ok(Standing::Ended(job, ending));
            }
            Ok(Ended::Forgotten) => return Ok(Standing::Forgotten),
            Err(failure)
                if [Code::HistoryArchiveUnavailable, Code::HistoryArchiveDamaged]
                    .contains(&failure.code()) =>
            {
                tracing::warn!(ticket = %id, %failure, "how a ticket ended cannot be read");
                return Ok(Standing::Forgotten);
            }
            Err(failure) => return Err(failure),
        }
        Ok(match self.tickets.find(id).await? {
            None => Standing::Unknown,
            Some(Ticket { job, ending: Some(ending), .. }) => Standing::Ended(job, ending),
            Some(ticket) if ticket.state == State::Withdrawn => Standing::Withdrawn,
            Some(ticket) => Standing::Open(ticket),
        })
    }

    async fn replay_one(
        &self,
        dead: &mut dyn DeadQueue,
        message: &DeadMessage,
        actor: &Actor,
    ) -> Result<Replayed, Failure> {
        let replayed = match self.standing(message.ticket()).await? {
            Standing::Ended(job, Ending::Failed { code: Code::AttemptsExhausted, .. }) => {
                Replayed::As(self.do_again(job, message, actor).await?)
            }
            Standing::Ended(_, ending) => return Err(ended(ending.word())),
            Standing::Forgotten => return Err(ended("forgotten")),
            Standing::Withdrawn => return Err(ended(State::Withdrawn.as_str())),
            Standing::Unknown | Standing::Open(_) => {
                let host = message.host.as_ref().ok_or_else(|| no_host(message))?;
                self.control.record_act(&self.event(EventName::DeadReplayed, message, actor, None)).await?;
                dead.put_back(message.tag, host).await?;
                self.ring(host).await;
                Replayed::AsItIs
            }
        };
        reach(Failpoint::AfterReplay);
        dead.discard(message.tag).await?;
        Ok(replayed)
    }

    /// The same request as a job of its own, kept like any other; its ticket names the one that failed.
    async fn do_again(&self, failed: Job, message: &DeadMessage, actor: &Actor) -> Result<TicketId, Failure> {
        let id = TicketId::of_replay(failed.ticket);
        let now = self.clock.now();
        let target = self.control.find_target(&failed.target).await?;
        let host = usable(target.as_ref())?.host.clone();
        takes_jobs(self.control.find_host(&host).await?.as_ref())?;
        let may_wait = failed.deadline_at.duration_since(failed.submitted_at);
        let job = Job {
            ticket: id,
            host,
            submitted_at: now,
            deadline_at: now.saturating_add(may_wait).map_err(Failure::internal)?,
            replay_of: Some(failed.ticket),
            ..failed
        };
        self.control.record_act(&self.event(EventName::DeadReplayed, message, actor, Some(id))).await?;
        // A copy of a message whose new job has ended already, and was forgotten by the ticket store.
        if !self.control.find_history(&[id]).await?.is_empty() {
            return Ok(id);
        }
        let keeper = Keeper {
            tickets: Arc::clone(&self.tickets),
            queue: Arc::clone(&self.queue),
            confirm_timeout: self.confirm_timeout,
        };
        let kept = keeper.keep(vec![job]).await.pop();
        match kept.unwrap_or_else(|| Err(Failure::internal("no answer for a job")))? {
            Kept::Now(..) | Kept::Before(_) => Ok(id),
        }
    }

    async fn discard_one(
        &self,
        dead: &mut dyn DeadQueue,
        message: &DeadMessage,
        actor: &Actor,
    ) -> Result<(), Failure> {
        let standing = self.standing(message.ticket()).await?;
        if let Standing::Open(Ticket { state: State::Running, .. }) = standing {
            return Err(running());
        }
        self.control.record_act(&self.event(EventName::DeadDropped, message, actor, None)).await?;
        match (standing, message.job()) {
            (Standing::Open(ticket), _) => self.cancel(ticket.job.ticket, ticket.state).await?,
            (Standing::Unknown, Ok(job)) => {
                self.tickets.restore_queued(&job).await?;
                self.cancel(job.ticket, State::Queued).await?;
            }
            (Standing::Unknown | Standing::Ended(..) | Standing::Forgotten | Standing::Withdrawn, _) => {}
        }
        dead.discard(message.tag).await
    }

    async fn cancel(&self, ticket: TicketId, state: State) -> Result<(), Failure> {
        if state == State::Accepting {
            // The intake died before the broker's confirm: nobody was promised anything.
            return self.tickets.withdraw(ticket).await.map(drop);
        }
        match cancel::close(&self.control, &*self.tickets, &*self.clock, ticket).await? {
            State::Accepting | State::Queued | State::Running | State::Closing => Err(running()),
            State::Succeeded | State::Failed | State::Cancelled | State::Expired | State::Withdrawn => Ok(()),
        }
    }

    fn event(
        &self,
        name: EventName,
        message: &DeadMessage,
        actor: &Actor,
        replayed_as: Option<TicketId>,
    ) -> Event {
        let now = self.clock.now();
        let event = match message.job() {
            Ok(job) => Event::of_job(name, now, &job),
            Err(_) => Event::new(name, now, actor.clone()),
        };
        let mut detail = json!({ "message": message.id, "reason": message.reason });
        if let Some(ticket) = message.ticket() {
            detail["ticket"] = json!(ticket);
        }
        if let Some(ticket) = replayed_as {
            detail["replayed_as"] = json!(ticket);
        }
        let (ticket, host) = (message.ticket(), message.host.clone());
        Event { ticket, host, actor: actor.clone(), detail, ..event }
    }

    /// A bell that does not ring costs time only: the sweeper rings every host that has messages.
    async fn ring(&self, host: &HostKey) {
        if let Err(failure) = self.queue.ring(host, BellDelay::Now).await {
            tracing::warn!(%host, %failure, "the doorbell did not ring");
        }
    }
}

/// Reads everything first: what comes back at once must not be met a second time.
async fn choose(dead: &mut dyn DeadQueue, which: Which<'_>) -> Result<Vec<DeadMessage>, Failure> {
    let mut chosen = Vec::new();
    while let Some(message) = dead.next().await? {
        let is_meant = match which {
            Which::Named(id) => message.id == id,
            Which::All => true,
        };
        if is_meant {
            chosen.push(message);
        }
    }
    if let (Which::Named(_), true) = (which, chosen.is_empty()) {
        let detail = match dead.left().await? {
            0 => "No message of this name was put aside.".to_owned(),
            _ => format!("No message of this name is among the first {MOST} that were put aside."),
        };
        return Err(Failure::new(Code::NotFound, detail));
    }
    Ok(chosen)
}

/// Whether the next message may fare better.
fn concerns_one_message(failure: &Failure) -> bool {
    failure.code() == Code::HostDraining
        || !matches!(failure.code().class(), Class::Unavailable | Class::Internal)
}

fn ended(how: &str) -> Failure {
    let detail = format!("Its ticket has ended as {how}, and is not done again; the message can be dropped.");
    Failure::new(Code::NotReplayable, detail)
}

fn no_host(message: &DeadMessage) -> Failure {
    let detail =
        format!("It came from the queue {:?}, which is of no host; it can only be dropped.", message.queue);
    Failure::new(Code::NotReplayable, detail)
}

fn running() -> Failure {
    let detail = "A lane is at work on its ticket, from another copy of the message; drop this one when that has ended.";
    Failure::new(Code::NotFinished, detail)
}
