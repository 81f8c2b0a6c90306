//! The host lock: at most one lane of all workers on a host.

use std::fmt;

use tokio_postgres::types::Type;

use super::connect::APPLICATION_NAME;
use super::reading::{column, raw, shown, text};
use super::{Session, TargetError};

/// The key of the host lock, `rolecall` in ASCII: a session advisory lock in the host's lock database. Constant,
/// because advisory locks are kept per database already and there is one lock per host; whatever names lead to
/// a server, they meet at it.
pub const HOST_LOCK_KEY: i64 = 0x726f_6c65_6361_6c6c;

/// Who holds a host lock; its text, `user (application) pid N`, is for `waiting_reason`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockHolder {
    /// The role it is logged in as.
    pub user: String,
    /// What it calls itself; anybody may call itself anything.
    pub application: String,
    /// Its backend on the target.
    pub pid: i32,
}

impl LockHolder {
    /// Whether it goes by our name: another lane, and not a stranger.
    pub fn is_a_lane(&self) -> bool {
        self.application == APPLICATION_NAME
    }
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) pid {}", self.user, self.application, self.pid)
    }
}

impl Session {
    /// Takes the host lock if it is free; the session must be in the host's lock database. It is held until
    /// [`unlock_all`](Self::unlock_all) or the end of the session, whoever notices that first.
    pub async fn try_host_lock(&self) -> Result<bool, TargetError> {
        self.set_locked(true);
        let sql = "SELECT pg_try_advisory_lock($1)";
        let row = self.query_one(sql, &[(&HOST_LOCK_KEY, Type::INT8)]).await?;
        let taken: bool = column(&row, 0)?;
        self.set_locked(taken);
        Ok(taken)
    }

    /// Who holds the host lock; `None` if nobody does, or not any more.
    pub async fn host_lock_holder(&self) -> Result<Option<LockHolder>, TargetError> {
        // How a bigint key is shown: "pg_locks" in the manual.
        let sql = concat!(
            "SELECT ",
            shown!("coalesce(a.usename::text, 'unknown')"),
            ", ",
            shown!("coalesce(a.application_name, '')"),
            ", l.pid
             FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
             WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
               AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
               AND (l.classid::bigint << 32) | l.objid::bigint = $1
             LIMIT 1"
        );
        let rows = self.query(sql, &[(&HOST_LOCK_KEY, Type::INT8)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let application = text(row, 1)?.chars().filter(|c| !c.is_control()).collect();
        Ok(Some(LockHolder { user: text(row, 0)?, application, pid: column(row, 2)? }))
    }

    /// Gives back every advisory lock of the session.
    pub async fn unlock_all(&self) -> Result<(), TargetError> {
        self.query_one("SELECT pg_advisory_unlock_all()::text", &[]).await?;
        self.set_locked(false);
        Ok(())
    }
}
