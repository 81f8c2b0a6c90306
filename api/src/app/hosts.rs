//! The hosts: how they are, and stopping them or letting them go on.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use rolecall_shared::control::{Host, Switch};
use rolecall_shared::domain::{Code, Failure, HostKey, Need, Permission};
use rolecall_shared::queue::Depth;
use rolecall_shared::tickets::HostState;

use super::App;
use crate::auth::Caller;

/// How many queues are asked for their depth at once.
const WINDOW: usize = 8;
/// When a caller may ask again who was refused by a host that drains: people end that.
const DRAINING_RETRY: Duration = Duration::from_secs(30);

/// A host with its backlog and its trouble.
#[derive(Debug, Clone)]
pub(crate) struct HostView {
    pub(crate) host: Host,
    pub(crate) state: HostState,
    /// Jobs that wait in its queue, and whether a lane has it.
    pub(crate) depth: Depth,
}

/// One word for a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Ok,
    Blocked,
    LoginRefused,
    Paused,
    Draining,
}

impl Condition {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Blocked => "blocked",
            Self::LoginRefused => "login_refused",
            Self::Paused => "paused",
            Self::Draining => "draining",
        }
    }
}

impl HostView {
    /// A pause outweighs trouble: nothing is tried while it lasts. Trouble outweighs a drain: it is why that takes long.
    pub(crate) fn condition(&self) -> Condition {
        if self.host.paused.is_some() {
            Condition::Paused
        } else if self.state.code == Some(Code::TargetLoginRefused) {
            Condition::LoginRefused
        } else if self.state.failures > 0 || self.state.code.is_some() {
            Condition::Blocked
        } else if self.host.draining.is_some() {
            Condition::Draining
        } else {
            Condition::Ok
        }
    }

    /// When it is tried again, if it is in trouble.
    pub(crate) fn next_attempt_at(&self) -> Option<Timestamp> {
        match self.condition() {
            Condition::Blocked | Condition::LoginRefused => self.state.blocked_until,
            Condition::Ok | Condition::Paused | Condition::Draining => None,
        }
    }

    /// Nothing is left of what it had when it began to drain: no job waits, and no lane has any.
    pub(crate) fn is_drained(&self) -> bool {
        self.host.draining.is_some() && self.depth == Depth::default()
    }
}

/// The hosts after `after` on which the caller may see a target, with the targets he may see, by name; at most `limit`.
pub(crate) async fn list(
    caller: &Caller,
    app: &App,
    after: Option<&HostKey>,
    limit: usize,
) -> Result<Vec<HostView>, Failure> {
    app.allow_some(caller, &Need::everywhere(Permission::Read))?;
    let mut hosts = app.control.list_hosts().await?;
    for host in &mut hosts {
        host.targets.retain(|target| caller.rights.allow(&Need::on(Permission::Read, target)));
    }
    hosts.retain(|host| !host.targets.is_empty() || caller.rights.are_all());
    hosts.retain(|host| after.is_none_or(|after| host.key > *after));
    hosts.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    hosts.truncate(limit);
    if hosts.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<HostKey> = hosts.iter().map(|host| host.key.clone()).collect();
    let states = app.tickets.host_states(&keys).await?;
    let depths: Vec<_> = stream::iter(keys)
        .map(|key| async move { app.queue.depth(&key).await })
        .buffered(WINDOW)
        .try_collect()
        .await?;
    Ok(hosts
        .into_iter()
        .zip(states)
        .zip(depths)
        .map(|((host, state), depth)| HostView { host, state, depth })
        .collect())
}

/// Stops a host, lets it run dry, or lets it go on; or [`Code::HostNotFound`].
pub(crate) async fn switch(
    caller: &Caller,
    app: &App,
    host: &HostKey,
    switch: Switch<'_>,
) -> Result<Host, Failure> {
    let found = app.control.find_host(host).await?;
    match &found {
        Some(found) => app.allow_host(caller, Permission::Hosts, found)?,
        // Nobody learns which hosts there are who may do nothing to any.
        None => app.allow_some(caller, &Need::everywhere(Permission::Hosts))?,
    }
    app.registry().switch(&caller.actor(), host, switch).await
}

