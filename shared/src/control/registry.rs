//! What every change of targets and hosts has in common: its lock, its audit row, the notice to others.

use deadpool_postgres::{Client, Transaction};
use serde_json::json;

use super::audit;
use super::error::Error;
use crate::domain::{Code, DatabaseName, Event, Failure, HostKey, TargetKey};

/// The advisory lock under which the registry changes: "registry" in ASCII.
const LOCK: i64 = 0x7265_6769_7374_7279;

/// Begins a change. Changes of the registry are made by people and take milliseconds, so one lock for all of them
/// costs nothing, and none can meet another half-way: not on one target, and not on the host rows that come and go
/// with their targets.
pub(super) async fn begin(client: &mut Client) -> Result<Transaction<'_>, Error> {
    let transaction = client.transaction().await?;
    transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    Ok(transaction)
}

/// Records the change and commits it. Whoever listens on `rolecall_registry` hears that something changed.
pub(super) async fn finish(transaction: Transaction<'_>, event: &Event) -> Result<(), Error> {
    audit::insert(&transaction, event).await?;
    tell(transaction).await
}

/// Commits a change that is recorded, and tells those who listen.
pub(super) async fn tell(transaction: Transaction<'_>) -> Result<(), Error> {
    transaction.batch_execute("NOTIFY rolecall_registry").await?;
    Ok(transaction.commit().await?)
}

/// Makes sure that the host has a row and that the row says what the targets say. All targets of a host together may
/// change the host's settings; some of several may not.
pub(super) async fn provide_host(
    transaction: &Transaction<'_>,
    host: &HostKey,
    lock_database: &DatabaseName,
    targets: &[&TargetKey],
) -> Result<(), Error> {
    let (hostname, port) = parts(host);
    let envs: Vec<_> = targets.iter().map(|key| key.env.as_str()).collect();
    let databases: Vec<_> = targets.iter().map(|key| key.database.as_str()).collect();
    let stated = transaction
        .query_opt(
            "SELECT lock_database, \
                    EXISTS (SELECT FROM targets t WHERE t.hostname = h.hostname AND t.port = h.port \
                            AND (t.env, t.database) NOT IN (SELECT * FROM unnest($3::text[], $4::text[]))) \
                            AS shared \
             FROM hosts h WHERE hostname = $1 AND port = $2",
            &[&hostname, &port, &envs, &databases],
        )
        .await?;
    if let Some(row) = stated {
        let current: &str = row.try_get("lock_database")?;
        if current == lock_database.as_str() {
            return Ok(());
        }
        if row.try_get("shared")? {
            return Err(conflict(host, current).into());
        }
    }
    transaction
        .execute(
            "INSERT INTO hosts (hostname, port, lock_database) VALUES ($1, $2, $3) \
             ON CONFLICT (hostname, port) DO UPDATE SET lock_database = excluded.lock_database",
            &[&hostname, &port, &lock_database.as_str()],
        )
        .await?;
    Ok(())
}

/// Removes the host's row, and with it a pause, if no target is left on it.
pub(super) async fn forget_unused_host(transaction: &Transaction<'_>, host: &HostKey) -> Result<(), Error> {
    let (hostname, port) = parts(host);
    transaction
        .execute(
            "DELETE FROM hosts h WHERE hostname = $1 AND port = $2 \
             AND NOT EXISTS (SELECT FROM targets t WHERE t.hostname = h.hostname AND t.port = h.port)",
            &[&hostname, &port],
        )
        .await?;
    Ok(())
}

/// A host as two parameters.
pub(super) fn parts(host: &HostKey) -> (&str, i32) {
    (host.hostname(), i32::from(host.port()))
}

/// Targets of one host say different things of it.
pub(super) fn conflict(host: &HostKey, lock_database: &str) -> Failure {
    Failure::new(
        Code::HostSettingsConflict,
        format!(
            "Other targets of {host} state the lock database {lock_database:?}; all targets of a host must state the \
             same."
        ),
    )
    .with_context(json!({ "host": host, "lock_database": lock_database }))
}
