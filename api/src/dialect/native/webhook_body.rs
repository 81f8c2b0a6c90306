//! Webhooks as they stand in requests and answers.

use jiff::Timestamp;
use rolecall_shared::control::Endpoint;
use rolecall_shared::domain::webhook::{EndpointScope, Filter, MAX_DESCRIPTION_BYTES};
use rolecall_shared::domain::{Env, EventName, Failure};
use rolecall_shared::outbound::Policy;
use rolecall_shared::seal::EndpointKeys;
use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;
use utoipa::ToSchema;

use super::fields::Fields;
use crate::App;
use crate::app::webhooks::{AskedChange, AskedEndpoint};

/// More filters than there are things to filter help nobody.
const MAX_FILTERS: usize = 100;

/// A webhook that is to be registered.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `asked` reads")]
#[schema(as = NewWebhook, example = json!({
    "url": "https://ci.example.com/rolecall", "events": ["ticket.succeeded", "ticket.failed"], "envs": ["dev"],
}))]
pub(super) struct NewWebhookBody {
    /// Where to. `https://`, unless the operator allows `http://` too, and an address that may be reached from here.
    url: String,
    /// At most 256 bytes.
    description: Option<String>,
    /// What is told: `ticket.…`, `secret.…`, `host.…`; absent or empty: everything.
    events: Option<Vec<String>>,
    /// Environments of the targets; absent or empty: every one.
    envs: Option<Vec<String>>,
    /// `own`: your tickets. `all`: everybody's, and hosts; needs `read` for these environments.
    scope: Option<String>,
}

/// What is to be changed of a webhook; what is not named stays.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `change` reads")]
#[schema(as = WebhookChange)]
pub(super) struct WebhookChangeBody {
    url: Option<String>,
    description: Option<String>,
    events: Option<Vec<String>>,
    envs: Option<Vec<String>>,
    scope: Option<String>,
}

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub(super) struct WebhookBody {
    id: String,
    account: String,
    /// Whole for its owner; scheme, host and port for others.
    url: String,
    description: String,
    /// Empty: everything.
    events: Vec<&'static str>,
    /// Empty: every one.
    envs: Vec<String>,
    /// `own` or `all`.
    scope: &'static str,
    /// It stands for the callback URLs of jobs on this host, and hears of nothing else.
    callbacks_only: bool,
    /// `active`, `paused` or `disabled`.
    state: &'static str,
    /// Why it is disabled: `gone` (the receiver answered 410) or `failing` (for too long).
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Since when it is in this state.
    state_at: Timestamp,
    /// Since when every attempt has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<Timestamp>,
    /// Verifies the signatures `v1a`.
    public_key: String,
    /// The one before, which signs besides until `old_keys_until`.
    #[serde(skip_serializing_if = "Option::is_none")]
    old_public_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_keys_until: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl WebhookBody {
    /// As its owner, or somebody else, may see it.
    pub(super) fn of(endpoint: Endpoint, is_own: bool) -> Self {
        let url = if is_own { endpoint.url.clone() } else { endpoint.origin() };
        let (old_public_key, old_keys_until) =
            endpoint.old_keys.map(|(keys, until)| (keys.public, until)).unzip();
        Self {
            id: endpoint.id.to_string(),
            account: endpoint.account,
            url,
            description: endpoint.description,
            events: endpoint.filter.events.iter().map(|event| event.as_str()).collect(),
            envs: endpoint.filter.envs.iter().map(ToString::to_string).collect(),
            scope: endpoint.scope.as_str(),
            callbacks_only: endpoint.callbacks_only,
            state: endpoint.state.as_str(),
            reason: endpoint.state_reason,
            state_at: endpoint.state_at,
            failing_since: endpoint.failing_since,
            public_key: endpoint.keys.public,
            old_public_key,
            old_keys_until,
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
        }
    }
}

/// A webhook and its secret.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookWithSecret)]
pub(super) struct WithSecretBody {
    #[serde(flatten)]
    about: WebhookBody,
    /// Verifies the signatures `v1` (`whsec_…`). Shown this once.
    secret: String,
}

impl WithSecretBody {
    pub(super) fn of(endpoint: Endpoint, keys: &EndpointKeys) -> Self {
        Self { about: WebhookBody::of(endpoint, true), secret: keys.secret().to_string() }
    }
}

pub(super) fn asked(map: &Map<String, Value>, app: &App) -> Result<AskedEndpoint, Failure> {
    let fields = Fields::of(map);
    fields.require("url");
    let url = url(&fields, app);
    let description = description(&fields).unwrap_or_default();
    let (events, envs) = (events(&fields), envs(&fields));
    let scope = scope(&fields).unwrap_or(EndpointScope::Own);
    fields.finish()?;
    let url = url.ok_or_else(|| Failure::internal("a webhook without a fault and without its URL"))?;
    let filter = Filter { events: events.unwrap_or_default(), envs: envs.unwrap_or_default() };
    Ok(AskedEndpoint { url, description, filter, scope })
}

pub(super) fn change(map: &Map<String, Value>, app: &App) -> Result<AskedChange, Failure> {
    let fields = Fields::of(map);
    let change = AskedChange {
        url: url(&fields, app),
        description: description(&fields),
        events: events(&fields),
        envs: envs(&fields),
        scope: scope(&fields),
    };
    fields.finish()?;
    Ok(change)
}

fn url(fields: &Fields<'_>, app: &App) -> Option<Url> {
    let policy = Policy::new(&app.settings.outbound);
    fields.parsed("url", fields.text("url"), |text| policy.parse_url(text))
}

fn description(fields: &Fields<'_>) -> Option<String> {
    let text = fields.text("description")?;
    if text.len() > MAX_DESCRIPTION_BYTES || text.chars().any(char::is_control) {
        let wanted = format!("must be at most {MAX_DESCRIPTION_BYTES} bytes without control characters");
        fields.fault("description", wanted);
    }
    Some(text.to_owned())
}

fn scope(fields: &Fields<'_>) -> Option<EndpointScope> {
    fields.parsed("scope", fields.text("scope"), str::parse)
}

fn events(fields: &Fields<'_>) -> Option<Vec<EventName>> {
    let names = list(fields, "events")?;
    let known = || EventName::TOLD.iter().map(|event| event.as_str()).collect::<Vec<_>>().join(", ");
    let events: Option<Vec<_>> = names.iter().map(|name| EventName::told(name)).collect();
    if events.is_none() {
        fields.fault("events", format!("may hold {}", known()));
    }
    events
}

fn envs(fields: &Fields<'_>) -> Option<Vec<Env>> {
    let names = list(fields, "envs")?;
    names.iter().map(|name| Env::parse(name).map_err(|fault| fields.fault("envs", fault)).ok()).collect()
}

fn list(fields: &Fields<'_>, name: &'static str) -> Option<Vec<String>> {
    let mut texts = fields.texts(name)?;
    texts.sort_unstable();
    texts.dedup();
    if texts.len() > MAX_FILTERS {
        fields.fault(name, format!("must have at most {MAX_FILTERS} items"));
        return None;
    }
    Some(texts)
}
