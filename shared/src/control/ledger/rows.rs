//! Rows of the inbox as rows of the ledger.

use tokio_postgres::Row;

use super::super::error::Error;
use crate::audit::Entry;

/// What [`entry`] reads, of an inbox that is called `i`.
pub(super) const INBOX: &str = "\
    i.seq AS inbox, i.event_id, i.event, i.at, i.ticket, i.account, i.owner, i.address, i.via, i.env, i.database, i.host, \
    i.operation, i.kind, i.role, i.outcome, i.detail, i.recorded_at";

/// The row with the number it has, or will have. Takes everything as it stands: a row that could not be read would stop
/// all that come after it.
pub(super) fn entry(row: &Row, seq: i64) -> Result<Entry, Error> {
    Ok(Entry {
        account: row.try_get("account")?,
        address: row.try_get("address")?,
        at: row.try_get("at")?,
        database: row.try_get("database")?,
        detail: row.try_get("detail")?,
        env: row.try_get("env")?,
        event: row.try_get("event")?,
        host: row.try_get("host")?,
        id: row.try_get("event_id")?,
        kind: row.try_get("kind")?,
        operation: row.try_get("operation")?,
        outcome: row.try_get("outcome")?,
        owner: row.try_get("owner")?,
        recorded_at: row.try_get("recorded_at")?,
        role: row.try_get("role")?,
        seq,
        ticket: row.try_get("ticket")?,
        via: row.try_get("via")?,
    })
}
