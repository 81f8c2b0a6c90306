//! The audit's inbox: rows are added and read, never changed.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::Control;
use super::error::Error;
use super::rows::{self, UnreadableRow};
use crate::domain::{Actor, Event, EventName, Failure, HostKey, TicketId};

const TABLE: &str = "audit_inbox";

/// Which events to list. Everything that is set must hold.
#[derive(Debug, Clone, Default)]
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

/// A row of the audit with its sequence number.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Grows with every row; has gaps. Rows of transactions that ran at once may become visible out of order.
    pub seq: i64,
    /// What was recorded.
    pub event: Event,
}

impl Control {
    /// Adds an event that belongs to no other change. An event of a ticket that is recorded already is left as it is.
    pub async fn record(&self, event: &Event) -> Result<(), Failure> {
        self.pool.run(async |client| insert(&*client, event).await).await?;
        Ok(())
    }

    /// The same for several that belong to no ticket, all or none.
    pub async fn record_all(&self, events: &[Event]) -> Result<(), Failure> {
        self.pool
            .run(async |client| {
                let transaction = client.transaction().await?;
                for event in events {
                    insert(&transaction, event).await?;
                }
                Ok(transaction.commit().await?)
            })
            .await?;
        Ok(())
    }

    /// Adds an event of something that may be done to a ticket more than once. The audit is unique per ticket and
    /// event, so it knows the first one by its ticket; those that follow name theirs in `detail.ticket` alone, as the
    /// first one does too.
    pub async fn record_act(&self, event: &Event) -> Result<(), Failure> {
        self.pool
            .run(async |client| {
                if insert(&*client, event).await? == 0 {
                    insert(&*client, &Event { ticket: None, ..event.clone() }).await?;
                }
                Ok(())
            })
            .await?;
        Ok(())
    }

    /// Newest first, those with a sequence number below `before`, at most `limit`.
    pub async fn list_events(
        &self,
        filter: &EventFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Recorded>, Failure> {
        let name = filter.name.map(EventName::as_str);
        let ticket = filter.ticket.map(TicketId::as_uuid);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        // Not a cached statement: planned with its values, the filters that are not set cost nothing and those that
        // are find their index.
        let parameters: [(&(dyn ToSql + Sync), Type); 11] = [
            (&name, Type::TEXT),
            (&ticket, Type::UUID),
            (&filter.account, Type::TEXT),
            (&filter.env, Type::TEXT),
            (&filter.database, Type::TEXT),
            (&filter.host, Type::TEXT),
            (&filter.role, Type::TEXT),
            (&filter.from, Type::TIMESTAMPTZ),
            (&filter.to, Type::TIMESTAMPTZ),
            (&before, Type::INT8),
            (&limit, Type::INT8),
        ];
        let rows = self.pool.run(async |client| Ok(client.query_typed(LIST, &parameters).await?)).await?;
        let recorded = rows.iter().map(read).collect::<Result<_, Error>>()?;
        Ok(recorded)
    }
}

const LIST: &str = "\
    SELECT seq, event, at, ticket, account, owner, address, via, env, database, host, operation, kind, role, outcome, detail \
    FROM audit_inbox \
    WHERE ($1 IS NULL OR event = $1) \
      AND ($2 IS NULL OR ticket = $2) \
      AND ($3 IS NULL OR account = $3) \
      AND ($4 IS NULL OR env = $4) \
      AND ($5 IS NULL OR database = $5) \
      AND ($6 IS NULL OR host = $6) \
      AND ($7 IS NULL OR role = $7) \
      AND ($8 IS NULL OR at >= $8) \
      AND ($9 IS NULL OR at < $9) \
      AND ($10 IS NULL OR seq < $10) \
    ORDER BY seq DESC LIMIT $11";

/// Adds one event, in the caller's transaction if `client` is one; how many that were: none if it stands there already.
pub(super) async fn insert(client: &impl GenericClient, event: &Event) -> Result<u64, Error> {
    let target = event.target.as_ref();
    let statement = client
        .prepare_cached(
            "INSERT INTO audit_inbox (event, at, ticket, account, owner, address, env, database, host, operation, \
                                      kind, role, outcome, detail, via) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
             ON CONFLICT (ticket, event) DO NOTHING",
        )
        .await?;
    let added = client
        .execute(
            &statement,
            &[
                &event.name.as_str(),
                &event.at,
                &event.ticket.map(TicketId::as_uuid),
                &event.actor.account,
                &event.actor.owner,
                &event.actor.address,
                &target.map(|key| key.env.as_str()),
                &target.map(|key| key.database.as_str()),
                &event.host.as_ref().map(ToString::to_string),
                &event.operation,
                &event.kind,
                &event.role,
                &event.outcome,
                &event.detail,
                &event.actor.via,
            ],
        )
        .await?;
    Ok(added)
}

fn read(row: &Row) -> Result<Recorded, Error> {
    let name: &str = row.try_get("event")?;
    let name = EventName::ALL
        .iter()
        .find(|known| known.as_str() == name)
        .ok_or_else(|| UnreadableRow::new(TABLE, "event"))?;
    let target = match (row.try_get("env")?, row.try_get("database")?) {
        (Some(env), Some(database)) => Some(rows::target_key(TABLE, env, database)?),
        _ => None,
    };
    let host = row
        .try_get::<_, Option<&str>>("host")?
        .map(str::parse::<HostKey>)
        .transpose()
        .map_err(|fault| UnreadableRow::because(TABLE, "host", fault))?;
    Ok(Recorded {
        seq: row.try_get("seq")?,
        event: Event {
            name: *name,
            at: row.try_get("at")?,
            ticket: row.try_get::<_, Option<_>>("ticket")?.map(TicketId::from_uuid),
            actor: Actor {
                account: row.try_get("account")?,
                owner: row.try_get("owner")?,
                address: row.try_get("address")?,
                via: row.try_get("via")?,
            },
            target,
            host,
            operation: row.try_get("operation")?,
            kind: row.try_get("kind")?,
            role: row.try_get("role")?,
            outcome: row.try_get("outcome")?,
            detail: row.try_get("detail")?,
        },
    })
}
