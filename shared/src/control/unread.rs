//! Passwords that nobody took in time.

use jiff::Timestamp;

use super::Control;
use crate::domain::{EventName, Failure};

impl Control {
    /// Writes a `secret.expired` event for every password whose lifetime ended after `after` and not after `until` and
    /// that nobody took; at most `limit`, the oldest first. Answers how many it wrote: fewer than `limit` means all.
    ///
    /// May be repeated, and done by several at once: the event is unique per ticket. Whoever calls sees to it that no
    /// take that began before `until` is still under way.
    pub async fn expire_unread(
        &self,
        after: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<usize, Failure> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let name = EventName::SecretExpired.as_str();
        let written = self
            .recorded(async |client| {
                let statement = client.prepare_cached(EXPIRE).await?;
                Ok(client.execute(&statement, &[&name, &after, &until, &limit]).await?)
            })
            .await?;
        Ok(usize::try_from(written).unwrap_or(usize::MAX))
    }
}

/// History tells which passwords there were, whatever became of the ticket store. The bound on `finished_at` keeps old
/// months out of it: no password lives longer than a week. The event is in the name of whoever
/// asked for the job, as that of a job that expired.
const EXPIRE: &str = "\
    INSERT INTO audit_inbox (event, at, ticket, account, owner, address, env, database, host, operation, kind, role, \
                             detail) \
    SELECT $1, h.secret_expires_at, h.ticket, h.account, h.owner, h.job #>> '{actor,address}', h.env, h.database, \
           h.host, h.operation, h.kind, h.role, '{}' \
    FROM history h \
    WHERE h.secret_expires_at > $2 AND h.secret_expires_at <= $3 \
      AND h.finished_at > $2::timestamptz - interval '8 days' \
      AND NOT EXISTS (SELECT FROM secrets_taken t WHERE t.ticket = h.ticket) \
      AND NOT EXISTS (SELECT FROM audit_inbox a WHERE a.ticket = h.ticket AND a.event = $1) \
    ORDER BY h.secret_expires_at LIMIT $4 \
    ON CONFLICT (ticket, event) DO NOTHING";
