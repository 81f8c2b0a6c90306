//! Looking at a target: whether we can log in and what may be done there, and its roles, read from the server itself.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rolecall_shared::control::Settlement;
use rolecall_shared::domain::ticket::{Ending, Outcome};
use rolecall_shared::domain::{Code, Failure, Need, Permission, RoleName, Target, TargetKey, TicketId};
use rolecall_shared::target::{CheckReport, Purpose, RoleInfo, Session, TargetError, Verdict};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::{App, targets};
use crate::auth::Caller;

/// Logs in to a target and reports what our role may do there. Works for inactive targets too.
pub(crate) async fn check(caller: &Caller, app: &App, key: &TargetKey) -> Result<CheckReport, Failure> {
    let (target, reading) = open(caller, app, Permission::Registry, key, Turn::AtOnce).await?;
    let report = reading.session.check().await.map_err(|error| failure(&target, error));
    reading.session.close().await;
    report
}

/// When many read targets at once (`api.target_reads`).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Turn {
    /// Refused at once.
    AtOnce,
    /// In line until then.
    Until(Instant),
}

/// The roles of a target after `after`, by name; at most `limit`.
pub(crate) async fn list(
    caller: &Caller,
    app: &App,
    key: &TargetKey,
    after: Option<&str>,
    limit: usize,
    turn: Turn,
) -> Result<Vec<RoleInfo>, Failure> {
    let (target, reading) = open(caller, app, Permission::Read, key, turn).await?;
    let roles = reading.session.list_roles(after, limit).await.map_err(|error| failure(&target, error));
    reading.session.close().await;
    roles
}

/// Who made a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Rolecall did: the role has the mark of a ticket, and history knows that ticket as the one that made it.
    Rolecall(Making),
    /// It has a mark, and history does not know its ticket as the one that made it: it was removed from history, belongs
    /// to another installation, has only just been made, or somebody wrote the comment.
    Unconfirmed,
    /// Somebody else did.
    Elsewhere,
}

/// How Rolecall came to make a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Making {
    /// For whom.
    pub(crate) account: String,
    /// Through which target of the server, if the caller may read that one.
    pub(crate) target: Option<TargetKey>,
    /// When the job had ended.
    pub(crate) at: Timestamp,
}

/// [`list`], with who made each role.
pub(crate) async fn list_with_origins(
    caller: &Caller,
    app: &App,
    key: &TargetKey,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(RoleInfo, Origin)>, Failure> {
    let roles = list(caller, app, key, after, limit, Turn::AtOnce).await?;
    with_origins(caller, app, roles).await
}

/// [`find`], with who made it.
pub(crate) async fn find_with_origin(
    caller: &Caller,
    app: &App,
    key: &TargetKey,
    role: &RoleName,
) -> Result<(RoleInfo, Origin), Failure> {
    let found = find(caller, app, key, role, Turn::AtOnce).await?;
    with_origins(caller, app, vec![found]).await?.pop().ok_or_else(role_not_found)
}

async fn with_origins(
    caller: &Caller,
    app: &App,
    roles: Vec<RoleInfo>,
) -> Result<Vec<(RoleInfo, Origin)>, Failure> {
    let tickets: Vec<_> = roles.iter().filter_map(|role| Some(role.mark.as_ref()?.ticket)).collect();
    let history =
        if tickets.is_empty() { BTreeMap::new() } else { app.control.find_history(&tickets).await? };
    let with_origin = |role: RoleInfo| {
        let mut origin = origin(&role, &history);
        if let Origin::Rolecall(Making { target, .. }) = &mut origin {
            target.take_if(|key| !caller.rights.allow(&Need::on(Permission::Read, key)));
        }
        (role, origin)
    };
    Ok(roles.into_iter().map(with_origin).collect())
}

/// A comment can be written by others than us, so that the mark alone proves nothing to people.
fn origin(role: &RoleInfo, history: &BTreeMap<TicketId, Settlement>) -> Origin {
    let Some(mark) = &role.mark else { return Origin::Elsewhere };
    let made_it = |settlement: &&Settlement| {
        let Settlement { job, ending, .. } = settlement;
        let is_creation =
            job.operation.kind() == Some(&mark.kind) && job.operation.role().as_str() == role.name;
        is_creation && matches!(ending, Ending::Succeeded { outcome: Outcome::Created, .. })
    };
    match history.get(&mark.ticket).filter(made_it) {
        Some(Settlement { job, finished_at, .. }) => Origin::Rolecall(Making {
            account: job.actor.account.clone(),
            target: Some(job.target.clone()),
            at: *finished_at,
        }),
        None => Origin::Unconfirmed,
    }
}

/// One role of a target, or [`Code::RoleNotFound`].
pub(crate) async fn find(
    caller: &Caller,
    app: &App,
    key: &TargetKey,
    role: &RoleName,
    turn: Turn,
) -> Result<RoleInfo, Failure> {
    let (target, reading) = open(caller, app, Permission::Read, key, turn).await?;
    let found = reading.session.find_role(role).await.map_err(|error| failure(&target, error));
    reading.session.close().await;
    found?.ok_or_else(role_not_found)
}

/// No role of that name, or none that could be one.
pub(crate) fn role_not_found() -> Failure {
    Failure::new(Code::RoleNotFound, "There is no such role on the target.")
}

struct Reading {
    session: Session,
    _place: OwnedSemaphorePermit,
}

async fn open(
    caller: &Caller,
    app: &App,
    permission: Permission,
    key: &TargetKey,
    turn: Turn,
) -> Result<(Target, Reading), Failure> {
    app.allow(caller, &Need::on(permission, key))?;
    let target = targets::look_up(app, key).await?;
    let place = match turn {
        Turn::AtOnce => app.limits.target_read()?,
        Turn::Until(end) => app.limits.target_read_in_turn(end).await?,
    };
    let session = app.connector.open(&target, &target.key.database, Purpose::Read).await;
    let session = session.map_err(|error| failure(&target, error))?;
    Ok((target, Reading { session, _place: place }))
}

/// What a caller learns of a target's trouble: the server's own words are in the verdict, the driver's in the log.
fn failure(target: &Target, error: TargetError) -> Failure {
    let host = &target.host;
    let failure = match &error.verdict {
        Verdict::Host { cause } => {
            Failure::new(Code::TargetUnreachable, format!("The host {host} cannot be used now: {cause}"))
        }
        Verdict::Login { cause } => {
            Failure::new(Code::TargetLoginRefused, format!("The host {host} refuses our log-in: {cause}"))
        }
        Verdict::Permanent { code, detail } => Failure::new(*code, detail.clone()),
        Verdict::Exists | Verdict::TryAgain => {
            Failure::new(Code::TargetError, format!("The host {host} could not answer; try again."))
        }
    };
    failure.caused_by(error)
}
