//! What is due, taken under a lease, and what came of it.
//!
//! On connections of its own, so that the lanes never wait for one, and with `synchronous_commit` off: what a server
//! forgets here in a power cut is sent once more, which a receiver has to expect anyway.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{COLUMNS, Endpoint, read};
use crate::config;
use crate::control::accounts::{self, Account};
use crate::control::error::Error;
use crate::control::pool::{Guard, Pool};
use crate::domain::Failure;

/// Held while rows are taken, so that what is under way at an endpoint is counted by one process at a time: "webhooks"
/// in ASCII.
const TAKING: i64 = 0x7765_6268_6f6f_6b73;
/// The most deliveries in one chain.
const LONGEST_CHAIN: i64 = 16;
/// A taker and a recorder each hold one; a third is for tidying.
const CONNECTIONS: usize = 3;

/// A handle on what is to be sent; clones share it.
#[derive(Debug, Clone)]
pub struct Outbox {
    pool: Pool,
}

/// An event to be sent now, leased to whoever took it.
#[derive(Debug, Clone)]
pub struct Due {
    /// Which delivery.
    pub delivery: i64,
    /// By what its outcome is recorded.
    pub lease: Uuid,
    /// How many attempts failed since it was made or replayed.
    pub tries: u32,
    /// The id of the event: the same at every attempt.
    pub event: Uuid,
    /// What happened.
    pub name: String,
    /// The bytes to send: the same at every attempt.
    pub body: String,
    /// Where to, if not to the endpoint's own URL.
    pub url: Option<String>,
    /// To whom.
    pub endpoint: Arc<Endpoint>,
    /// The account that registered it, if it hears of everybody's events; none if there is none any more.
    pub account: Option<Arc<Account>>,
}

/// What becomes of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Delivered,
    /// It is tried again.
    Again {
        /// After so long.
        after: Duration,
        /// Nothing at all is sent to this endpoint for so long.
        hold: Option<Duration>,
    },
    /// It is not tried any more.
    GivenUp,
    /// It was not taken, through no fault of the receiver; that costs no attempt.
    Postponed {
        /// For so long.
        after: Duration,
    },
    /// It was not tried at all, and is as due as before.
    GivenBack,
}

/// An attempt that is over.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Which delivery.
    pub delivery: i64,
    /// Under which lease.
    pub lease: Uuid,
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub duration: Duration,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// What went wrong; holds no URL and nothing of the answer.
    pub error: Option<String>,
    /// What follows.
    pub verdict: Verdict,
}

/// What recording has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Endpoints at which every attempt has failed for longer than is borne.
    pub hopeless: Vec<Uuid>,
}

impl Outbox {
    /// Opens no connection yet.
    pub fn new(settings: &config::Control) -> Result<Self, Failure> {
        Ok(Self { pool: Pool::new(&settings.url, CONNECTIONS, settings.timeout, Guard::Outbox)? })
    }

    /// States what stands before the path in the URLs of tickets, for events from now on.
    pub async fn set_public_url(&self, url: &str) -> Result<(), Failure> {
        let set = async |client: &mut deadpool_postgres::Client| {
            let sql = "UPDATE webhook_settings SET public_url = $1 WHERE public_url <> $1";
            Ok(client.execute(sql, &[&url]).await?)
        };
        self.pool.run(set).await?;
        Ok(())
    }

