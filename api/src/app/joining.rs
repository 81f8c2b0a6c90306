//! The same request made again joins the job that is there, for callers who cannot name it.
//!
//! Owns which ticket such a request meets. It is the one that stands for it in the ticket store, over all processes, while
//! there is anything left of it for the caller: the job goes on, or nobody has taken its password. It must never answer
//! somebody else's ticket: owner and fingerprint of the request are what it is known by.
//!
//! The crash windows. Whoever puts a fresh ticket there and dies before it is written down leaves an id that stands for
//! nothing: the next one, after a moment in which it might still be written, submits the job under that very id. So does
//! whoever finds one that was not confirmed in time; a lane runs a ticket once, however often it was published.

use std::sync::Arc;

use jiff::SignedDuration;
use rolecall_shared::domain::ticket::{Ending, State, Ticket};
use rolecall_shared::domain::{Code, Failure, Target, TicketId};
use tokio::time::Instant;

use super::submission::Submission;
use super::submit::{self, Under};
use super::{App, tickets, view};
use crate::auth::Caller;

/// The ticket of the job that does what is asked, submitted now or before.
pub(super) async fn submit_or_join(
    caller: &Caller,
    app: &Arc<App>,
    asked: Submission,
) -> Result<TicketId, Failure> {
    // Whoever joins must be allowed to do what he joins.
    let target = submit::check(caller, app, &asked).await?;
    let name = asked.name_for_joining(caller);
    let mut spent = None;
    // Each round ends here or finds one more ticket spent, which somebody else must have submitted since the round before.
    loop {
        let fresh = TicketId::new(app.clock.now());
        let id = app.tickets.join(&name, fresh, spent).await?;
        if id == fresh {
            return first(caller, app, asked, &name, id).await;
        }
        match look(app, id).await? {
            None => return submit_under(caller, app, asked, Under::Known(id)).await,
            Some(ticket) if has_something_left(app, &ticket, &target).await? => return Ok(id),
            Some(_) => spent = Some(id),
        }
    }
}

/// Nobody has asked for this before, or nothing is left of it.
async fn first(
    caller: &Caller,
    app: &Arc<App>,
    asked: Submission,
    name: &str,
    id: TicketId,
) -> Result<TicketId, Failure> {
    let submitted = submit_under(caller, app, asked, Under::Fresh(id)).await;
    if let Err(failure) = &submitted
        && failure.code() != Code::OutcomeUnknown
        && let Err(failure) = app.tickets.leave(name, id).await
    {
        // Those who come later wait a moment for a ticket that does not come, and submit it themselves.
        tracing::warn!(%failure, "a refused job still stands for its request");
    }
    submitted
}

async fn submit_under(
    caller: &Caller,
    app: &Arc<App>,
    asked: Submission,
    under: Under,
) -> Result<TicketId, Failure> {
    submit::keep(caller, app, asked, under).await.map(|kept| kept.ticket_id())
}

/// The ticket once it is more than an intention; none if whoever chose its id does not come to that.
async fn look(app: &App, id: TicketId) -> Result<Option<Ticket>, Failure> {
    let end = Instant::now() + app.settings.api.confirm_timeout;
    let mut waiter = app.waiters.subscribe(id);
    loop {
        match app.tickets.find(id).await? {
            Some(ticket) if ticket.state != State::Accepting => return Ok(Some(ticket)),
            None if !is_being_written(app, id) => return tickets::find_lost(app, id).await,
            Some(_) | None => {
                if tokio::time::timeout_at(end, waiter.moved()).await.is_err() {
                    return Ok(None);
                }
            }
        }
    }
}

/// Whether the id is so young that its ticket may not be written down yet. The clocks of two processes may differ.
fn is_being_written(app: &App, id: TicketId) -> bool {
    let within = SignedDuration::try_from(app.settings.api.confirm_timeout).unwrap_or(SignedDuration::MAX);
    id.made_at().is_some_and(|at| app.clock.now().duration_since(at).abs() <= within)
}

/// Whether the job goes on, or its password can be taken and is that of the role still, as far as our own jobs go.
async fn has_something_left(app: &App, ticket: &Ticket, target: &Target) -> Result<bool, Failure> {
    if !ticket.state.is_final() {
        return Ok(true);
    }
    let is_here = ticket.job.host == target.host;
    if !is_here || !ticket.ending.as_ref().is_some_and(Ending::has_secret) {
        return Ok(false);
    }
    let ends = ticket.ending.as_ref().and_then(Ending::secret_expires_at);
    let in_time = ends.is_none_or(|at| at > app.clock.now());
    Ok(in_time
        && view::is_there_to_take(app, ticket.job.ticket).await?
        && !app.control.has_newer_password(&ticket.job, ticket.finished_at).await?)
}
