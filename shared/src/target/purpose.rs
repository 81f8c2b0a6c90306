//! What a session is for, and the limits that follow from it.

use std::time::Duration;

use crate::config;

/// What a session is for; its limits follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Holds the host lock and runs the DDL: the limits of the lane.
    Lane,
    /// Step 3b: at most half of the lane's, so that the session that holds the lock outlives each of its
    /// transactions.
    Grants,
    /// Reads of the API; cannot write.
    Read,
}

/// How long a session may lie idle, with or without a transaction, before the server ends it. Above three
/// heartbeats of the broker (4 s), so that a lost worker's jobs are back in the queue before its lock is free.
const LANE_IDLE: Duration = Duration::from_secs(16);
const GRANTS_IDLE: Duration = Duration::from_secs(8);
/// The most a statement of step 3b may take, whatever the configuration says: the lock session waits for it.
const GRANTS_STATEMENT_CAP: Duration = Duration::from_secs(5);
/// On top of `statement_timeout`, before this side gives up on an answer.
const ANSWER_MARGIN: Duration = Duration::from_secs(2);
impl Purpose {
    /// The limits of a session.
    pub(super) fn limits(self, settings: &config::Target) -> Limits {
        let half = |limit: Duration| (limit / 2).max(Duration::from_millis(1));
        let (statement, lock, idle) = match self {
            Self::Lane | Self::Read => (settings.statement_timeout, settings.lock_timeout, LANE_IDLE),
            Self::Grants => (
                half(settings.statement_timeout).min(GRANTS_STATEMENT_CAP),
                half(settings.lock_timeout).min(GRANTS_STATEMENT_CAP),
                GRANTS_IDLE,
            ),
        };
        Limits { statement, lock, idle, answer: statement + ANSWER_MARGIN }
    }

    /// How long an unused session may be kept: three quarters of what the server allows.
    pub(super) fn keep_idle(self, settings: &config::Target) -> Duration {
        settings.idle_close.min(self.limits(settings).idle * 3 / 4)
    }

    /// The session settings. `search_path` names no schema that a stranger could put an object into, so that our
    /// own queries mean what they say.
    pub(super) fn settings(self, limits: &Limits) -> Vec<(&'static str, String)> {
        let millis = |limit: Duration| limit.as_millis().max(1).to_string();
        let mut settings = vec![
            ("search_path", "pg_catalog,pg_temp".to_owned()),
            ("standard_conforming_strings", "on".to_owned()),
            ("client_min_messages", "error".to_owned()),
            ("lock_timeout", millis(limits.lock)),
            ("statement_timeout", millis(limits.statement)),
            ("idle_in_transaction_session_timeout", millis(limits.idle)),
            ("idle_session_timeout", millis(limits.idle)),
            ("client_connection_check_interval", "2000".to_owned()),
        ];
        if self == Self::Read {
            settings.push(("default_transaction_read_only", "on".to_owned()));
        }
        settings
    }
}

/// The limits of a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The server's `statement_timeout`.
    pub(super) statement: Duration,
    /// The server's `lock_timeout`.
    pub(super) lock: Duration,
    /// The server's limit for an idle session, with or without a transaction.
    pub(super) idle: Duration,
    /// How long this side waits for an answer.
    pub(super) answer: Duration,
}