    /// Takes what is due, the longest due first, in at most `most` chains: deliveries to one endpoint under one lease, to be
    /// sent one after the other. Over all processes no endpoint has more than `per_endpoint` chains under way; one that
    /// fails has one, of one delivery. What is not recorded within `lease` is due again.
    pub async fn take(
        &self,
        most: usize,
        per_endpoint: u32,
        lease: Duration,
    ) -> Result<Vec<Vec<Due>>, Failure> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let (per_endpoint, lease) = (i64::from(per_endpoint), lease.as_secs_f64());
        let taken = async |client: &mut deadpool_postgres::Client| {
            let transaction = client.transaction().await?;
            transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&TAKING]).await?;
            let statement = transaction.prepare_cached(TAKE).await?;
            let rows = transaction.query(&statement, &[&most, &per_endpoint, &lease, &LONGEST_CHAIN]).await?;
            let due = if rows.is_empty() { Vec::new() } else { with_endpoints(&transaction, &rows).await? };
            transaction.commit().await?;
            Ok(due)
        };
        Ok(chained(self.pool.run(taken).await?))
    }

    /// Records attempts. One whose lease is over, because the delivery was replayed or taken by somebody else meanwhile,
    /// is listed and decides nothing.
    pub async fn record(&self, ended: &[Ended], disable_after: Duration) -> Result<Recorded, Failure> {
        let items = Value::Array(ended.iter().map(item).collect());
        let patience = disable_after.as_secs_f64();
        let recorded = async |client: &mut deadpool_postgres::Client| {
            let statement = client.prepare_cached(RECORD).await?;
            let rows = client.query(&statement, &[&items, &patience]).await?;
            rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<Vec<Uuid>, Error>>()
        };
        Ok(Recorded { hopeless: self.pool.run(recorded).await? })
    }

    /// How many events wait for endpoints that are active.
    pub async fn pending(&self) -> Result<u64, Failure> {
        let counted = async |client: &mut deadpool_postgres::Client| {
            let sql = "SELECT count(*) FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint \
                       WHERE d.state = 'pending' AND e.state = 'active'";
            Ok(client.query_one(sql, &[]).await?.try_get::<_, i64>(0)?)
        };
        Ok(self.pool.run(counted).await?.unsigned_abs())
    }

    /// Forgets what ended more than `keep` ago, what waited for an endpoint that has been disabled or gone for so long, and
    /// old keys whose time is over; at most `most` deliveries. Answers how many.
    pub async fn tidy(&self, keep: Duration, most: usize) -> Result<usize, Failure> {
        let (keep, most) = (keep.as_secs_f64(), i64::try_from(most).unwrap_or(i64::MAX));
        let tidied = async |client: &mut deadpool_postgres::Client| {
            let deleted = client.execute(FORGET, &[&keep, &most]).await?;
            client.execute(FORGET_EVENTS, &[&keep, &most]).await?;
            client.batch_execute(FORGET_KEYS).await?;
            Ok(deleted)
        };
        Ok(usize::try_from(self.pool.run(tidied).await?).unwrap_or(usize::MAX))
    }
}

/// Under the lock of [`TAKING`], which is taken by a statement before: this one sees all leases of others. The rows
/// themselves may be locked by somebody who replays or records them; those come next time.
const TAKE: &str = "\
    WITH open AS MATERIALIZED ( \
        SELECT e.id, CASE WHEN e.failing_since IS NULL THEN $4::bigint ELSE 1 END AS longest, \
               greatest(0, CASE WHEN e.failing_since IS NULL THEN $2::bigint ELSE 1 END - ( \
            SELECT count(DISTINCT d.lease) FROM webhook_deliveries d \
            WHERE d.endpoint = e.id AND d.state = 'pending' AND d.leased_until > now() \
        )) AS free \
        FROM webhook_endpoints e \
        WHERE e.state = 'active' AND (e.held_until IS NULL OR e.held_until <= now()) \
    ), due AS MATERIALIZED ( \
        SELECT next.id, next.due_at, open.id AS endpoint, open.free FROM open CROSS JOIN LATERAL ( \
            SELECT d.id, d.due_at FROM webhook_deliveries d \
            WHERE d.endpoint = open.id AND d.state = 'pending' AND d.due_at <= now() \
              AND (d.leased_until IS NULL OR d.leased_until <= now()) \
            ORDER BY d.due_at, d.id LIMIT open.free * open.longest FOR NO KEY UPDATE SKIP LOCKED \
        ) next \
    ), placed AS MATERIALIZED ( \
        SELECT id, due_at, endpoint, \
               (row_number() OVER (PARTITION BY endpoint ORDER BY due_at, id) - 1) \
               % least(free, count(*) OVER (PARTITION BY endpoint)) AS chain \
        FROM due \
    ), chains AS MATERIALIZED ( \
        SELECT endpoint, chain, gen_random_uuid() AS lease FROM placed \
        GROUP BY endpoint, chain ORDER BY min(due_at), endpoint, chain LIMIT $1 \
    ), taken AS ( \
        UPDATE webhook_deliveries d SET lease = chains.lease, leased_until = now() + make_interval(secs => $3) \
        FROM placed JOIN chains USING (endpoint, chain) WHERE d.id = placed.id \
        RETURNING d.id, d.endpoint, d.event, d.url, d.tries, d.lease, d.due_at \
    ) \
    SELECT taken.id, taken.endpoint, taken.event, taken.url, taken.tries, taken.lease, e.event AS name, e.body \
    FROM taken JOIN webhook_events e ON e.id = taken.event ORDER BY taken.due_at, taken.id";

