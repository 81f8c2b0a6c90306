//! May the lane open? Registered, not paused, its time come, a session that logs in, the host lock ours.

use std::time::Duration;

use rolecall_shared::domain::{Code, Failure, HostKey, Login, Target};
use rolecall_shared::target::{Purpose, Session, TargetError, Verdict};

use super::{Ended, Trouble};
use crate::Worker;

/// How long a host rests whose lock a stranger holds.
const STRANGER_DELAYS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(2));

pub(super) enum Opening {
    Open(Box<HostSession>),
    /// No target is left on the host. Its jobs can only be settled, which takes no session and no lock.
    Orphaned,
    Not(Ended),
}

/// A session on the host's lock database that holds the host lock. If it dies, transaction and lock go together.
pub(super) struct HostSession {
    session: Session,
    login: Login,
    was_unreachable: bool,
}

pub(super) async fn open(worker: &Worker, host: &HostKey) -> Result<Opening, Trouble> {
    let (registered, targets) =
        tokio::try_join!(worker.control.find_host(host), worker.control.targets_of_host(host))?;
    let Some(registered) = registered.filter(|_| !targets.is_empty()) else {
        return Ok(Opening::Orphaned);
    };
    if registered.paused.is_some() {
        return Ok(Opening::Not(Ended::Paused));
    }
    if worker.tickets.blocked_for(host).await?.is_some() {
        return Ok(Opening::Not(Ended::BackingOff));
    }
    let mut refused = None;
    for target in one_target_per_login(targets) {
        match HostSession::lock(worker, &target).await {
            Ok(Some(session)) => {
                let was_unreachable = registered.unreachable_since.is_some();
                return Ok(Opening::Open(Box::new(HostSession { was_unreachable, ..session })));
            }
            Ok(None) => return Ok(Opening::Not(Ended::Held)),
            // Another log-in of the same host may still be good.
            Err(Trouble::Host(error))
                if matches!(error.verdict, Verdict::Login { .. } | Verdict::Permanent { .. }) =>
            {
                refused = Some(error);
            }
            Err(trouble) => return Err(trouble),
        }
    }
    Err(refused.map_or_else(|| Trouble::Stuck(Failure::internal("a host without targets")), Trouble::Host))
}

/// Active targets first; one is enough for each log-in.
fn one_target_per_login(mut targets: Vec<Target>) -> Vec<Target> {
    targets.sort_by_key(|target| !target.active);
    let mut chosen: Vec<Target> = Vec::new();
    for target in targets {
        if !chosen.iter().any(|known| known.login == target.login) {
            chosen.push(target);
        }
    }
    chosen
}

impl HostSession {
    /// Opens a session and takes the lock; `None` when another of our lanes holds it.
    async fn lock(worker: &Worker, target: &Target) -> Result<Option<Self>, Trouble> {
        let session = worker.sessions.checkout(target, &target.lock_database, Purpose::Lane).await?;
        if session.try_host_lock().await? {
            let login = target.login.clone();
            return Ok(Some(Self { session, login, was_unreachable: false }));
        }
        let holder = session.host_lock_holder().await?;
        session.close().await;
        if let Some(holder) = holder.filter(|holder| !holder.is_a_lane()) {
            let cause = format!("the host lock is held by {holder}");
            worker.tickets.block_host(&target.host, Code::HostLockHeld, &cause, STRANGER_DELAYS).await?;
        }
        Ok(None)
    }

    /// Makes sure that the session is logged in as a target's jobs need it. Changing the log-in means another
    /// session, so the lock is given up and taken again; jobs in hand stay ours through the exclusive consumer.
    pub(super) async fn log_in_for(&mut self, worker: &Worker, target: &Target) -> Result<(), Trouble> {
        if self.login == target.login {
            return Ok(());
        }
        self.session.unlock_all().await?;
        match Self::lock(worker, target).await? {
            Some(session) => {
                let old = std::mem::replace(self, session);
                old.session.close().await;
                Ok(())
            }
            None => Err(Trouble::Host(TargetError::host("the host lock was taken while the log-in changed"))),
        }
    }

    /// Whether the audit says that the host could not be worked on.
    pub(super) fn was_unreachable(&self) -> bool {
        self.was_unreachable
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// Frees the host. A session that is well is kept for a while; any other is closed, and the lock goes with it.
    pub(super) async fn let_go(self, worker: &Worker, well: bool) {
        if well && self.session.unlock_all().await.is_ok() {
            worker.sessions.put_back(self.session);
        } else {
            self.session.close().await;
        }
    }
}
