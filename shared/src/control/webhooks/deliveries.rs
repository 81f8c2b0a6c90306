//! Listing what was told to an endpoint, and telling it once more.

use jiff::Timestamp;
use serde_json::json;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql, Type};
use uuid::Uuid;

use super::endpoints::{locked, record};
use crate::control::Control;
use crate::control::error::Error;
use crate::control::rows::UnreadableRow;
use crate::domain::webhook::{DeliveryState, EndpointState, PING};
use crate::domain::{Actor, Code, EventName, Failure, TicketId};

const TABLE: &str = "webhook_deliveries";
/// The most attempts that are listed of one delivery; the newest.
const MOST_ATTEMPTS: i64 = 50;

/// One event for one endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Names it.
    pub id: i64,
    /// The id of the event.
    pub event: Uuid,
    /// What happened.
    pub name: String,
    /// To which ticket.
    pub ticket: Option<TicketId>,
    /// Where to, if not to the endpoint's own URL.
    pub url: Option<String>,
    /// What became of it.
    pub state: DeliveryState,
    /// When it was written down.
    pub created_at: Timestamp,
    /// When it is tried next, if it is.
    pub next_attempt_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The oldest first.
    pub attempts: Vec<Attempted>,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Attempted {
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub duration_ms: i64,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
}

/// Which deliveries. Everything that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// What became of them.
    pub state: Option<DeliveryState>,
    /// Of what happened.
    pub name: Option<String>,
    /// To which ticket.
    pub ticket: Option<TicketId>,
    /// Written down not before this moment.
    pub from: Option<Timestamp>,
    /// Written down before this moment.
    pub to: Option<Timestamp>,
}

impl Control {
    /// Newest first, those with an id below `before`, at most `limit`.
    pub async fn list_deliveries(
        &self,
        endpoint: Uuid,
        filter: &DeliveryFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Delivery>, Failure> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = Values::of(filter);
        let parameters: [(&(dyn ToSql + Sync), Type); 9] = [
            (&endpoint, Type::UUID),
            (&values.state, Type::TEXT),
            (&values.name, Type::TEXT),
            (&values.ticket, Type::UUID),
            (&filter.from, Type::TIMESTAMPTZ),
            (&filter.to, Type::TIMESTAMPTZ),
            (&before, Type::INT8),
            (&limit, Type::INT8),
            (&MOST_ATTEMPTS, Type::INT8),
        ];
        let rows = self.pool.run(async |client| Ok(client.query_typed(LIST, &parameters).await?)).await?;
        Ok(rows.iter().map(read).collect::<Result<_, Error>>()?)
    }

    /// Tells one event once more, from the first attempt on, whatever became of it.
    ///
    /// # Errors
    /// `Code::WebhookNotFound`, `Code::DeliveryNotFound`; `Code::WebhookNotActive` for an endpoint that is disabled.
    pub async fn replay_delivery(
        &self,
        endpoint: Uuid,
        owner: Option<&str>,
        delivery: i64,
        by: (&Actor, Timestamp),
    ) -> Result<(), Failure> {
        let filter = DeliveryFilter::default();
        let replayed = self.replay(endpoint, owner, Some(delivery), &filter, by).await?;
        if replayed > 0 {
            return Ok(());
        }
        Err(Failure::new(Code::DeliveryNotFound, "This webhook has no such delivery."))
    }

    /// The same with all that pass the filter; how many that were.
    pub async fn replay_deliveries(
        &self,
        endpoint: Uuid,
        owner: Option<&str>,
        filter: &DeliveryFilter,
        by: (&Actor, Timestamp),
    ) -> Result<u64, Failure> {
        self.replay(endpoint, owner, None, filter, by).await
    }

    async fn replay(
        &self,
        endpoint: Uuid,
        owner: Option<&str>,
        delivery: Option<i64>,
        filter: &DeliveryFilter,
        by: (&Actor, Timestamp),
    ) -> Result<u64, Failure> {
        let values = Values::of(filter);
        let replayed = async |client: &mut deadpool_postgres::Client| {
            let transaction = client.transaction().await?;
            let found = locked(&transaction, endpoint, owner).await?;
            if found.state == EndpointState::Disabled {
                let detail = "The webhook is disabled; resume it first.";
                return Err(Failure::new(Code::WebhookNotActive, detail).into());
            }
            let parameters: [(&(dyn ToSql + Sync), Type); 7] = [
                (&endpoint, Type::UUID),
                (&values.state, Type::TEXT),
                (&values.name, Type::TEXT),
                (&values.ticket, Type::UUID),
                (&filter.from, Type::TIMESTAMPTZ),
                (&filter.to, Type::TIMESTAMPTZ),
                (&delivery, Type::INT8),
            ];
            let rows = transaction.query_typed(REPLAY, &parameters).await?;
            let replayed = u64::try_from(rows.len()).unwrap_or(u64::MAX);
            if replayed > 0 {
                let detail = json!({
                    "deliveries": replayed, "delivery": delivery, "state": values.state, "event": values.name,
                    "ticket": filter.ticket, "from": filter.from, "to": filter.to,
                });
                record(&transaction, EventName::WebhookReplayed, &found, detail, by).await?;
                transaction.batch_execute("NOTIFY webhooks").await?;
            }
            transaction.commit().await?;
            Ok(replayed)
        };
        Ok(self.recorded(replayed).await?)
    }

