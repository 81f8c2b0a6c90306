//! Cancelling a job before it runs.
//!
//! `queued -> closing -> cancelled`, and the audit row between the two arrows. A crash after `closing` leaves a ticket
//! that whoever meets it finishes: the reaper, a lane, or the next cancel.

use std::sync::Arc;

use rolecall_shared::control::{Control, Settlement};
use rolecall_shared::domain::ticket::{Ending, State, Ticket};
use rolecall_shared::domain::{Clock, Code, Failure, Need, Permission, TicketId};
use rolecall_shared::tickets::{Close, ClosingAs, Settled, Tickets};

use super::App;
use super::tickets::{find, is_own, not_found};
use crate::auth::Caller;

/// Cancels the caller's job and answers its ticket; again for one that is cancelled already.
///
/// [`Code::NotCancellable`] when it runs, ran or expired.
pub(crate) async fn cancel(caller: &Caller, app: &Arc<App>, id: TicketId) -> Result<Ticket, Failure> {
    // Whose ticket it is, first.
    let ticket = find(caller, app, id).await?;
    if !is_own(caller, &ticket) {
        // Whoever has every right may stop what others began; the right to read alone is for reading.
        app.allow(caller, &Need::everywhere(Permission::Submit))?;
    }
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
        let cancelled = async move { close(&app.control, &*app.tickets, &*app.clock, id).await };
        tasks.spawn(cancelled).await.map_err(Failure::internal)??
    };
    if ending != State::Cancelled {
        return Err(not_cancellable(ending));
    }
    find(caller, app, id).await
}

/// Closes the ticket and answers the state it has then.
pub(super) async fn close(
    control: &Control,
    tickets: &dyn Tickets,
    clock: &dyn Clock,
    id: TicketId,
) -> Result<State, Failure> {
    let (ticket, closing) = match tickets.close(id, ClosingAs::Cancelled).await? {
        Close::Closing(ticket, closing) => (ticket, closing),
        Close::Not(ticket) => return Ok(ticket.state),
        Close::Unknown => return Err(not_found()),
    };
    let ending = match closing {
        ClosingAs::Cancelled => Ending::Cancelled,
        // The reaper began; what it began is finished.
        ClosingAs::Expired => Ending::Expired,
    };
    let finished_at = clock.now();
    let settlement = Settlement {
        job: ticket.job.clone(),
        ending: ending.clone(),
        finished_at,
        attempts: ticket.attempts,
    };
    control.settle(&[settlement]).await?;
    // History keeps the first ending. It is another one if the ticket store has come back older than it was.
    if let Some(held) = control.find_history(&[id]).await?.remove(&id).filter(|held| held.ending != ending) {
        let Settlement { job, ending, finished_at, .. } = held;
        let state = ending.state();
        tickets.restore_final(&Settled { job, ending, finished_at }).await?;
        return Ok(state);
    }
    let state = ending.state();
    tickets.closed(&Settled { job: ticket.job, ending, finished_at }).await?;
    Ok(state)
}

fn not_cancellable(state: State) -> Failure {
    Failure::new(
        Code::NotCancellable,
        format!("Only a waiting job can be cancelled; this one is {}.", state.as_str()),
    )
    .with_context(serde_json::json!({ "state": state }))
}
