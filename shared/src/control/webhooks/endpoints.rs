//! Registering, changing and removing endpoints, each with its audit row.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{COLUMNS, Endpoint, SealedKeys, read};
use crate::control::error::Error;
use crate::control::{Control, audit};
use crate::domain::webhook::{EndpointScope, EndpointState};
use crate::domain::{Actor, Code, Event, EventName, Failure};

/// Serialises the counting of one account's endpoints: "webhooks" in ASCII, with the hash of its name.
const COUNTING: i32 = 0x7765_6268;

impl Control {
    /// Registers an endpoint.
    ///
    /// # Errors
    /// `Code::TooManyWebhooks` when the account has `most` already. Those that stand for callbacks are not counted.
    pub async fn add_endpoint(&self, endpoint: &Endpoint, most: u32, actor: &Actor) -> Result<(), Failure> {
        let added = async |client: &mut deadpool_postgres::Client| {
            let transaction = client.transaction().await?;
            let lock = "SELECT pg_advisory_xact_lock($1, hashtext($2))";
            transaction.execute(lock, &[&COUNTING, &endpoint.account]).await?;
            let count = "SELECT count(*) FROM webhook_endpoints WHERE account = $1 AND NOT callbacks_only";
            let count: i64 = transaction.query_one(count, &[&endpoint.account]).await?.try_get(0)?;
            if count >= i64::from(most) {
                let detail = format!("The account has {most} webhooks; remove some first.");
                return Err(Failure::new(Code::TooManyWebhooks, detail).into());
            }
            insert(&transaction, endpoint).await?;
            record(
                &transaction,
                EventName::WebhookAdded,
                endpoint,
                facts(endpoint),
                (actor, endpoint.created_at),
            )
            .await?;
            Ok(transaction.commit().await?)
        };
        self.recorded(added).await?;
        Ok(())
    }

    /// Endpoints in the order in which they were made, after `after`; at most `limit`. With an owner or an account, only
    /// theirs.
    pub async fn list_endpoints(
        &self,
        owner: Option<&str>,
        account: Option<&str>,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<Endpoint>, Failure> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let found = async |client: &mut deadpool_postgres::Client| {
            let sql = format!(
                "SELECT {COLUMNS} FROM webhook_endpoints \
                 WHERE ($1::text IS NULL OR owner = $1) AND ($2::text IS NULL OR account = $2) \
                   AND ($3::uuid IS NULL OR id > $3) ORDER BY id LIMIT $4"
            );
            let statement = client.prepare_cached(&sql).await?;
            client.query(&statement, &[&owner, &account, &after, &limit]).await?.iter().map(read).collect()
        };
        Ok(self.pool.run(found).await?)
    }

    /// An endpoint; with an owner, one of theirs.
    pub async fn find_endpoint(&self, id: Uuid, owner: Option<&str>) -> Result<Option<Endpoint>, Failure> {
        let found = async |client: &mut deadpool_postgres::Client| {
            let sql = format!(
                "SELECT {COLUMNS} FROM webhook_endpoints WHERE id = $1 AND ($2::text IS NULL OR owner = $2)"
            );
            let statement = client.prepare_cached(&sql).await?;
            client.query_opt(&statement, &[&id, &owner]).await?.as_ref().map(read).transpose()
        };
        Ok(self.pool.run(found).await?)
    }

