//! A job from its submission to its password in the caller's hands, in one call: for dialects that know no tickets.
//!
//! Owns the order: the right to wait and to take the password first, so that a refusal means that nothing was submitted;
//! then the job; then its end, for `legacy.wait` at most; then the password, by the same use case as everybody's. It must
//! never take a password for somebody who is gone. The server drops the future of a request whose connection has closed,
//! at whichever point it waits: between the end of the job and the row that says who took the password it asks the ticket
//! store three times, so that a closing that came before the job's end is always seen before the row. What is dropped
//! here leaves the job, the ticket and the password as they are.

use std::sync::Arc;
use std::time::Duration;

use rolecall_shared::domain::ticket::{Ending, State, Ticket};
use rolecall_shared::domain::{Class, Code, Failure, Need, Operation, Permission, TicketId};
use rolecall_shared::retry::Delays;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use uuid::Uuid;

use super::keep::no_confirm;
use super::secrets::{self, Handout};
use super::submission::Submission;
use super::submit::Under;
use super::tickets::{self, TO_SAY_SO, Until, Waiting};
use super::{App, joining, submit};
use crate::auth::Caller;

/// Between two tries of a step: with full jitter, doubling up to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What a call came to.
pub(crate) enum Came {
    /// The job has ended, and with what: a password if it made one and nobody else was faster.
    ToAnEnd(Box<Ticket>, Option<Handout>),
    /// The job goes on under this ticket.
    ToNoEnd(TicketId),
}

/// Submits a job, waits for its end and takes its password.
///
/// A create that the same owner has asked for before joins that job while it goes on or its password waits; whoever is
/// not the one to take the password gets none. Everything else is a job of its own.
///
/// A caller who knows no tickets knows no second try either: while a server of ours is away, each step is made again within
/// the same limit, under the same ticket and the same claim. Whatever fails after the job was accepted says so with its
/// ticket.
pub(crate) async fn run(caller: &Caller, app: &Arc<App>, asked: Submission) -> Result<Came, Failure> {
    let call = Call { caller, app, end: Instant::now() + app.settings.legacy.wait };
    app.may_take(caller, &asked)?;
    let place = app.limits.stream()?;
    let joins = match &asked.operation {
        Operation::CreateRole { .. } => true,
        Operation::ResetPassword { .. } | Operation::SetSearchPath { .. } => false,
    };
    let mut again = Again::until(call.end);
    let (id, ticket) = loop {
        let id = call.submit(&asked, joins).await?;
        let waited = call.wait(id, &place).await.map_err(|failure| failure.about(id))?;
        let Some(ticket) = waited.filter(|ticket| ticket.state.is_final()) else {
            return if app.stop.is_cancelled() { Err(stopping(id)) } else { Ok(Came::ToNoEnd(id)) };
        };
        if ticket.state != State::Withdrawn {
            break (id, ticket);
        }
        // Whoever submitted what is joined here got no confirm.
        again.after(no_confirm()).await?;
    };
    let handout = if ticket.ending.as_ref().is_some_and(Ending::has_secret) {
        match call.take(id, joins).await {
            Ok(handout) => handout,
            // Its turn did not come in time; the password waits.
            Err(failure) if failure.code() == Code::TooManyRequests => return Ok(Came::ToNoEnd(id)),
            Err(failure) => return Err(failure.about(id)),
        }
    } else {
        None
    };
    Ok(Came::ToAnEnd(Box::new(ticket), handout))
}

/// One call on its way.
struct Call<'a> {
    caller: &'a Caller,
    app: &'a Arc<App>,
    end: Instant,
}

