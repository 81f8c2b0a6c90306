//! Looking at a target: whether we can log in and what may be done there, and its roles, read from the server itself.

use rolecall_shared::domain::{Code, Failure, Need, Permission, RoleName, Target, TargetKey};
use rolecall_shared::target::{CheckReport, Purpose, RoleInfo, Session, TargetError, Verdict};
use tokio::sync::OwnedSemaphorePermit;

use super::{App, targets};
use crate::auth::Caller;

/// Logs in to a target and reports what our role may do there. Works for inactive targets too.
pub(crate) async fn check(caller: &Caller, app: &App, key: &TargetKey) -> Result<CheckReport, Failure> {
    let (target, reading) = open(caller, app, Permission::Registry, key).await?;
    let report = reading.session.check().await.map_err(|error| failure(&target, error));
    reading.session.close().await;
    report
}

/// The roles of a target after `after`, by name; at most `limit`.
pub(crate) async fn list(
    caller: &Caller,
    app: &App,
    key: &TargetKey,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<RoleInfo>, Failure> {
    let (target, reading) = open(caller, app, Permission::Read, key).await?;
    let roles = reading.session.list_roles(after, limit).await.map_err(|error| failure(&target, error));
    reading.session.close().await;
    roles
}

/// One role of a target, or [`Code::RoleNotFound`].
pub(crate) async fn find(
    caller: &Caller,
    app: &App,
    key: &TargetKey,
    role: &RoleName,
) -> Result<RoleInfo, Failure> {
    let (target, reading) = open(caller, app, Permission::Read, key).await?;
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
) -> Result<(Target, Reading), Failure> {
    app.allow(caller, &Need::on(permission, key))?;
    let target = targets::look_up(app, key).await?;
    let place = app.limits.target_read()?;
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
