//! The hosts and how they are.

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use rolecall_shared::control::Host;
use rolecall_shared::domain::{Code, Failure, HostKey};
use rolecall_shared::tickets::HostState;

use super::App;
use crate::auth::Caller;

/// How many queues are asked for their depth at once.
const WINDOW: usize = 8;

/// A host with its backlog and its trouble.
#[derive(Debug, Clone)]
pub(crate) struct HostView {
    pub(crate) host: Host,
    pub(crate) state: HostState,
    /// Jobs that wait in its queue.
    pub(crate) backlog: u64,
}

/// One word for a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Ok,
    Blocked,
    LoginRefused,
    Paused,
}

impl Condition {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Blocked => "blocked",
            Self::LoginRefused => "login_refused",
            Self::Paused => "paused",
        }
    }
}

impl HostView {
    /// A pause outweighs trouble: nothing is tried while it lasts.
    pub(crate) fn condition(&self) -> Condition {
        if self.host.paused.is_some() {
            Condition::Paused
        } else if self.state.code == Some(Code::TargetLoginRefused) {
            Condition::LoginRefused
        } else if self.state.failures > 0 || self.state.code.is_some() {
            Condition::Blocked
        } else {
            Condition::Ok
        }
    }

    /// When it is tried again, if it is in trouble.
    pub(crate) fn next_attempt_at(&self) -> Option<Timestamp> {
        match self.condition() {
            Condition::Blocked | Condition::LoginRefused => self.state.blocked_until,
            Condition::Ok | Condition::Paused => None,
        }
    }
}

/// The hosts after `after`, by name; at most `limit`.
pub(crate) async fn list(
    _caller: &Caller,
    app: &App,
    after: Option<&HostKey>,
    limit: usize,
) -> Result<Vec<HostView>, Failure> {
    let mut hosts = app.control.list_hosts().await?;
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
        .map(|((host, state), depth)| HostView { host, state, backlog: depth.messages })
        .collect())
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
                targets: Vec::new(),
            },
            state: HostState {
                failures,
                code,
                cause: None,
                blocked_until: Some(Timestamp::UNIX_EPOCH),
                since: None,
            },
            backlog: 0,
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
}