const RECORD: &str = "\
    WITH item AS MATERIALIZED ( \
        SELECT * FROM jsonb_to_recordset($1::jsonb) AS item ( \
            delivery bigint, lease uuid, at timestamptz, duration_ms int, status int, error text, verdict text, \
            after_seconds float8, hold_seconds float8 \
        ) \
    ), ended AS ( \
        UPDATE webhook_deliveries d SET \
            state = CASE item.verdict WHEN 'delivered' THEN 'delivered' WHEN 'given_up' THEN 'failed' ELSE d.state END, \
            ended_at = CASE WHEN item.verdict IN ('delivered', 'given_up') THEN now() END, \
            tries = d.tries + CASE WHEN item.verdict IN ('postponed', 'given_back') THEN 0 ELSE 1 END, \
            due_at = CASE WHEN item.after_seconds IS NULL THEN d.due_at ELSE now() + make_interval(secs => item.after_seconds) END, \
            lease = NULL, leased_until = NULL \
        FROM item WHERE d.id = item.delivery AND d.lease = item.lease \
        RETURNING d.endpoint, item.verdict, item.at, item.hold_seconds \
    ), listed AS ( \
        INSERT INTO webhook_attempts (delivery, at, duration_ms, status, error) \
        SELECT item.delivery, item.at, item.duration_ms, item.status, item.error \
        FROM item JOIN webhook_deliveries d ON d.id = item.delivery WHERE item.verdict <> 'given_back' \
    ), seen AS ( \
        SELECT endpoint, bool_or(verdict = 'delivered') AS is_well, min(at) AS failed_at, max(hold_seconds) AS hold \
        FROM ended WHERE verdict NOT IN ('postponed', 'given_back') GROUP BY endpoint \
    ), judged AS ( \
        UPDATE webhook_endpoints e SET \
            failing_since = CASE WHEN seen.is_well THEN NULL ELSE coalesce(e.failing_since, seen.failed_at) END, \
            held_until = CASE WHEN seen.hold IS NULL THEN e.held_until ELSE now() + make_interval(secs => seen.hold) END \
        FROM seen WHERE e.id = seen.endpoint AND NOT (seen.is_well AND e.failing_since IS NULL AND seen.hold IS NULL) \
        RETURNING e.id, e.failing_since, e.callbacks_only, e.state \
    ) \
    SELECT id FROM judged \
    WHERE state = 'active' AND NOT callbacks_only AND failing_since <= now() - make_interval(secs => $2)";

const FORGET: &str = "\
    DELETE FROM webhook_deliveries WHERE id IN ( \
        SELECT d.id FROM webhook_deliveries d \
        WHERE d.ended_at < now() - make_interval(secs => $1) AND d.state <> 'pending' \
        UNION ALL \
        SELECT d.id FROM webhook_deliveries d \
        WHERE d.state = 'pending' AND d.created_at < now() - make_interval(secs => $1) AND NOT EXISTS ( \
            SELECT FROM webhook_endpoints e WHERE e.id = d.endpoint AND e.state <> 'disabled' \
        ) \
        LIMIT $2 \
    )";

const FORGET_EVENTS: &str = "\
    DELETE FROM webhook_events WHERE id IN ( \
        SELECT e.id FROM webhook_events e \
        WHERE e.told_at < now() - make_interval(secs => $1) \
          AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.event = e.id) \
        ORDER BY e.told_at LIMIT $2 \
    )";