impl Call<'_> {
    async fn submit(&self, asked: &Submission, joins: bool) -> Result<TicketId, Failure> {
        let app = self.app;
        // Of which kind the role is, only the worker sees: what it must not hand out, it must not change.
        let takes_unknown = asked.operation.makes_secret() && asked.operation.kind().is_none();
        let caller = &if takes_unknown {
            self.caller.with_rights(self.caller.rights.to_submit_and_reveal())
        } else {
            self.caller.clone()
        };
        let mut under = Under::Fresh(TicketId::new(app.clock.now()));
        let mut again = Again::until(self.end);
        loop {
            let asked = asked.clone();
            let turn = app.limits.work(self.end).await?;
            let submitted = if joins {
                joining::submit_or_join(caller, app, asked).await
            } else {
                submit::keep(caller, app, asked, under).await.map(|kept| kept.ticket_id())
            };
            drop(turn);
            match submitted {
                Ok(id) => return Ok(id),
                Err(failure) => again.after(failure).await?,
            }
            under = Under::Known(under.ticket());
        }
    }

    /// The ticket at its end, or as it was seen last; none if it could not be seen.
    async fn wait(&self, id: TicketId, place: &OwnedSemaphorePermit) -> Result<Option<Ticket>, Failure> {
        let (caller, app, end) = (self.caller, self.app, self.end);
        let mut again = Again::until(end);
        loop {
            let waiter = app.waiters.subscribe(id);
            let how = Waiting { waiter, _place: place, end, in_turn: true };
            let seen = match tickets::look_in_turn(caller, app, id, end).await {
                Ok(seen) => tickets::wait_on(caller, app, seen, Until::Final, how).await,
                Err(failure) => Err(failure),
            };
            match seen {
                Ok(ticket) => return Ok(Some(ticket)),
                Err(failure) if failure.code() == Code::TooManyRequests => return Ok(None),
                Err(failure) => again.after(failure).await?,
            }
        }
    }

    /// Of those who joined a job one gets its password, one after the other in this process: five hundred who ask the
    /// control database at once would keep it from everybody else.
    async fn take(&self, id: TicketId, joins: bool) -> Result<Option<Handout>, Failure> {
        let (caller, app) = (self.caller, self.app);
        let line = app.takes.of(id);
        let mut is_taken = line.turn().await;
        if *is_taken && joins {
            return Ok(None);
        }
        let claim = Uuid::new_v4();
        let end = self.end + TO_SAY_SO;
        let mut again = Again::until(end);
        loop {
            let turn = app.limits.work(end).await?;
            let taken = secrets::take_as(caller, app, id, claim).await;
            drop(turn);
            match taken {
                Ok(handout) => {
                    *is_taken = true;
                    return Ok(Some(handout));
                }
                Err(failure) if joins && failure.code() == Code::SecretTaken => {
                    *is_taken = true;
                    return Ok(None);
                }
                Err(failure) => again.after(failure).await?,
            }
        }
    }
}

/// Tries of a step that was made in vain.
struct Again {
    end: Instant,
    pauses: Delays,
}

impl Again {
    fn until(end: Instant) -> Self {
        Self { end, pauses: Delays::full_jitter(FIRST_PAUSE, LONGEST_PAUSE) }
    }

    /// Waits for the next try, or gives the failure back: there is none if the same would come of it, or it is late.
    async fn after(&mut self, failure: Failure) -> Result<(), Failure> {
        // An operator has to do something about these.
        let stays = [Code::HostDraining, Code::Stopping, Code::SealKeyMissing].contains(&failure.code());
        let next = Instant::now() + self.pauses.next_delay();
        if stays || failure.code().class() != Class::Unavailable || next >= self.end {
            return Err(failure);
        }
        tracing::debug!(%failure, "a step of a synchronous call is made again");
        tokio::time::sleep_until(next).await;
        Ok(())
    }
}

fn stopping(id: TicketId) -> Failure {
    Failure::new(Code::Stopping, "The process is stopping; the job goes on.").about(id)
}

impl App {
    /// A password that its caller may not take would be made for nobody.
    fn may_take(&self, caller: &Caller, asked: &Submission) -> Result<(), Failure> {
        if !asked.operation.makes_secret() {
            return Ok(());
        }
        let need = Need::on(Permission::Reveal, &asked.target);
        match asked.operation.kind() {
            Some(kind) => self.allow(caller, &need.of_kind(kind)),
            None => self.allow_some(caller, &need),
        }
    }
}
