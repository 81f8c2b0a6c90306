//! Changing the registry of targets: what callers of the HTTP API and operators at the command line have in common.
//!
//! Owns what a change needs besides the right to make it: that the log-in may be used there, that no job is left
//! behind, and that the host is tried at once. Never asks who may: for callers `targets` and `hosts` do, and an operator
//! has the control database anyway.
//!
//! `plan` makes many changes one. Tested end to end in `tests/tests/registry`.

mod plan;

use std::collections::BTreeSet;
use std::sync::Arc;

use rolecall_shared::config::Settings;
use rolecall_shared::control::{Control, Host, NewTarget, Put, Switch};
use rolecall_shared::domain::{Actor, Clock, Code, Failure, HostKey, Target, TargetKey};
use rolecall_shared::queue::{BellDelay, Queue};
use rolecall_shared::seal::KeyRing;
use rolecall_shared::tickets::Tickets;

pub use super::hosts::check_reason;
pub use super::targets::AskedTarget;
use super::targets::{Expected, not_found};
use super::{App, hosts, login};
pub use plan::{Plan, Planned, RowFault, Wanted};

/// The servers and settings that a change of the registry needs. Clones share.
#[derive(Clone)]
pub struct Registry {
    /// All settings, checked.
    pub settings: Arc<Settings>,
    /// The registry, and its audit.
    pub control: Control,
    /// How hosts are.
    pub tickets: Arc<dyn Tickets>,
    /// What waits for hosts.
    pub queue: Arc<dyn Queue>,
    /// Seals log-in passwords.
    pub keys: KeyRing,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

/// What becomes of jobs that wait for a host when a target leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The target stays while there are any: [`Code::JobsWaiting`].
    Refuse,
    /// Those of this target fail as `target_changed`.
    Fail,
}

impl App {
    /// The part of it that changes the registry.
    pub(crate) fn registry(&self) -> Registry {
        Registry {
            settings: Arc::clone(&self.settings),
            control: self.control.clone(),
            tickets: Arc::clone(&self.tickets),
            queue: Arc::clone(&self.queue),
            keys: self.keys.clone(),
            clock: Arc::clone(&self.clock),
        }
    }
}

impl Registry {
    /// Registers a target, or changes the one that was found `before`.
    ///
    /// [`Code::JobsWaiting`] when the host is to change while jobs wait for the old one.
    pub(crate) async fn put(
        &self,
        actor: &Actor,
        asked: AskedTarget,
        before: Option<&Target>,
        expected: Expected,
        waiting: Waiting,
    ) -> Result<Put, Failure> {
        let expected = expected.as_revision(before)?;
        if let Some(before) = before
            && before.host != asked.host
        {
            self.check_waiting(waiting, &before.host).await?;
        }
        let login = login::settle(self, asked.login, (&asked.key, &asked.host), before).await?;
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
        let put = self.control.put_target(&target, expected, actor, self.clock.now()).await?;
        self.follow(std::slice::from_ref(&put)).await;
        Ok(put)
    }

    /// Removes the target that was found `before`, or [`Code::TargetNotFound`] or [`Code::JobsWaiting`].
    pub(crate) async fn remove_found(
        &self,
        actor: &Actor,
        before: &Target,
        expected: Expected,
        waiting: Waiting,
    ) -> Result<Target, Failure> {
        let expected = expected.as_revision(Some(before))?;
        self.check_waiting(waiting, &before.host).await?;
        let now = self.clock.now();
        let removed = self.control.remove_target(&before.key, expected, actor, now).await?;
        // Its jobs are settled by the lane that finds the target gone.
        self.ring(&before.host).await;
        removed.ok_or_else(not_found)
    }

    /// Removes a target and answers what it was, or [`Code::TargetNotFound`] or [`Code::JobsWaiting`].
    pub async fn remove(&self, actor: &Actor, key: &TargetKey, waiting: Waiting) -> Result<Target, Failure> {
        let before = self.find(key).await?;
        self.remove_found(actor, &before, Expected::Anything, waiting).await
    }

    /// One target, or [`Code::TargetNotFound`].
    pub async fn find(&self, key: &TargetKey) -> Result<Target, Failure> {
        self.control.find_target(key).await?.ok_or_else(not_found)
    }

    /// Stops a host, lets it run dry, or lets it go on; or [`Code::HostNotFound`].
    pub async fn switch(&self, actor: &Actor, host: &HostKey, switch: Switch<'_>) -> Result<Host, Failure> {
        let switched = self.control.switch_host(host, switch, actor, self.clock.now()).await?;
        let host = switched.ok_or_else(hosts::not_found)?;
        if host.paused.is_none() {
            self.ring(&host.key).await;
        }
        Ok(host)
    }

    /// Adds a host to those the default log-in is for; whether it was none of them. For this `control` must be the
    /// owner's handle.
    pub async fn trust(&self, actor: &Actor, host: &HostKey) -> Result<bool, Failure> {
        let hosts = std::slice::from_ref(host);
        let is_new = !self.control.trust_hosts(hosts, actor, self.clock.now()).await?.is_empty();
        if is_new {
            self.try_at_once(host).await;
        }
        Ok(is_new)
    }

    /// The default log-in may be used on this host.
    pub(super) async fn has_default_login(&self, host: &HostKey) -> Result<bool, Failure> {
        let Some(default) = &self.settings.default_login else { return Ok(false) };
        Ok(default.hosts.contains(host) || self.control.is_trusted(host).await?)
    }

    async fn check_waiting(&self, waiting: Waiting, host: &HostKey) -> Result<(), Failure> {
        match waiting {
            Waiting::Refuse => self.refuse_waiting(host).await,
            Waiting::Fail => Ok(()),
        }
    }

    /// The queue is per host and does not say whose its messages are, so every waiting job of the host counts, those of
    /// its other targets too. Jobs that a lane holds at this moment are not seen: a lane settles a job whose target has
    /// left its host as `target_changed`.
    async fn refuse_waiting(&self, host: &HostKey) -> Result<(), Failure> {
        let waiting = self.queue.depth(host).await?.messages;
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

    /// What follows from changes that were made.
    async fn follow(&self, puts: &[Put]) {
        let (mut changed, mut left) = (BTreeSet::new(), BTreeSet::new());
        for put in puts {
            if let Put::Changed { before, now } = put {
                changed.insert(&now.host);
                left.insert(&before.host);
            }
        }
        for host in &changed {
            self.try_at_once(host).await;
        }
        for host in left.difference(&changed) {
            // Jobs of targets that have left are settled by the lane that finds them gone.
            self.ring(host).await;
        }
    }

    /// A host in trouble is tried slowly; what was wrong may just have been put right.
    async fn try_at_once(&self, host: &HostKey) {
        if let Err(failure) = self.tickets.clear_host(host).await {
            tracing::warn!(%host, %failure, "the host is not tried at once");
        }
        self.ring(host).await;
    }

    /// A bell that does not ring costs time only: the sweeper rings every host that has messages.
    pub(super) async fn ring(&self, host: &HostKey) {
        if let Err(failure) = self.queue.ring(host, BellDelay::Now).await {
            tracing::warn!(%host, %failure, "the doorbell did not ring");
        }
    }
}
