//! The registry of targets.

use rolecall_shared::control::{Host, NewTarget, Put, Switch};
use rolecall_shared::domain::{
    Code, DatabaseName, Failure, HostKey, Need, Permission, SslMode, Target, TargetKey,
};
use rolecall_shared::queue::BellDelay;

use super::login::{self, AskedLogin};
use super::{App, hosts};
use crate::auth::Caller;

/// A target as a caller wants it.
#[derive(Debug)]
pub(crate) struct AskedTarget {
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
    fn as_revision(self, before: Option<&Target>) -> Result<Option<i64>, Failure> {
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

/// What becomes of jobs that wait for a host when a target leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The target stays while there are any: [`Code::JobsWaiting`].
    Refuse,
    /// Those of this target fail as `target_changed`.
    Fail,
}

impl Waiting {
    async fn check(self, app: &App, host: &HostKey) -> Result<(), Failure> {
        match self {
            Self::Refuse => refuse_waiting(app, host).await,
            Self::Fail => Ok(()),
        }
    }
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
    let expected = expected.as_revision(before.as_ref())?;
    if let Some(before) = &before
        && before.host != asked.host
    {
        waiting.check(app, &before.host).await?;
    }
    let now = app.clock.now();
    let place = (&asked.key, &asked.host);
    let login = login::settle(&app.settings, &app.keys, asked.login, place, before.as_ref(), now).await?;
    let target = NewTarget {
        key: asked.key,
        host: asked.host,
        login,
        sslmode: asked.sslmode,
        ca_file: asked.ca_file,
        lock_database: asked.lock_database,
        active: asked.active,
        notes: asked.notes,
    };
    let put = app.control.put_target(&target, expected, &caller.actor(), now).await?;
    if let Put::Changed { before, now } = &put {
        try_at_once(app, &now.host).await;
        if before.host != now.host {
            // Its jobs there are settled by the lane that finds the target gone.
            ring(app, &before.host).await;
        }
    }
    Ok(put)
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
    let expected = expected.as_revision(Some(&before))?;
    waiting.check(app, &before.host).await?;
    let removed = app.control.remove_target(key, expected, &caller.actor(), app.clock.now()).await?;
    // Its jobs are settled by the lane that finds the target gone.
    ring(app, &before.host).await;
    removed.ok_or_else(not_found)
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

/// The queue is per host and does not say whose its messages are, so every waiting job of the host counts, those of
/// its other targets too. Jobs that a lane holds at this moment are not seen: a lane settles a job whose target has
/// left its host as `target_changed`.
async fn refuse_waiting(app: &App, host: &HostKey) -> Result<(), Failure> {
    let waiting = app.queue.depth(host).await?.messages;
    if waiting == 0 {
        return Ok(());
    }
    let detail = format!(
        "{waiting} jobs wait for the host {host}; let them run, cancel them, or fail this target's \
                          with fail_waiting=true."
    );
    let context = serde_json::json!({ "host": host, "waiting": waiting });
    Err(Failure::new(Code::JobsWaiting, detail).with_context(context))
}

/// A host in trouble is tried slowly; what was wrong may just have been put right.
async fn try_at_once(app: &App, host: &HostKey) {
    if let Err(failure) = app.tickets.clear_host(host).await {
        tracing::warn!(%host, %failure, "the host is not tried at once");
    }
    ring(app, host).await;
}

/// A bell that does not ring costs time only: the sweeper rings every host that has messages.
async fn ring(app: &App, host: &HostKey) {
    if let Err(failure) = app.queue.ring(host, BellDelay::Now).await {
        tracing::warn!(%host, %failure, "the doorbell did not ring");
    }
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