    /// Changes an endpoint to what `change` makes of it, with its audit row; without one if that is the same. Made
    /// active, it begins anew: what made it fail is forgotten, and what waits is due.
    ///
    /// # Errors
    /// `Code::WebhookNotFound`, and those of `change`.
    pub async fn change_endpoint(
        &self,
        id: Uuid,
        owner: Option<&str>,
        (actor, at): (&Actor, Timestamp),
        change: impl FnOnce(Endpoint) -> Result<Endpoint, Failure>,
    ) -> Result<Endpoint, Failure> {
        let changed = async |client: &mut deadpool_postgres::Client| {
            let transaction = client.transaction().await?;
            let before = locked(&transaction, id, owner).await?;
            let mut now = change(before.clone())?;
            if now == before {
                return Ok(now);
            }
            now.updated_at = at;
            if now.state != before.state {
                (now.state_at, now.state_reason, now.failing_since) = (at, None, None);
            }
            write(&transaction, &now).await?;
            let detail = json!({ "before": facts(&before), "after": facts(&now) });
            record(&transaction, EventName::WebhookChanged, &now, detail, (actor, at)).await?;
            if now.state == EndpointState::Active && before.state != now.state {
                transaction.batch_execute("NOTIFY webhooks").await?;
            }
            transaction.commit().await?;
            Ok(now)
        };
        Ok(self.recorded(changed).await?)
    }

    /// Gives an endpoint other keys; those it has sign besides until `old_until`.
    ///
    /// # Errors
    /// `Code::WebhookNotFound`.
    pub async fn rotate_endpoint(
        &self,
        id: Uuid,
        owner: Option<&str>,
        keys: &SealedKeys,
        old_until: Timestamp,
        (actor, at): (&Actor, Timestamp),
    ) -> Result<Endpoint, Failure> {
        let rotated = async |client: &mut deadpool_postgres::Client| {
            let transaction = client.transaction().await?;
            let mut endpoint = locked(&transaction, id, owner).await?;
            let old = std::mem::replace(&mut endpoint.keys, keys.clone());
            endpoint.old_keys = (old_until > at).then_some((old, old_until));
            endpoint.updated_at = at;
            write(&transaction, &endpoint).await?;
            let detail = json!({ "old_keys_until": endpoint.old_keys.as_ref().map(|old| old.1) });
            record(&transaction, EventName::WebhookRotated, &endpoint, detail, (actor, at)).await?;
            transaction.commit().await?;
            Ok(endpoint)
        };
        Ok(self.recorded(rotated).await?)
    }

    /// Removes an endpoint with everything that was told it or waits to be.
    ///
    /// # Errors
    /// `Code::WebhookNotFound`.
    pub async fn remove_endpoint(
        &self,
        id: Uuid,
        owner: Option<&str>,
        (actor, at): (&Actor, Timestamp),
    ) -> Result<(), Failure> {
        let removed = async |client: &mut deadpool_postgres::Client| {
            let transaction = client.transaction().await?;
            let endpoint = locked(&transaction, id, owner).await?;
            transaction.execute("DELETE FROM webhook_deliveries WHERE endpoint = $1", &[&id]).await?;
            transaction.execute("DELETE FROM webhook_endpoints WHERE id = $1", &[&id]).await?;
            record(&transaction, EventName::WebhookRemoved, &endpoint, facts(&endpoint), (actor, at)).await?;
            Ok(transaction.commit().await?)
        };
        Ok(self.recorded(removed).await?)
    }

    /// Tells an active endpoint nothing any more, and says why. Answers whether it was one.
    pub async fn disable_endpoint(
        &self,
        id: Uuid,
        reason: &str,
        (actor, at): (&Actor, Timestamp),
    ) -> Result<bool, Failure> {
        let disabled = async |client: &mut deadpool_postgres::Client| {
            let transaction = client.transaction().await?;
            let sql = format!(
                "UPDATE webhook_endpoints SET state = 'disabled', state_reason = $2, state_at = $3, updated_at = $3 \
                 WHERE id = $1 AND state = 'active' RETURNING {COLUMNS}"
            );
            let Some(row) = transaction.query_opt(&sql, &[&id, &reason, &at]).await? else {
                return Ok(false);
            };
            let endpoint = read(&row)?;
            let detail = json!({ "reason": reason, "failing_since": endpoint.failing_since });
            record(&transaction, EventName::WebhookDisabled, &endpoint, detail, (actor, at)).await?;
            transaction.commit().await?;
            Ok(true)
        };
        Ok(self.recorded(disabled).await?)
    }
}

