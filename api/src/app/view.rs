//! What is shown beside a ticket: whether its password can be taken, and why it waits.

use jiff::Timestamp;
use rolecall_shared::domain::ticket::{Ending, State, Ticket};
use rolecall_shared::domain::{Failure, TicketId};

use super::App;
use crate::auth::Caller;

/// A ticket and what belongs to it now.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) ticket: Ticket,
    pub(crate) secret: Option<SecretView>,
    pub(crate) waiting: Option<Waiting>,
    /// About which in its host's line it is, from 1; of a queued ticket.
    pub(crate) position: Option<u64>,
}

/// The password that a job made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SecretView {
    /// Whether it can be taken now.
    pub(crate) available: bool,
    pub(crate) expires_at: Option<Timestamp>,
}

/// Why an unfinished job does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// `host_paused`, `dead_lettered`, or the code of the host's trouble.
    pub(crate) reason: &'static str,
    /// For people.
    pub(crate) cause: Option<String>,
    pub(crate) next_attempt_at: Option<Timestamp>,
}

/// Looks up what is shown beside the caller's ticket. A server that does not answer leaves its part out: the ticket
/// itself is known, and that is what was asked.
pub(crate) async fn of(_caller: &Caller, app: &App, ticket: Ticket) -> View {
    let secret = secret(app, &ticket).await;
    let waiting = if ticket.state.is_final() { None } else { waiting(app, &ticket).await };
    let position = position(app, &ticket).await;
    View { ticket, secret, waiting, position }
}

async fn position(app: &App, ticket: &Ticket) -> Option<u64> {
    if ticket.state != State::Queued {
        return None;
    }
    app.tickets.position(ticket.job.ticket, &ticket.job.host).await.unwrap_or_else(|failure| {
        tracing::debug!(%failure, "a ticket's position is not known");
        None
    })
}

async fn secret(app: &App, ticket: &Ticket) -> Option<SecretView> {
    let expires_at = match ticket.ending.as_ref()? {
        ending @ Ending::Succeeded { secret_expires_at, .. } if ending.has_secret() => *secret_expires_at,
        Ending::Succeeded { .. } | Ending::Failed { .. } | Ending::Cancelled | Ending::Expired => {
            return None;
        }
    };
    let in_time = expires_at.is_none_or(|at| at > app.clock.now());
    let available = in_time
        && is_there_to_take(app, ticket.job.ticket).await.unwrap_or_else(|failure| {
            tracing::debug!(%failure, "whether a secret is there is not known");
            false
        });
    Some(SecretView { available, expires_at })
}

/// The row decides, whatever the ticket store says: whoever inserted it may have ended before dropping the secret.
pub(super) async fn is_there_to_take(app: &App, id: TicketId) -> Result<bool, Failure> {
    let is_stored = app.tickets.find_secrets(&[id]).await?.first().is_some_and(Option::is_some);
    Ok(is_stored && app.control.find_taken(id).await?.is_none())
}

async fn waiting(app: &App, ticket: &Ticket) -> Option<Waiting> {
    if let Some(cause) = &ticket.dead_lettered {
        return Some(Waiting { reason: "dead_lettered", cause: Some(cause.clone()), next_attempt_at: None });
    }
    let host = &ticket.job.host;
    let (paused, state) = tokio::join!(app.control.find_host(host), app.tickets.host_state(host));
    let pause = paused
        .inspect_err(|failure| tracing::debug!(%failure, "whether a host is paused is not known"))
        .ok()
        .flatten()
        .and_then(|host| host.paused);
    // A running one is in a lane's hands and not stopped by a pause, or its COMMIT went unanswered and the host is in
    // trouble since.
    if let Some(pause) = pause.filter(|_| ticket.state != State::Running) {
        let reason = if pause.reason.is_empty() { String::new() } else { format!(": {}", pause.reason) };
        let cause = format!("paused by {} at {}{reason}", pause.by, pause.at);
        return Some(Waiting { reason: "host_paused", cause: Some(cause), next_attempt_at: None });
    }
    let state = state.inspect_err(|failure| tracing::debug!(%failure, "a host's state is not known")).ok()?;
    let code = state.code?;
    Some(Waiting { reason: code.as_str(), cause: state.cause, next_attempt_at: state.blocked_until })
}
