//! Rows of the ledger, for lists and exports.

use jiff::Timestamp;
use tokio_postgres::types::{ToSql, Type};

use super::super::Control;
use super::super::error::Error;
use super::super::rows::{UnreadableRow, target_key};
use crate::audit::Entry;
use crate::domain::{Actor, Event, EventName, Failure, HostKey, TicketId};

const TABLE: &str = "audit_ledger";

/// Which events to list. Everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// What happened.
    pub name: Option<EventName>,
    /// To which ticket.
    pub ticket: Option<TicketId>,
    /// By whom.
    pub account: Option<String>,
    /// On targets of this environment.
    pub env: Option<String>,
    /// On targets with this database name.
    pub database: Option<String>,
    /// On this host, as `hostname:port`.
    pub host: Option<String>,
    /// To this role.
    pub role: Option<String>,
    /// Not before this moment.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
}

/// A row of the audit with its number.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// From 1, without gaps, in the order in which rows entered the ledger.
    pub seq: i64,
    /// What was recorded.
    pub event: Event,
}

/// A row of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExportRow {
    /// Its number.
    pub seq: i64,
    /// The text that is hashed.
    pub text: String,
}

/// A range of rows: all above the first number, up to the second.
type Range = (i64, i64);

impl Control {
    /// Newest first, those with a number below `before`, at most `limit`.
    pub async fn list_events(
        &self,
        filter: &EventFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Recorded>, Failure> {
        let until = before.map_or(i64::MAX, |before| before.saturating_sub(1));
        let rows = self.find_rows(filter, (0, until), limit, NEWEST_FIRST).await?;
        let recorded = rows.iter().map(read).collect::<Result<_, Error>>()?;
        Ok(recorded)
    }

    /// Oldest first, those above `after` and up to `until`, at most `limit`: the next part of an export.
    pub(super) async fn export_events(
        &self,
        filter: &EventFilter,
        (after, until): Range,
        limit: usize,
    ) -> Result<Vec<ExportRow>, Failure> {
        Ok(self.find_rows(filter, (after, until), limit, OLDEST_FIRST).await?)
    }

    /// The number of the newest row; 0 if there is none.
    pub async fn newest_event(&self) -> Result<i64, Failure> {
        let sql = "SELECT coalesce(max(seq), 0) FROM audit_ledger";
        let newest =
            self.pool.run(async |client| Ok(client.query_typed_one(sql, &[]).await?.try_get(0)?)).await?;
        Ok(newest)
    }

    async fn find_rows(
        &self,
        filter: &EventFilter,
        (after, until): Range,
        limit: usize,
        order: &str,
    ) -> Result<Vec<ExportRow>, Error> {
        let name = filter.name.map(EventName::as_str);
        let ticket = filter.ticket.map(TicketId::as_uuid);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        // Not a cached statement: planned with its values, the filters that are not set cost nothing and those that
        // are find their index.
        let parameters: [(&(dyn ToSql + Sync), Type); 12] = [
            (&name, Type::TEXT),
            (&ticket, Type::UUID),
            (&filter.account, Type::TEXT),
            (&filter.env, Type::TEXT),
            (&filter.database, Type::TEXT),
            (&filter.host, Type::TEXT),
            (&filter.role, Type::TEXT),
            (&filter.from, Type::TIMESTAMPTZ),
            (&filter.to, Type::TIMESTAMPTZ),
            (&after, Type::INT8),
            (&until, Type::INT8),
            (&limit, Type::INT8),
        ];
        let sql = format!("{FIND} {order} LIMIT $12");
        self.pool
            .run(async |client| {
                let rows = client.query_typed(&sql, &parameters).await?;
                rows.iter()
                    .map(|row| Ok(ExportRow { seq: row.try_get(0)?, text: row.try_get(1)? }))
                    .collect::<Result<_, Error>>()
            })
            .await
    }
}

const FIND: &str = "\
    SELECT seq, body FROM audit_ledger \
    WHERE ($1 IS NULL OR event = $1) \
      AND ($2 IS NULL OR ticket = $2) \
      AND ($3 IS NULL OR account = $3) \
      AND ($4 IS NULL OR env = $4) \
      AND ($5 IS NULL OR database = $5) \
      AND ($6 IS NULL OR host = $6) \
      AND ($7 IS NULL OR role = $7) \
      AND ($8 IS NULL OR at >= $8) \
      AND ($9 IS NULL OR at < $9) \
      AND seq > $10 AND seq <= $11";
const NEWEST_FIRST: &str = "ORDER BY seq DESC";
const OLDEST_FIRST: &str = "ORDER BY seq";

fn read(row: &ExportRow) -> Result<Recorded, Error> {
    let entry = Entry::parse(&row.text).map_err(|fault| UnreadableRow::because(TABLE, "body", fault))?;
    let name = EventName::ALL.iter().find(|known| known.as_str() == entry.event);
    let target = match (entry.env, entry.database) {
        (Some(env), Some(database)) => Some(target_key(TABLE, &env, &database)?),
        _ => None,
    };
    let host = entry.host.as_deref().map(str::parse::<HostKey>).transpose();
    Ok(Recorded {
        seq: row.seq,
        event: Event {
            name: *name.ok_or_else(|| UnreadableRow::new(TABLE, "event"))?,
            at: entry.at,
            ticket: entry.ticket.map(TicketId::from_uuid),
            actor: Actor {
                account: entry.account,
                owner: entry.owner,
                address: entry.address,
                via: entry.via,
            },
            target,
            host: host.map_err(|fault| UnreadableRow::because(TABLE, "host", fault))?,
            operation: entry.operation,
            kind: entry.kind,
            role: entry.role,
            outcome: entry.outcome,
            detail: entry.detail,
        },
    })
}
