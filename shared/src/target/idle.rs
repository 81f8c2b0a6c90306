//! Sessions kept between two turns of a lane, so that a busy host does not pay for a log-in each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::{Instant, timeout};

use crate::domain::{DatabaseName, HostKey, Login, SslMode, Target};

use super::{Connector, Purpose, Session, TargetError};

/// Sessions are alike if they were opened alike: after a target's log-in or TLS settings are changed, none of the
/// old ones is handed out.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    host: HostKey,
    database: DatabaseName,
    login: Login,
    sslmode: SslMode,
    ca_file: Option<String>,
    purpose: Purpose,
}

impl Key {
    pub(super) fn new(target: &Target, database: &DatabaseName, purpose: Purpose) -> Self {
        Self {
            host: target.host.clone(),
            database: database.clone(),
            login: target.login.clone(),
            sslmode: target.sslmode,
            ca_file: target.ca_file.clone(),
            purpose,
        }
    }
}

/// Of sessions opened alike, one lane uses one at a time; a second may be on its way out.
const MAX_ALIKE: usize = 2;

struct Idle {
    session: Session,
    since: Instant,
}

/// Unused sessions. Clones share.
///
/// A session is kept for `idle_close`, and never longer than three quarters of the server's own
/// `idle_session_timeout` (12 s for a lane). Call [`close_idle`](Self::close_idle) about every second.
#[derive(Clone)]
pub struct IdleSessions {
    connector: Connector,
    idle: Arc<Mutex<HashMap<Key, Vec<Idle>>>>,
}

impl IdleSessions {
    /// An empty store over a connector.
    pub fn new(connector: Connector) -> Self {
        Self { connector, idle: Arc::default() }
    }

    /// A kept session that answers a ping, or else a new one.
    pub async fn checkout(
        &self,
        target: &Target,
        database: &DatabaseName,
        purpose: Purpose,
    ) -> Result<Session, TargetError> {
        let key = Key::new(target, database, purpose);
        while let Some(session) = self.take(&key) {
            // A peer that died without a word must cost no more than opening a session would.
            let limit = self.connector.target_settings().connect_timeout;
            if !session.is_closed() && matches!(timeout(limit, session.ping()).await, Ok(Ok(()))) {
                return Ok(session);
            }
        }
        self.connector.open(target, database, purpose).await
    }

    /// Keeps a session for the next one. One that is closed, or may still hold a lock or a transaction (call
    /// [`Session::unlock_all`] first), is closed instead.
    pub fn put_back(&self, session: Session) {
        if session.is_closed() || session.is_busy() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let alike = idle.entry(session.key().clone()).or_default();
        if alike.len() < MAX_ALIKE {
            alike.push(Idle { session, since: Instant::now() });
        }
    }

    /// Closes what is unused for too long; answers how many are left.
    pub fn close_idle(&self) -> usize {
        let settings = self.connector.target_settings();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|key, alike| {
            let keep = key.purpose.keep_idle(settings);
            alike.retain(|idle| !idle.session.is_closed() && idle.since.elapsed() < keep);
            !alike.is_empty()
        });
        idle.values().map(Vec::len).sum()
    }

    /// Closes all, at the end of the process.
    pub fn clear(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn take(&self, key: &Key) -> Option<Session> {
        let keep = key.purpose.keep_idle(self.connector.target_settings());
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let alike = idle.get_mut(key)?;
        let found = alike.pop().filter(|idle| idle.since.elapsed() < keep);
        if alike.is_empty() || found.is_none() {
            // The newest is too old, so all are.
            idle.remove(key);
        }
        found.map(|idle| idle.session)
    }
}