const FORGET_KEYS: &str = "\
    UPDATE webhook_endpoints SET old_keys_sealed = NULL, old_public_key = NULL, old_keys_until = NULL \
    WHERE old_keys_until <= now()";

/// An attempt as a row of `item` in [`RECORD`].
fn item(ended: &Ended) -> Value {
    let (verdict, after, hold) = match ended.verdict {
        Verdict::Delivered => ("delivered", None, None),
        Verdict::GivenUp => ("given_up", None, None),
        Verdict::Again { after, hold } => ("again", Some(after), hold),
        Verdict::Postponed { after } => ("postponed", Some(after), None),
        Verdict::GivenBack => ("given_back", None, None),
    };
    json!({
        "delivery": ended.delivery,
        "lease": ended.lease,
        "at": ended.at,
        "duration_ms": i32::try_from(ended.duration.as_millis()).unwrap_or(i32::MAX),
        "status": ended.status,
        "error": ended.error.as_ref().map(|text| text.replace('\0', "\u{fffd}")),
        "verdict": verdict,
        "after_seconds": after.map(|after| after.as_secs_f64()),
        "hold_seconds": hold.map(|hold| hold.as_secs_f64()),
    })
}

/// The rows with the endpoints they are for. One whose endpoint has just been removed is left out; it went with it.
async fn with_endpoints(transaction: &Transaction<'_>, rows: &[Row]) -> Result<Vec<Due>, Error> {
    let ids = rows.iter().map(|row| row.try_get::<_, Uuid>("endpoint")).collect::<Result<Vec<_>, _>>()?;
    let sql = format!("SELECT {COLUMNS} FROM webhook_endpoints WHERE id = ANY ($1)");
    let statement = transaction.prepare_cached(&sql).await?;
    let found = transaction.query(&statement, &[&ids]).await?;
    let endpoints: Vec<Arc<Endpoint>> =
        found.iter().map(|row| Ok(Arc::new(read(row)?))).collect::<Result<_, Error>>()?;
    let accounts = accounts_of(transaction, &endpoints).await?;
    let endpoints: BTreeMap<Uuid, Arc<Endpoint>> = endpoints.into_iter().map(|e| (e.id, e)).collect();
    let mut due = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(endpoint) = endpoints.get(&row.try_get("endpoint")?) else { continue };
        due.push(Due {
            delivery: row.try_get("id")?,
            lease: row.try_get("lease")?,
            tries: row.try_get::<_, i32>("tries")?.unsigned_abs(),
            event: row.try_get("event")?,
            name: row.try_get("name")?,
            body: row.try_get("body")?,
            url: row.try_get("url")?,
            account: accounts.get(&endpoint.account).cloned(),
            endpoint: Arc::clone(endpoint),
        });
    }
    Ok(due)
}

/// Those of one lease together, in the order in which they are due.
fn chained(due: Vec<Due>) -> Vec<Vec<Due>> {
    let mut chains: BTreeMap<Uuid, Vec<Due>> = BTreeMap::new();
    for due in due {
        chains.entry(due.lease).or_default().push(due);
    }
    chains.into_values().collect()
}

/// Who registered those that hear of everybody's events: whether they still may is asked at every attempt.
async fn accounts_of(
    transaction: &Transaction<'_>,
    endpoints: &[Arc<Endpoint>],
) -> Result<BTreeMap<String, Arc<Account>>, Error> {
    let hears_all = |endpoint: &&Arc<Endpoint>| endpoint.scope == crate::domain::webhook::EndpointScope::All;
    let names: Vec<&str> = endpoints.iter().filter(hears_all).map(|e| e.account.as_str()).collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sql = format!("SELECT {} FROM accounts WHERE name = ANY ($1)", accounts::COLUMNS);
    let statement = transaction.prepare_cached(&sql).await?;
    let rows = transaction.query(&statement, &[&names]).await?;
    rows.iter()
        .map(|row| accounts::read(row).map(|account| (account.name.clone(), Arc::new(account))))
        .collect()
}
