//! Endpoints that stand for notification rules. Their filters come from the configuration, whoever starts last; what is
//! sent for them, and where to, is known to the workers alone.

use std::collections::BTreeMap;

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::control::error::Error;
use crate::control::{Control, audit};
use crate::domain::{Actor, Event, EventName, Failure};

/// Lets one process at a time bring the rules up to date: "rules" in ASCII.
const LOCK: i64 = 0x0072_756c_6573;

/// What one channel of a rule hears of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleEndpoint {
    /// Names it: `RULE/CHANNEL`.
    pub key: String,
    /// The channel's name.
    pub channel: String,
    /// What happened.
    pub events: Vec<&'static str>,
    /// On targets of these environments; empty: everywhere.
    pub envs: Vec<String>,
    /// To roles of these kinds; empty: whatever it was.
    pub kinds: Vec<String>,
}

impl RuleEndpoint {
    fn facts(&self) -> Value {
        json!({ "rule": self.key, "events": self.events, "envs": self.envs, "kinds": self.kinds })
    }
}

struct Stored {
    id: Uuid,
    events: Vec<String>,
    envs: Vec<String>,
    kinds: Vec<String>,
    is_disabled: bool,
}

impl Stored {
    fn is(&self, rule: &RuleEndpoint) -> bool {
        self.events == rule.events && self.envs == rule.envs && self.kinds == rule.kinds && !self.is_disabled
    }
}

impl Control {
    /// Makes the endpoints of rules these, with an audit row for each that changes; none for one that stays. One that
    /// was disabled begins anew, since somebody has looked at the configuration. With a rule goes what waits for it.
    pub async fn set_rules(
        &self,
        rules: &[RuleEndpoint],
        actor: &Actor,
        at: Timestamp,
    ) -> Result<(), Failure> {
        let set = async |client: &mut deadpool_postgres::Client| {
            let transaction = client.transaction().await?;
            transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
            let mut stored = stored(&transaction).await?;
            for rule in rules {
                let found = stored.remove(&rule.key);
                match &found {
                    None => add(&transaction, rule, at).await?,
                    Some(stored) if stored.is(rule) => continue,
                    Some(stored) => change(&transaction, stored, rule, at).await?,
                }
                let name = if found.is_none() { EventName::WebhookAdded } else { EventName::WebhookChanged };
                record(&transaction, name, rule.facts(), actor, at).await?;
            }
            for (key, gone) in stored {
                remove(&transaction, &gone).await?;
                record(&transaction, EventName::WebhookRemoved, json!({ "rule": key }), actor, at).await?;
            }
            transaction.batch_execute("NOTIFY webhooks").await?;
            Ok(transaction.commit().await?)
        };
        Ok(self.recorded(set).await?)
    }
}

async fn stored(transaction: &Transaction<'_>) -> Result<BTreeMap<String, Stored>, Error> {
    let sql = "SELECT id, rule, events, envs, kinds, state = 'disabled' AS is_disabled \
               FROM webhook_endpoints WHERE rule IS NOT NULL FOR NO KEY UPDATE";
    let read = |row: &Row| -> Result<_, Error> {
        let stored = Stored {
            id: row.try_get("id")?,
            events: row.try_get("events")?,
            envs: row.try_get("envs")?,
            kinds: row.try_get("kinds")?,
            is_disabled: row.try_get("is_disabled")?,
        };
        Ok((row.try_get("rule")?, stored))
    };
    transaction.query(sql, &[]).await?.iter().map(read).collect()
}

/// It belongs to no account: nobody can lose the right to it, and only operators see it. It signs nothing.
async fn add(transaction: &Transaction<'_>, rule: &RuleEndpoint, at: Timestamp) -> Result<(), Error> {
    let sql = "INSERT INTO webhook_endpoints (id, account, owner, hears_all, callbacks_only, url, description, rule, \
                   events, envs, kinds, state_at, keys_sealed, public_key, created_at, updated_at) \
               VALUES ($1, '', '', true, false, $2, '', $3, $4, $5, $6, $7, '', '', $7, $7)";
    let url = format!("notify:{}", rule.channel);
    transaction
        .execute(sql, &[&Uuid::now_v7(), &url, &rule.key, &rule.events, &rule.envs, &rule.kinds, &at])
        .await?;
    Ok(())
}

async fn change(
    transaction: &Transaction<'_>,
    stored: &Stored,
    rule: &RuleEndpoint,
    at: Timestamp,
) -> Result<(), Error> {
    let sql = "UPDATE webhook_endpoints SET events = $2, envs = $3, kinds = $4, updated_at = $5, failing_since = NULL, \
                   state_reason = NULL, state_at = CASE WHEN state = 'disabled' THEN $5 ELSE state_at END, \
                   state = CASE WHEN state = 'disabled' THEN 'active' ELSE state END \
               WHERE id = $1";
    transaction.execute(sql, &[&stored.id, &rule.events, &rule.envs, &rule.kinds, &at]).await?;
    Ok(())
}

async fn remove(transaction: &Transaction<'_>, gone: &Stored) -> Result<(), Error> {
    transaction.execute("DELETE FROM webhook_deliveries WHERE endpoint = $1", &[&gone.id]).await?;
    transaction.execute("DELETE FROM webhook_endpoints WHERE id = $1", &[&gone.id]).await?;
    Ok(())
}

async fn record(
    transaction: &Transaction<'_>,
    name: EventName,
    detail: Value,
    actor: &Actor,
    at: Timestamp,
) -> Result<(), Error> {
    audit::insert(transaction, &Event { detail, ..Event::new(name, at, actor.clone()) }).await?;
    Ok(())
}
