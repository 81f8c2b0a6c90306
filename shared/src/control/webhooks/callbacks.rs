//! Endpoints that stand for the callback URLs of an owner's jobs on one host: they have keys, a list of attempts and a
//! bound on what is under way, like any other.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::endpoints::{insert, record};
use super::{COLUMNS, Endpoint, read};
use crate::control::Control;
use crate::domain::{Actor, Code, EventName, Failure};

/// The most of one account: a wildcard among the hosts that jobs may name has no end.
const MOST: i64 = 1_000;

/// What a job says of where its end is told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallbackKey {
    /// An endpoint that its owner registered.
    Endpoint(Uuid),
    /// Scheme, host and port of a URL.
    Origin(String),
}

impl Control {
    /// The endpoint of an owner for a callback; none if there is none that is not disabled. Calls that come together
    /// share a question.
    pub async fn find_callback(&self, owner: &str, key: CallbackKey) -> Result<Option<Uuid>, Failure> {
        let key = (owner.to_owned(), key);
        self.callbacks.ask(&key, async |keys| self.find_callbacks(keys).await).await
    }

    async fn find_callbacks(
        &self,
        keys: Vec<(String, CallbackKey)>,
    ) -> Result<BTreeMap<(String, CallbackKey), Uuid>, Failure> {
        let (mut owners, mut ids, mut origins) = (Vec::new(), Vec::new(), Vec::new());
        for (owner, key) in keys {
            let (id, origin) = match key {
                CallbackKey::Endpoint(id) => (Some(id), None),
                CallbackKey::Origin(origin) => (None, Some(origin)),
            };
            owners.push(owner);
            ids.push(id);
            origins.push(origin);
        }
        let found = async |client: &mut deadpool_postgres::Client| {
            let sql = "SELECT e.owner, e.id, e.url, e.callbacks_only FROM webhook_endpoints e \
                       JOIN unnest($1::text[], $2::uuid[], $3::text[]) AS asked (owner, id, origin) \
                         ON e.owner = asked.owner \
                        AND (e.id = asked.id AND NOT e.callbacks_only OR e.url = asked.origin AND e.callbacks_only) \
                       WHERE e.state <> 'disabled'";
            let statement = client.prepare_cached(sql).await?;
            let rows = client.query(&statement, &[&owners, &ids, &origins]).await?;
            let mut found = BTreeMap::new();
            for row in rows {
                let id = row.try_get("id")?;
                let key = if row.try_get("callbacks_only")? {
                    CallbackKey::Origin(row.try_get("url")?)
                } else {
                    CallbackKey::Endpoint(id)
                };
                found.insert((row.try_get("owner")?, key), id);
            }
            Ok(found)
        };
        Ok(self.pool.run(found).await?)
    }

    /// Makes the one for an origin, unless somebody was faster; whichever there is then.
    ///
    /// # Errors
    /// `Code::TooManyWebhooks` when the account has a thousand of them.
    pub async fn add_callback_endpoint(&self, endpoint: &Endpoint, actor: &Actor) -> Result<Uuid, Failure> {
        let added = async |client: &mut deadpool_postgres::Client| {
            let transaction = client.transaction().await?;
            let count = "SELECT count(*) FROM webhook_endpoints WHERE account = $1 AND callbacks_only";
            let count: i64 = transaction.query_one(count, &[&endpoint.account]).await?.try_get(0)?;
            if count >= MOST {
                let detail =
                    format!("The account's jobs have named {MOST} hosts for callbacks; remove some first.");
                return Err(Failure::new(Code::TooManyWebhooks, detail).into());
            }
            insert(&transaction, endpoint).await?;
            let sql = format!(
                "SELECT {COLUMNS} FROM webhook_endpoints WHERE callbacks_only AND owner = $1 AND url = $2"
            );
            let held = read(&transaction.query_one(&sql, &[&endpoint.owner, &endpoint.url]).await?)?;
            if held.id == endpoint.id {
                let detail = serde_json::json!({ "url": endpoint.origin(), "callbacks_only": true });
                record(&transaction, EventName::WebhookAdded, endpoint, detail, (actor, endpoint.created_at))
                    .await?;
            }
            transaction.commit().await?;
            Ok(held.id)
        };
        Ok(self.recorded(added).await?)
    }
}
