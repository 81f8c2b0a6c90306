//! The registry of targets.

use rolecall_shared::control::{Host, Put, Switch};
use rolecall_shared::domain::{
    Code, DatabaseName, Failure, HostKey, Need, Permission, SslMode, Target, TargetKey,
};

use super::login::AskedLogin;
pub(crate) use super::registry::Waiting;
use super::submit::usable;
use super::{App, hosts};
use crate::auth::Caller;

/// A target as somebody wants it.
#[derive(Debug)]
pub struct AskedTarget {
    pub(crate) key: TargetKey,
    pub(crate) host: HostKey,
    pub(crate) login: AskedLogin,
    pub(crate) sslmode: SslMode,
    pub(crate) ca_file: Option<String>,
    pub(crate) lock_database: DatabaseName,
    pub(crate) active: bool,
    pub(crate) notes: String,
}

/// What must hold for a change to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Whatever is there.
    Anything,
    /// Nothing is there (`If-None-Match: *`).
    Nothing,
    /// Something is there (`If-Match: *`).
    Something,
    /// This revision is there (`If-Match`).
    Revision(i64),
}

impl Expected {
    /// As the control database compares it again when it makes the change.
    ///
    /// What does not hold now is refused here, before anything else is looked at: a precondition comes first (RFC 9110,
    /// section 13.2.2).
    pub(super) fn as_revision(self, before: Option<&Target>) -> Result<Option<i64>, Failure> {
        let found = before.map_or(0, |target| target.revision);
        let expected = match self {
            Self::Anything => return Ok(None),
            Self::Nothing => 0,
            Self::Revision(revision) => revision,
            Self::Something if before.is_some() => found,
            Self::Something => {
                return Err(Failure::new(Code::RevisionMismatch, "There is no such target to change."));
            }
        };
        if expected == found {
            return Ok(Some(expected));
        }
        let detail = if before.is_some() {
            format!("The target is at revision {found}; read it again.")
        } else {
            "There is no such target any more.".to_owned()
        };
        let context = serde_json::json!({ "revision": found });
        Err(Failure::new(Code::RevisionMismatch, detail).with_context(context))
    }
}

/// The targets after `after` that the caller may see, by environment and database; at most `limit`.
pub(crate) async fn list(
    caller: &Caller,
    app: &App,
    after: Option<&TargetKey>,
    limit: usize,
) -> Result<Vec<Target>, Failure> {
    app.allow_some(caller, &Need::everywhere(Permission::Read))?;
    let mut found: Vec<Target> = Vec::new();
    let mut after = after.cloned();
    while found.len() < limit {
        let page = app.control.list_targets(after.as_ref(), limit).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        found.extend(
            page.into_iter().filter(|target| caller.rights.allow(&Need::on(Permission::Read, &target.key))),
        );
    }
    found.truncate(limit);
    Ok(found)
}

/// Every target that the caller may see, with its number, in the same order.
pub(crate) async fn list_numbered(caller: &Caller, app: &App) -> Result<Vec<(i64, Target)>, Failure> {
    let targets = list(caller, app, None, usize::MAX).await?;
    let numbers = app.control.number_targets().await?;
    // One that was removed in between has none any more.
    Ok(targets.into_iter().filter_map(|target| Some((*numbers.get(&target.key)?, target))).collect())
}

/// One target that takes jobs, or [`Code::TargetNotFound`] or [`Code::TargetInactive`].
pub(crate) async fn find_active(caller: &Caller, app: &App, key: &TargetKey) -> Result<Target, Failure> {
    let target = find(caller, app, key).await?;
    usable(Some(&target)).cloned()
}

/// One target, or [`Code::TargetNotFound`].
pub(crate) async fn find(caller: &Caller, app: &App, key: &TargetKey) -> Result<Target, Failure> {
    app.allow(caller, &Need::on(Permission::Read, key))?;
    look_up(app, key).await
}

/// One target for a caller whose right was seen, or [`Code::TargetNotFound`].
pub(super) async fn look_up(app: &App, key: &TargetKey) -> Result<Target, Failure> {
    app.control.find_target(key).await?.ok_or_else(not_found)
}

/// No target of that name, or none that could be one.
pub(crate) fn not_found() -> Failure {
    Failure::new(Code::TargetNotFound, "There is no such target.")
}

/// Registers or changes a target. Where other targets stand on the host already, the right for each of them is needed:
/// whoever may name a host is given the means to make roles there.
///
/// [`Code::JobsWaiting`] when the host is to change while jobs wait for the old one.
pub(crate) async fn put(
    caller: &Caller,
    app: &App,
    asked: AskedTarget,
    expected: Expected,
    waiting: Waiting,
) -> Result<Put, Failure> {
    app.allow(caller, &Need::on(Permission::Registry, &asked.key))?;
    let before = app.control.find_target(&asked.key).await?;
    if before.as_ref().is_none_or(|before| before.host != asked.host)
        && let Some(host) = app.control.find_host(&asked.host).await?
    {
        app.allow_host(caller, Permission::Registry, &host)?;
    }
    app.registry().put(&caller.actor(), asked, before.as_ref(), expected, waiting).await
}

/// Removes a target and answers what it was, or [`Code::TargetNotFound`] or [`Code::JobsWaiting`].
pub(crate) async fn remove(
    caller: &Caller,
    app: &App,
    key: &TargetKey,
    expected: Expected,
    waiting: Waiting,
) -> Result<Target, Failure> {
    app.allow(caller, &Need::on(Permission::Registry, key))?;
    let before = look_up(app, key).await?;
    app.registry().remove_found(&caller.actor(), &before, expected, waiting).await
}

/// Stops the jobs of the target's host, and with them those of every target there; answers the host.
pub(crate) async fn pause(
    caller: &Caller,
    app: &App,
    key: &TargetKey,
    reason: &str,
) -> Result<Host, Failure> {
    app.allow(caller, &Need::on(Permission::Hosts, key))?;
    let host = look_up(app, key).await?.host;
    hosts::switch(caller, app, &host, Switch::Pause(reason)).await
}

/// Lets the jobs of the target's host go on, and new ones come; answers the host.
pub(crate) async fn resume(caller: &Caller, app: &App, key: &TargetKey) -> Result<Host, Failure> {
    app.allow(caller, &Need::on(Permission::Hosts, key))?;
    let host = look_up(app, key).await?.host;
    hosts::switch(caller, app, &host, Switch::Resume).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::fakes;

    #[test]
    fn what_is_expected_becomes_a_revision() {
        let mut target = fakes::target("db1");
        target.revision = 7;
        assert_eq!(Expected::Anything.as_revision(None).unwrap(), None);
        assert_eq!(Expected::Nothing.as_revision(None).unwrap(), Some(0));
        assert_eq!(Expected::Something.as_revision(Some(&target)).unwrap(), Some(7));
        assert_eq!(Expected::Revision(7).as_revision(Some(&target)).unwrap(), Some(7));
        for (expected, before) in [
            (Expected::Something, None),
            (Expected::Nothing, Some(&target)),
            (Expected::Revision(3), Some(&target)),
            (Expected::Revision(3), None),
        ] {
            let failure = expected.as_revision(before).unwrap_err();
            assert_eq!(failure.code(), Code::RevisionMismatch, "{expected:?}");
        }
    }
}
