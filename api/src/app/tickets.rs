//! Finding a ticket and waiting for it.

use std::time::Duration;

use rolecall_shared::control::{Ended, Settlement};
use rolecall_shared::domain::ticket::{Ending, Ticket};
use rolecall_shared::domain::{Code, Failure, Job, Need, Permission, TicketId};

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::App;
use crate::auth::Caller;
use crate::waiters::Waiter;

/// A ticket the caller may see: his own, or one for which he has the right to read. An unknown one and one he may not
/// see are the same [`Code::TicketNotFound`]; an unknown one is [`Code::TicketNotYetRebuilt`] while the ticket store may
/// have lost it.
pub(crate) async fn find(caller: &Caller, app: &App, id: TicketId) -> Result<Ticket, Failure> {
    let found = match app.tickets.find(id).await? {
        Some(ticket) => Some(ticket),
        // How it ended is not kept any more, and neither is whose it was.
        None => match find_lost(app, id).await {
            Err(failure) if failure.code() == Code::TicketForgotten => None,
            found => found?,
        },
    };
    found.filter(|ticket| may_see(caller, ticket)).ok_or_else(not_found)
}

fn may_see(caller: &Caller, ticket: &Ticket) -> bool {
    is_own(caller, ticket) || caller.rights.allow(&need(Permission::Read, ticket))
}

/// Whether the ticket is the caller's own. No right makes it so.
pub(super) fn is_own(caller: &Caller, ticket: &Ticket) -> bool {
    ticket.job.actor.owner == caller.owner
}

/// What an act on a ticket needs: the permission for its target, and for the kind of its role where that is known.
pub(super) fn need(permission: Permission, ticket: &Ticket) -> Need<'_> {
    need_of(permission, &ticket.job, ticket.ending.as_ref())
}

/// The same for a job and its ending.
pub(super) fn need_of<'a>(permission: Permission, job: &'a Job, ending: Option<&'a Ending>) -> Need<'a> {
    let need = Need::on(permission, &job.target);
    let kind = job.operation.kind().or(ending.and_then(Ending::kind));
    kind.map_or(need, |kind| need.of_kind(kind))
}

/// A ticket that the store did not know just now: in history, or nowhere. It may be in a message only, and then nobody
/// can say that it does not exist. [`Code::TicketForgotten`] for one that ended in a month that is not kept any more.
pub(super) async fn find_lost(app: &App, id: TicketId) -> Result<Option<Ticket>, Failure> {
    if let Some(ticket) = find_in_history(app, id).await? {
        return Ok(Some(ticket));
    }
    if !app.tickets.is_whole().await? {
        return Err(not_yet_rebuilt(id));
    }
    // It may have been rebuilt after the first look; now a look is final.
    app.tickets.find(id).await
}

fn not_yet_rebuilt(id: TicketId) -> Failure {
    Failure::new(
        Code::TicketNotYetRebuilt,
        "The ticket store was started anew, and the tickets of waiting jobs are being rebuilt. Ask again.",
    )
    .about(id)
    .retry_after(Duration::from_secs(1))
}

/// The failure for every id that stands for nothing the caller may see.
pub(crate) fn not_found() -> Failure {
    Failure::new(Code::TicketNotFound, "There is no such ticket.")
}

/// A ticket that outlived the ticket store.
async fn find_in_history(app: &App, id: TicketId) -> Result<Option<Ticket>, Failure> {
    match app.control.find_ended(id).await.map_err(|failure| failure.about(id))? {
        Ended::Not => Ok(None),
        Ended::As(settlement) => Ok(Some(from_history(*settlement))),
        Ended::Forgotten => Err(forgotten(id)),
    }
}

/// The failure for an end of which only that it was is known.
fn forgotten(id: TicketId) -> Failure {
    let detail = "The ticket ended so long ago that how it did is not kept any more. Under another key it is a new job.";
    Failure::new(Code::TicketForgotten, detail).about(id)
}

