//! Handing out a password, once, to its owner.
//!
//! The order is the promise. Whose ticket; whether it is final; whether it made a password; whether the seal opens;
//! and only then the row in the control database that says who took it. Whoever inserts that row answers. If the
//! answer is lost on its way, or this process dies after the row, the password is gone and a reset is offered.

use std::str;

use rolecall_shared::control::{Take, Taken};
use rolecall_shared::domain::ticket::{Ending, Ticket};
use rolecall_shared::domain::{Code, DatabaseName, Failure, HostKey, Permission, RoleName, TicketId};
use rolecall_shared::failpoints::{Failpoint, reach};
use rolecall_shared::seal::OpenError;
use secrecy::SecretString;
use uuid::Uuid;

use super::{App, tickets};
use crate::auth::Caller;

/// A password and where it works.
pub(crate) struct Handout {
    pub(crate) user: RoleName,
    pub(crate) password: SecretString,
    pub(crate) host: HostKey,
    pub(crate) database: DatabaseName,
}

/// Takes the password of the caller's ticket.
///
/// [`Code::Forbidden`] for a ticket that is somebody else's, whoever asks; [`Code::TicketNotFound`], [`Code::NotFinished`], [`Code::NoSecret`], [`Code::SecretTaken`] (with when and by whom),
/// [`Code::SecretExpired`], [`Code::SecretLost`], or [`Code::SealKeyMissing`], which claims nothing.
pub(crate) async fn take(caller: &Caller, app: &App, id: TicketId) -> Result<Handout, Failure> {
    take_as(caller, app, id, Uuid::new_v4()).await
}

/// The same under a claim of this one attempt, which may be made again with it after a server of ours did not answer.
pub(super) async fn take_as(
    caller: &Caller,
    app: &App,
    id: TicketId,
    claim: Uuid,
) -> Result<Handout, Failure> {
    let ticket = tickets::find(caller, app, id).await?;
    if !tickets::is_own(caller, &ticket) {
        return Err(app.deny_secret(caller, &ticket));
    }
    app.allow(caller, &tickets::need(Permission::Reveal, &ticket))?;
    if !ticket.state.is_final() {
        return Err(Failure::new(
            Code::NotFinished,
            "The job has not ended; its password comes with its end.",
        )
        .retry_after(std::time::Duration::from_secs(1)));
    }
    if !ticket.ending.as_ref().is_some_and(Ending::has_secret) {
        return Err(Failure::new(Code::NoSecret, "This job made no password."));
    }
    let is_over = is_over(app, &ticket);
    let sealed = app.tickets.find_secrets(&[id]).await?.pop().flatten();
    let Some(sealed) = sealed.filter(|_| !is_over) else {
        return Err(why_not_there(app, id, is_over).await?);
    };
    // Before anything is claimed: without its key the password would be lost to everybody.
    let password = open(app, id, sealed).await?;

    reach(Failpoint::BeforeTake);
    match app.control.take_secret_as(claim, &ticket.job, &caller.actor(), app.clock.now()).await? {
        Take::Before(taken) => {
            // Whoever took it ended between the row and the dropping.
            drop_taken(app, id).await;
            Err(taken_before(&taken))
        }
        Take::Now => {
            reach(Failpoint::AfterTake);
            app.metrics.secret_taken();
            drop_taken(app, id).await;
            reach(Failpoint::AfterDrop);
            Ok(Handout {
                user: ticket.job.operation.role().clone(),
                password,
                host: ticket.job.host,
                database: ticket.job.target.database,
            })
        }
    }
}

/// The row is written: nobody can take it again, and should this fail its lifetime ends it.
async fn drop_taken(app: &App, id: TicketId) {
    if let Err(failure) = app.tickets.drop_secret(id).await {
        tracing::warn!(ticket = %id, %failure, "a taken secret could not be dropped");
    }
}

fn is_over(app: &App, ticket: &Ticket) -> bool {
    ticket.ending.as_ref().and_then(Ending::secret_expires_at).is_some_and(|at| at <= app.clock.now())
}

/// Taken, expired or lost: the row decides, whatever the ticket store says.
async fn why_not_there(app: &App, id: TicketId, is_over: bool) -> Result<Failure, Failure> {
    let taken = app.control.find_taken(id).await?;
    Ok(match taken {
        Some(taken) => taken_before(&taken),
        None if is_over => Failure::new(
            Code::SecretExpired,
            "Nobody took the password in time; submit reset_password to get a new one.",
        ),
        None => Failure::new(
            Code::SecretLost,
            "The ticket store lost the password; submit reset_password to get a new one.",
        ),
    })
}

fn taken_before(taken: &Taken) -> Failure {
    Failure::new(
        Code::SecretTaken,
        "The password was taken already. If that was not you, reset it now and find out who it was.",
    )
    .with_context(serde_json::json!({
        "taken_at": taken.at,
        "taken_by": taken.account,
        "taken_from": taken.address,
    }))
}

async fn open(app: &App, id: TicketId, sealed: Vec<u8>) -> Result<SecretString, Failure> {
    let associated = format!("ticket:{id}");
    let plain = match app.keys.open(&sealed, associated.as_bytes()) {
        // The key may have been added since this process read the ring.
        Err(OpenError::KeyMissing(_)) => {
            let keys = app.keys.clone();
            let reloaded = tokio::task::spawn_blocking(move || keys.reload()).await;
            if let Err(error) = reloaded.map_err(Failure::internal)? {
                tracing::warn!(%error, "the key ring could not be read again");
            }
            app.keys.open(&sealed, associated.as_bytes())
        }
        opened => opened,
    };
    let plain = plain.map_err(|error| match error {
        OpenError::KeyMissing(_) => Failure::new(
            Code::SealKeyMissing,
            "The key of this password is not in the key ring of this server; nothing was taken.",
        )
        .caused_by(error),
        OpenError::Broken => Failure::internal(error),
    })?;
    let text = str::from_utf8(&plain).map_err(|_| Failure::internal("a sealed password is not text"))?;
    Ok(SecretString::from(text))
}
