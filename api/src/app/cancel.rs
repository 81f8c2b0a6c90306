//! Cancelling a job before it runs.
//!
//! `queued -> closing -> cancelled`, and the audit row between the two arrows. A crash after `closing` leaves a ticket
//! that whoever meets it finishes: the reaper, a lane, or the next cancel.

use std::sync::Arc;

use rolecall_shared::control::Settlement;
use rolecall_shared::domain::ticket::{Ending, State, Ticket};
use rolecall_shared::domain::{Code, Failure, TicketId};
use rolecall_shared::tickets::{Close, ClosingAs, Settled};

use super::{App, tickets};
use crate::auth::Caller;

/// Cancels the caller's job and answers its ticket; again for one that is cancelled already.
///
/// [`Code::NotCancellable`] when it runs, ran or expired.
pub(crate) async fn cancel(caller: &Caller, app: &Arc<App>, id: TicketId) -> Result<Ticket, Failure> {
    // Whose ticket it is, first.
    let ticket = tickets::find(caller, app, id).await?;
    if ticket.state == State::Cancelled {
        return Ok(ticket);
    }
    if ticket.state.is_final() {
        return Err(not_cancellable(ticket.state));
    }
    let ending = {
        let app = Arc::clone(app);
        // To its end, also when the caller goes away; the reaper would do it, later.
        let tasks = app.tasks.clone();
        tasks.spawn(async move { close(&app, id).await }).await.map_err(Failure::internal)??
    };
    if ending != State::Cancelled {
        return Err(not_cancellable(ending));
    }
    tickets::find(caller, app, id).await
}

/// Closes the ticket and answers the state it has then.
async fn close(app: &App, id: TicketId) -> Result<State, Failure> {
    let (ticket, closing) = match app.tickets.close(id, ClosingAs::Cancelled).await? {
        Close::Closing(ticket, closing) => (ticket, closing),
        Close::Not(ticket) => return Ok(ticket.state),
        Close::Unknown => return Err(tickets::not_found()),
    };
    let ending = match closing {
        ClosingAs::Cancelled => Ending::Cancelled,
        // The reaper began; what it began is finished.
        ClosingAs::Expired => Ending::Expired,
    };
    let finished_at = app.clock.now();
    let settlement = Settlement {
        job: ticket.job.clone(),
        ending: ending.clone(),
        finished_at,
        attempts: ticket.attempts,
    };
    app.control.settle(&[settlement]).await?;
    // History keeps the first ending. It is another one if the ticket store has come back older than it was.
    if let Some(held) =
        app.control.find_history(&[id]).await?.remove(&id).filter(|held| held.ending != ending)
    {
        let Settlement { job, ending, finished_at, .. } = held;
        let state = ending.state();
        app.tickets.restore_final(&Settled { job, ending, finished_at }).await?;
        return Ok(state);
    }
    let state = ending.state();
    app.tickets.closed(&Settled { job: ticket.job, ending, finished_at }).await?;
    Ok(state)
}

fn not_cancellable(state: State) -> Failure {
    Failure::new(
        Code::NotCancellable,
        format!("Only a waiting job can be cancelled; this one is {}.", state.as_str()),
    )
    .with_context(serde_json::json!({ "state": state }))
}