pub(super) fn from_history(settlement: Settlement) -> Ticket {
    let Settlement { job, ending, finished_at, attempts } = settlement;
    Ticket {
        job,
        state: ending.state(),
        // History does not count changes; a final ticket is told apart by its state (see the dialect's `ETag`).
        revision: 0,
        attempts,
        ending: Some(ending),
        finished_at: Some(finished_at),
        dead_lettered: None,
    }
}

/// What a caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// The ticket is final.
    Final,
    /// The ticket is final or has another revision than this one.
    MovedFrom(u64),
}

impl Until {
    fn holds(self, ticket: &Ticket) -> bool {
        ticket.state.is_final()
            || match self {
                Self::Final => false,
                Self::MovedFrom(revision) => ticket.revision != revision,
            }
    }
}

/// The caller's ticket when it is as wanted, or as it stands after `limit` or when the process stops.
///
/// Fails with [`Code::TooManyRequests`] when too many wait already.
pub(crate) async fn wait(
    caller: &Caller,
    app: &App,
    id: TicketId,
    until: Until,
    limit: Duration,
) -> Result<Ticket, Failure> {
    let end = Instant::now() + limit;
    // Before the look: a change between look and wait wakes at once.
    let waiter = app.waiters.subscribe(id);
    let ticket = find(caller, app, id).await?;
    if until.holds(&ticket) || limit.is_zero() {
        return Ok(ticket);
    }
    let place = app.limits.stream()?;
    wait_on(caller, app, ticket, until, Waiting { waiter, _place: &place, end, in_turn: false }).await
}

/// The caller's ticket, looked at when it is one's turn.
pub(super) async fn look_in_turn(
    caller: &Caller,
    app: &App,
    id: TicketId,
    end: Instant,
) -> Result<Ticket, Failure> {
    let _turn = app.limits.work(end + TO_SAY_SO).await?;
    find(caller, app, id).await
}

/// What comes at the last moment may still be told.
pub(super) const TO_SAY_SO: Duration = Duration::from_secs(2);

/// How somebody waits.
pub(super) struct Waiting<'a> {
    /// Joined before the ticket was looked at.
    pub(super) waiter: Waiter,
    /// The right to wait.
    pub(super) _place: &'a OwnedSemaphorePermit,
    /// Until when.
    pub(super) end: Instant,
    /// Whether each look is taken when it is one's turn to [work](super::limits::Limits::work).
    pub(super) in_turn: bool,
}

/// The same for somebody who has a place already, from the ticket as it was seen last.
pub(super) async fn wait_on(
    caller: &Caller,
    app: &App,
    mut ticket: Ticket,
    until: Until,
    Waiting { mut waiter, end, in_turn, .. }: Waiting<'_>,
) -> Result<Ticket, Failure> {
    let id = ticket.job.ticket;
    while !until.holds(&ticket) {
        let is_over = tokio::select! {
            () = waiter.moved() => false,
            () = tokio::time::sleep_until(end) => true,
            () = app.stop.cancelled() => return Ok(ticket),
        };
        ticket =
            if in_turn { look_in_turn(caller, app, id, end).await? } else { find(caller, app, id).await? };
        if is_over {
            break;
        }
    }
    Ok(ticket)
}

#[cfg(test)]
mod tests {
    use rolecall_shared::domain::ticket::State;

    use super::*;
    use crate::app::fakes;

    #[test]
    fn waiting_ends_with_a_change_or_for_good() {
        let ticket = |state, revision| Ticket { state, revision, ..fakes::ticket("r1") };
        assert!(Until::Final.holds(&ticket(State::Failed, 3)));
        assert!(!Until::Final.holds(&ticket(State::Running, 3)));
        assert!(!Until::MovedFrom(3).holds(&ticket(State::Running, 3)));
        assert!(Until::MovedFrom(2).holds(&ticket(State::Running, 3)));
        // Nothing follows a final state: waiting for a change of it would be waiting for nothing.
        assert!(Until::MovedFrom(3).holds(&ticket(State::Succeeded, 3)));
    }
}