pub(super) fn not_found() -> Failure {
    Failure::new(Code::WebhookNotFound, "There is no such webhook.")
}

pub(super) async fn locked(
    transaction: &Transaction<'_>,
    id: Uuid,
    owner: Option<&str>,
) -> Result<Endpoint, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM webhook_endpoints WHERE id = $1 AND ($2::text IS NULL OR owner = $2) FOR NO KEY UPDATE"
    );
    read(&transaction.query_opt(&sql, &[&id, &owner]).await?.ok_or_else(not_found)?)
}

pub(super) async fn record(
    transaction: &Transaction<'_>,
    name: EventName,
    endpoint: &Endpoint,
    mut detail: Value,
    (actor, at): (&Actor, Timestamp),
) -> Result<(), Error> {
    detail["webhook"] = json!(endpoint.id);
    detail["account"] = json!(endpoint.account);
    let event = Event { detail, ..Event::new(name, at, actor.clone()) };
    audit::insert(transaction, &event).await?;
    Ok(())
}

/// What the audit says of an endpoint.
fn facts(endpoint: &Endpoint) -> Value {
    json!({
        "url": endpoint.origin(),
        "scope": endpoint.scope.as_str(),
        "description": endpoint.description,
        "events": names(endpoint),
        "envs": endpoint.filter.envs,
        "state": endpoint.state.as_str(),
    })
}

fn names(endpoint: &Endpoint) -> Vec<&'static str> {
    endpoint.filter.events.iter().map(|event| event.as_str()).collect()
}

pub(super) async fn insert(transaction: &Transaction<'_>, endpoint: &Endpoint) -> Result<(), Error> {
    let envs: Vec<&str> = endpoint.filter.envs.iter().map(crate::domain::Env::as_str).collect();
    let sql = "INSERT INTO webhook_endpoints (id, account, owner, hears_all, callbacks_only, url, description, events, \
                                              envs, state, state_at, keys_sealed, public_key, created_at, updated_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $11, $11) \
               ON CONFLICT (owner, url) WHERE callbacks_only DO NOTHING";
    transaction
        .execute(
            sql,
            &[
                &endpoint.id,
                &endpoint.account,
                &endpoint.owner,
                &(endpoint.scope == EndpointScope::All),
                &endpoint.callbacks_only,
                &endpoint.url,
                &endpoint.description,
                &names(endpoint),
                &envs,
                &endpoint.state.as_str(),
                &endpoint.created_at,
                &endpoint.keys.sealed,
                &endpoint.keys.public,
            ],
        )
        .await?;
    Ok(())
}

async fn write(transaction: &Transaction<'_>, endpoint: &Endpoint) -> Result<(), Error> {
    let envs: Vec<&str> = endpoint.filter.envs.iter().map(crate::domain::Env::as_str).collect();
    let old = endpoint.old_keys.as_ref();
    let sql = "UPDATE webhook_endpoints SET hears_all = $2, url = $3, description = $4, events = $5, envs = $6, \
                   state = $7, state_reason = $8, state_at = $9, failing_since = $10, held_until = NULL, \
                   keys_sealed = $11, public_key = $12, old_keys_sealed = $13, old_public_key = $14, \
                   old_keys_until = $15, updated_at = $16 \
               WHERE id = $1";
    transaction
        .execute(
            sql,
            &[
                &endpoint.id,
                &(endpoint.scope == EndpointScope::All),
                &endpoint.url,
                &endpoint.description,
                &names(endpoint),
                &envs,
                &endpoint.state.as_str(),
                &endpoint.state_reason,
                &endpoint.state_at,
                &endpoint.failing_since,
                &endpoint.keys.sealed,
                &endpoint.keys.public,
                &old.map(|(keys, _)| &keys.sealed),
                &old.map(|(keys, _)| &keys.public),
                &old.map(|(_, until)| *until),
                &endpoint.updated_at,
            ],
        )
        .await?;
    Ok(())
}
