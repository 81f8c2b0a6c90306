//! Webhooks: endpoints, and what was, is and will be told to them.
//!
//! * `endpoints`: registering, changing and removing them. `callbacks`: those that stand for URLs of jobs.
//! * `rules`: those that stand for notification rules of the configuration.
//! * `outbox`: what is due, taken under a lease, and what came of it; on connections of its own.
//! * `deliveries`: listing them and telling once more.
//!
//! What is to be told is written by a trigger of the audit (`migrations/V11__webhooks.sql`), in the transaction of what
//! happened; nothing here decides that. An audit row of ours names an endpoint's host and never its whole URL, which may
//! hold what opens it.

mod callbacks;
mod deliveries;
mod endpoints;
mod outbox;
mod rules;

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

pub use callbacks::CallbackKey;
pub use deliveries::{Attempted, Delivery, DeliveryFilter};
pub use outbox::{Due, Ended, Outbox, Recorded, Verdict};
pub use rules::RuleEndpoint;

use super::error::Error;
use super::rows::UnreadableRow;
use crate::domain::webhook::{EndpointScope, EndpointState, Filter};
use crate::domain::{Env, EventName};

const TABLE: &str = "webhook_endpoints";

/// Where events are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Names it.
    pub id: Uuid,
    /// Who registered it.
    pub account: String,
    /// Whose tickets it hears of.
    pub owner: String,
    /// Whose events it hears of.
    pub scope: EndpointScope,
    /// It stands for callback URLs on one host and hears of nothing else.
    pub callbacks_only: bool,
    /// The notification rule it stands for.
    pub rule: Option<String>,
    /// Where to. May hold what opens it, and is for its owner's eyes.
    pub url: String,
    /// The owner's words.
    pub description: String,
    /// What it hears of.
    pub filter: Filter,
    /// Whether it is told anything.
    pub state: EndpointState,
    /// Why it is disabled.
    pub state_reason: Option<String>,
    /// Since when it is in this state.
    pub state_at: Timestamp,
    /// Since when every attempt has failed.
    pub failing_since: Option<Timestamp>,
    /// What signs.
    pub keys: SealedKeys,
    /// What signed before the last rotation, and signs besides until then.
    pub old_keys: Option<(SealedKeys, Timestamp)>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// The signing keys of an endpoint, as they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedKeys {
    /// Sealed by the key ring.
    pub sealed: Vec<u8>,
    /// The public one (`whpk_…`), in clear.
    pub public: String,
}

impl Endpoint {
    /// Scheme, host and port: what may be shown to others.
    pub fn origin(&self) -> String {
        origin(&self.url)
    }
}

/// Scheme, host and port of a URL.
pub(super) fn origin(url: &str) -> String {
    url::Url::parse(url).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
}

const COLUMNS: &str = "id, account, owner, hears_all, callbacks_only, rule, url, description, events, envs, state, \
                       state_reason, state_at, failing_since, keys_sealed, public_key, old_keys_sealed, \
                       old_public_key, old_keys_until, created_at, updated_at";

fn read(row: &Row) -> Result<Endpoint, Error> {
    let state = row.try_get::<_, &str>("state")?;
    let old_keys = match (row.try_get("old_keys_sealed")?, row.try_get("old_public_key")?) {
        (Some(sealed), Some(public)) => Some((SealedKeys { sealed, public }, row.try_get("old_keys_until")?)),
        (Some(_) | None, _) => None,
    };
    Ok(Endpoint {
        id: row.try_get("id")?,
        account: row.try_get("account")?,
        owner: row.try_get("owner")?,
        scope: if row.try_get("hears_all")? { EndpointScope::All } else { EndpointScope::Own },
        callbacks_only: row.try_get("callbacks_only")?,
        rule: row.try_get("rule")?,
        url: row.try_get("url")?,
        description: row.try_get("description")?,
        filter: Filter { events: events(row)?, envs: envs(row)? },
        state: state.parse().map_err(|fault| UnreadableRow::because(TABLE, "state", Box::new(fault)))?,
        state_reason: row.try_get("state_reason")?,
        state_at: row.try_get("state_at")?,
        failing_since: row.try_get("failing_since")?,
        keys: SealedKeys { sealed: row.try_get("keys_sealed")?, public: row.try_get("public_key")? },
        old_keys,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

fn events(row: &Row) -> Result<Vec<EventName>, Error> {
    let names: Vec<&str> = row.try_get("events")?;
    let read = |name: &str| EventName::told(name).ok_or_else(|| UnreadableRow::new(TABLE, "events").into());
    names.into_iter().map(read).collect()
}

fn envs(row: &Row) -> Result<Vec<Env>, Error> {
    let names: Vec<&str> = row.try_get("envs")?;
    let read = |name: &str| {
        Env::from_stored(name).map_err(|fault| UnreadableRow::because(TABLE, "envs", fault).into())
    };
    names.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_see_of_a_url_is_no_secret_of_it() {
        assert_eq!(
            origin("https://hooks.example.com/services/T0/B0/secret?token=x"),
            "https://hooks.example.com"
        );
        assert_eq!(origin("http://127.0.0.1:8080/x"), "http://127.0.0.1:8080");
        assert_eq!(origin("no url"), "");
    }
}