/// The same with all hosts there are now; all of them or none.
pub(crate) async fn switch_all(caller: &Caller, app: &App, switch: Switch<'_>) -> Result<Vec<Host>, Failure> {
    app.allow(caller, &Need::everywhere(Permission::Hosts))?;
    let hosts = app.control.switch_all_hosts(switch, &caller.actor(), app.clock.now()).await?;
    let registry = app.registry();
    for host in hosts.iter().filter(|host| host.paused.is_none()) {
        registry.ring(&host.key).await;
    }
    Ok(hosts)
}

/// The longest reason for a pause or a drain, in bytes.
const MAX_REASON: usize = 500;

/// Whether a text may be shown to whoever waits or is refused.
pub fn check_reason(reason: &str) -> Result<(), String> {
    if reason.len() > MAX_REASON || reason.chars().any(char::is_control) {
        return Err(format!("must be at most {MAX_REASON} bytes without control characters"));
    }
    Ok(())
}

/// No host of that name, or none that could be one.
pub(crate) fn not_found() -> Failure {
    Failure::new(Code::HostNotFound, "No target is registered on this host.")
}

/// Fails with [`Code::HostDraining`] for a host that takes no new jobs.
pub(super) fn takes_jobs(host: Option<&Host>) -> Result<(), Failure> {
    let Some((host, drain)) = host.and_then(|host| Some((host, host.draining.as_ref()?))) else {
        return Ok(());
    };
    let reason = if drain.reason.is_empty() { String::new() } else { format!(": {}", drain.reason) };
    let detail =
        format!("The host {} takes no new jobs since {}, by {}{reason}", host.key, drain.at, drain.by);
    Err(Failure::new(Code::HostDraining, detail)
        .with_context(serde_json::json!({ "host": host.key }))
        .retry_after(DRAINING_RETRY))
}

#[cfg(test)]
mod tests {
    use rolecall_shared::control::Pause;
    use rolecall_shared::domain::DatabaseName;

    use super::*;

    fn view(paused: bool, failures: u32, code: Option<Code>) -> HostView {
        let pause = Pause { by: "ops".into(), at: Timestamp::UNIX_EPOCH, reason: String::new() };
        HostView {
            host: Host {
                key: HostKey::new("db1", 5432).unwrap(),
                lock_database: DatabaseName::parse("postgres").unwrap(),
                paused: paused.then_some(pause),
                draining: None,
                unreachable_since: None,
                targets: Vec::new(),
            },
            state: HostState {
                failures,
                code,
                cause: None,
                blocked_until: Some(Timestamp::UNIX_EPOCH),
                since: None,
            },
            depth: Depth::default(),
        }
    }

    #[test]
    fn one_word_says_how_a_host_is() {
        assert_eq!(view(false, 0, None).condition(), Condition::Ok);
        assert_eq!(view(false, 1, Some(Code::TargetUnreachable)).condition(), Condition::Blocked);
        assert_eq!(view(false, 1, Some(Code::TargetLoginRefused)).condition(), Condition::LoginRefused);
        assert_eq!(view(true, 1, Some(Code::TargetUnreachable)).condition(), Condition::Paused);
        assert_eq!(view(true, 1, None).next_attempt_at(), None);
        assert!(view(false, 1, None).next_attempt_at().is_some());
    }

    #[test]
    fn a_drain_is_over_when_nothing_waits_and_no_lane_has_anything() {
        let mut view = view(false, 0, None);
        assert!(!view.is_drained(), "it does not drain");
        let drain = Pause { by: "ops".into(), at: Timestamp::UNIX_EPOCH, reason: "move".into() };
        view.host.draining = Some(drain);
        assert!(view.is_drained());
        assert_eq!(view.condition(), Condition::Draining);
        for depth in [Depth { messages: 1, consumers: 0 }, Depth { messages: 0, consumers: 1 }] {
            view.depth = depth;
            assert!(!view.is_drained(), "{depth:?}");
        }
        let refused = takes_jobs(Some(&view.host)).unwrap_err();
        assert_eq!(refused.code(), Code::HostDraining);
        assert!(refused.code().retryable() && refused.retry_delay() == Some(DRAINING_RETRY));
        assert!(takes_jobs(None).is_ok());
    }
}