    /// Sends an endpoint an event that says nothing; the id of its delivery.
    ///
    /// # Errors
    /// `Code::WebhookNotFound`; `Code::WebhookNotActive`.
    pub async fn ping_endpoint(&self, id: Uuid, owner: Option<&str>, at: Timestamp) -> Result<i64, Failure> {
        let event = Uuid::new_v4();
        let pinged = async |client: &mut deadpool_postgres::Client| {
            let transaction = client.transaction().await?;
            let endpoint = locked(&transaction, id, owner).await?;
            if endpoint.state != EndpointState::Active {
                let detail = format!("The webhook is {}; resume it first.", endpoint.state);
                return Err(Failure::new(Code::WebhookNotActive, detail).into());
            }
            let body = json!({ "type": PING, "timestamp": at, "data": { "webhook": id } }).to_string();
            let sql = "INSERT INTO webhook_events (id, event, at, body) VALUES ($1, $2, $3, $4)";
            transaction.execute(sql, &[&event, &PING, &at, &body]).await?;
            let sql = "INSERT INTO webhook_deliveries (endpoint, event) VALUES ($1, $2) RETURNING id";
            let delivery = transaction.query_one(sql, &[&id, &event]).await?.try_get(0)?;
            transaction.batch_execute("NOTIFY webhooks").await?;
            transaction.commit().await?;
            Ok(delivery)
        };
        Ok(self.pool.run(pinged).await?)
    }
}

struct Values {
    state: Option<&'static str>,
    name: Option<String>,
    ticket: Option<Uuid>,
}

impl Values {
    fn of(filter: &DeliveryFilter) -> Self {
        Self {
            state: filter.state.map(DeliveryState::as_str),
            name: filter.name.clone(),
            ticket: filter.ticket.map(TicketId::as_uuid),
        }
    }
}

const LIST: &str = "\
    SELECT d.id, d.event, e.event AS name, e.ticket, d.url, d.state, d.created_at, d.ended_at, \
           CASE WHEN d.state = 'pending' THEN d.due_at END AS next_attempt_at, \
           (SELECT coalesce(jsonb_agg(a ORDER BY a.at), '[]') FROM ( \
               SELECT t.at, t.duration_ms, t.status, t.error FROM webhook_attempts t \
               WHERE t.delivery = d.id ORDER BY t.id DESC LIMIT $9 \
           ) a) AS attempts \
    FROM webhook_deliveries d JOIN webhook_events e ON e.id = d.event \
    WHERE d.endpoint = $1 \
      AND ($2 IS NULL OR d.state = $2) \
      AND ($3 IS NULL OR e.event = $3) \
      AND ($4 IS NULL OR e.ticket = $4) \
      AND ($5 IS NULL OR d.created_at >= $5) \
      AND ($6 IS NULL OR d.created_at < $6) \
      AND ($7 IS NULL OR d.id < $7) \
    ORDER BY d.id DESC LIMIT $8";

const REPLAY: &str = "\
    UPDATE webhook_deliveries d \
    SET state = 'pending', tries = 0, due_at = now(), lease = NULL, leased_until = NULL, ended_at = NULL \
    FROM webhook_events e \
    WHERE e.id = d.event AND d.endpoint = $1 \
      AND ($2 IS NULL OR d.state = $2) \
      AND ($3 IS NULL OR e.event = $3) \
      AND ($4 IS NULL OR e.ticket = $4) \
      AND ($5 IS NULL OR d.created_at >= $5) \
      AND ($6 IS NULL OR d.created_at < $6) \
      AND ($7 IS NULL OR d.id = $7) \
    RETURNING d.id";

fn read(row: &Row) -> Result<Delivery, Error> {
    let state = row.try_get::<_, &str>("state")?;
    let Json(attempts) = row.try_get("attempts")?;
    Ok(Delivery {
        id: row.try_get("id")?,
        event: row.try_get("event")?,
        name: row.try_get("name")?,
        ticket: row.try_get::<_, Option<Uuid>>("ticket")?.map(TicketId::from_uuid),
        url: row.try_get("url")?,
        state: state.parse().map_err(|fault| UnreadableRow::because(TABLE, "state", Box::new(fault)))?,
        created_at: row.try_get("created_at")?,
        next_attempt_at: row.try_get("next_attempt_at")?,
        ended_at: row.try_get("ended_at")?,
        attempts,
    })
}
