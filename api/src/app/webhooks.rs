//! Webhooks: who is told of what, and what became of it.
//!
//! An endpoint is its owner's, as a ticket is. Who may see accounts sees everybody's, and may pause, resume and remove
//! them; where they lead, what they hear of and their keys are their owner's alone, or events could be led elsewhere.

use std::time::Duration;

use jiff::Timestamp;
use rolecall_shared::control::{CallbackKey, Delivery, DeliveryFilter, Endpoint, SealedKeys};
use rolecall_shared::domain::webhook::{Callback, EndpointScope, EndpointState, Filter};
use rolecall_shared::domain::{Code, Failure, Need, Permission};
use rolecall_shared::outbound::Trouble;
use rolecall_shared::seal::EndpointKeys;
use url::Url;
use uuid::Uuid;

use super::App;
use super::submission::AskedCallback;
use crate::auth::Caller;

/// An endpoint as a caller wants it.
#[derive(Debug, Clone)]
pub(crate) struct AskedEndpoint {
    pub(crate) url: Url,
    pub(crate) description: String,
    pub(crate) filter: Filter,
    pub(crate) scope: EndpointScope,
}

/// What is to be changed; none stays as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct AskedChange {
    pub(crate) url: Option<Url>,
    pub(crate) description: Option<String>,
    pub(crate) events: Option<Vec<rolecall_shared::domain::EventName>>,
    pub(crate) envs: Option<Vec<rolecall_shared::domain::Env>>,
    pub(crate) scope: Option<EndpointScope>,
}

/// Registers an endpoint; its secret is shown this once.
pub(crate) async fn add(
    caller: &Caller,
    app: &App,
    asked: AskedEndpoint,
) -> Result<(Endpoint, EndpointKeys), Failure> {
    check_url(app, &asked.url).await?;
    let (id, now) = (Uuid::now_v7(), app.clock.now());
    let (keys, sealed) = fresh_keys(app, id, now)?;
    let endpoint = Endpoint {
        description: asked.description,
        filter: asked.filter,
        scope: asked.scope,
        ..endpoint(caller, id, asked.url.into(), sealed, now)
    };
    may_hear(caller, app, &endpoint)?;
    let most = app.settings.webhooks.endpoints_per_account;
    app.control.add_endpoint(&endpoint, most, &caller.actor()).await?;
    Ok((endpoint, keys))
}

fn endpoint(caller: &Caller, id: Uuid, url: String, keys: SealedKeys, now: Timestamp) -> Endpoint {
    Endpoint {
        id,
        account: caller.account.clone(),
        owner: caller.owner.clone(),
        scope: EndpointScope::Own,
        callbacks_only: false,
        rule: None,
        url,
        description: String::new(),
        filter: Filter::default(),
        state: EndpointState::Active,
        state_reason: None,
        state_at: now,
        failing_since: None,
        keys,
        old_keys: None,
        created_at: now,
        updated_at: now,
    }
}

fn fresh_keys(app: &App, id: Uuid, now: Timestamp) -> Result<(EndpointKeys, SealedKeys), Failure> {
    let keys = EndpointKeys::generate();
    let sealed = keys.seal(&app.keys, id, now).map_err(Failure::internal)?;
    let sealed = SealedKeys { sealed, public: keys.public() };
    Ok((keys, sealed))
}

/// Says at once what every attempt would say. That a name has no address yet is no reason not to register it.
async fn check_url(app: &App, url: &Url) -> Result<(), Failure> {
    match app.outbound.check(url).await {
        Err(Trouble::Refused(refusal)) => Err(Failure::field("url", refusal)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn may_hear(caller: &Caller, app: &App, endpoint: &Endpoint) -> Result<(), Failure> {
    match endpoint.scope {
        EndpointScope::All => {
            let needed = endpoint.filter.may_hear_all(&caller.rights);
            needed.map_err(|need| {
                app.refuse(caller, &format!("a webhook for everybody's events, which needs {need}"))
            })
        }
        EndpointScope::Own if endpoint.filter.events.iter().any(|event| event.is_of_hosts()) => {
            Err(Failure::field("scope", "must be all for events of hosts"))
        }
        EndpointScope::Own => Ok(()),
    }
}

/// Whose endpoints the caller may see: none is everybody's.
fn whose(caller: &Caller) -> Option<&str> {
    let sees_all = caller.rights.allow(&Need::everywhere(Permission::Accounts));
    (!sees_all).then_some(caller.owner.as_str())
}

pub(crate) fn not_found() -> Failure {
    Failure::new(Code::WebhookNotFound, "There is no such webhook.")
}

/// The caller's endpoints; or those of an account, or of all, for who may see accounts.
pub(crate) async fn list(
    caller: &Caller,
    app: &App,
    of: Option<&str>,
    after: Option<Uuid>,
    limit: usize,
) -> Result<Vec<Endpoint>, Failure> {
    let (owner, account) = match of {
        None => (Some(caller.owner.as_str()), None),
        Some("*") => (None, None),
        Some(account) => (None, Some(account)),
    };
    if owner.is_none() {
        app.allow(caller, &Need::everywhere(Permission::Accounts))?;
    }
    app.control.list_endpoints(owner, account, after, limit).await
}

pub(crate) async fn find(caller: &Caller, app: &App, id: Uuid) -> Result<Endpoint, Failure> {
    app.control.find_endpoint(id, whose(caller)).await?.ok_or_else(not_found)
}

/// Changes an endpoint of the caller's own.
pub(crate) async fn change(
    caller: &Caller,
    app: &App,
    id: Uuid,
    asked: AskedChange,
) -> Result<Endpoint, Failure> {
    if let Some(url) = &asked.url {
        check_url(app, url).await?;
    }
    let by = (&caller.actor(), app.clock.now());
    let change = |mut endpoint: Endpoint| {
        if endpoint.callbacks_only || endpoint.rule.is_some() {
            let detail = "What it is for is not said here: it can be paused, resumed, rotated and removed.";
            return Err(Failure::new(Code::InvalidRequest, detail));
        }
        let AskedChange { url, description, events, envs, scope } = asked;
        endpoint.url = url.map_or(endpoint.url, String::from);
        endpoint.description = description.unwrap_or(endpoint.description);
        endpoint.filter.events = events.unwrap_or(endpoint.filter.events);
        endpoint.filter.envs = envs.unwrap_or(endpoint.filter.envs);
        endpoint.scope = scope.unwrap_or(endpoint.scope);
        may_hear(caller, app, &endpoint)?;
        Ok(endpoint)
    };
    app.control.change_endpoint(id, Some(&caller.owner), by, change).await
}

/// Pauses an endpoint, or resumes one that is paused or disabled.
pub(crate) async fn switch(
    caller: &Caller,
    app: &App,
    id: Uuid,
    state: EndpointState,
) -> Result<Endpoint, Failure> {
    let by = (&caller.actor(), app.clock.now());
    app.control.change_endpoint(id, whose(caller), by, |endpoint| Ok(Endpoint { state, ..endpoint })).await
}

/// Gives an endpoint of the caller's own other keys; the old ones sign besides for so long.
pub(crate) async fn rotate(
    caller: &Caller,
    app: &App,
    id: Uuid,
    keep_old: Option<Duration>,
) -> Result<(Endpoint, EndpointKeys), Failure> {
    let now = app.clock.now();
    let (keys, sealed) = fresh_keys(app, id, now)?;
    let keep_old = keep_old.unwrap_or(app.settings.webhooks.rotation);
    let until = now.saturating_add(keep_old).unwrap_or(Timestamp::MAX);
    let owner = Some(caller.owner.as_str());
    let endpoint = app.control.rotate_endpoint(id, owner, &sealed, until, (&caller.actor(), now)).await?;
    Ok((endpoint, keys))
}

pub(crate) async fn remove(caller: &Caller, app: &App, id: Uuid) -> Result<(), Failure> {
    app.control.remove_endpoint(id, whose(caller), (&caller.actor(), app.clock.now())).await
}

/// Sends a test event; the id of its delivery.
pub(crate) async fn ping(caller: &Caller, app: &App, id: Uuid) -> Result<i64, Failure> {
    app.control.ping_endpoint(id, whose(caller), app.clock.now()).await
}

/// What was told to an endpoint, newest first, those before the delivery `before`; at most `limit`.
pub(crate) async fn deliveries(
    caller: &Caller,
    app: &App,
    id: Uuid,
    filter: &DeliveryFilter,
    page: (Option<i64>, usize),
) -> Result<(Endpoint, Vec<Delivery>), Failure> {
    let endpoint = find(caller, app, id).await?;
    let deliveries = app.control.list_deliveries(id, filter, page.0, page.1).await?;
    Ok((endpoint, deliveries))
}

/// Tells one event once more.
pub(crate) async fn replay_one(caller: &Caller, app: &App, id: Uuid, delivery: i64) -> Result<(), Failure> {
    app.control.replay_delivery(id, whose(caller), delivery, (&caller.actor(), app.clock.now())).await
}

/// The same with all that pass the filter; how many that were.
pub(crate) async fn replay(
    caller: &Caller,
    app: &App,
    id: Uuid,
    filter: &DeliveryFilter,
) -> Result<u64, Failure> {
    app.control.replay_deliveries(id, whose(caller), filter, (&caller.actor(), app.clock.now())).await
}

/// What a job carries along of where its end is told. The first job that names a host makes the endpoint that stands for
/// its owner's callbacks there.
pub(super) async fn resolve(caller: &Caller, app: &App, asked: &AskedCallback) -> Result<Callback, Failure> {
    let owner = &caller.owner;
    match asked {
        AskedCallback::Endpoint(id) => {
            let found = app.control.find_callback(owner, CallbackKey::Endpoint(*id)).await?;
            let endpoint = found.ok_or_else(|| {
                Failure::field("callback", "must be a webhook of yours that is not disabled, or a URL")
            })?;
            Ok(Callback { endpoint, url: None })
        }
        AskedCallback::Url(url) => {
            let origin = url.origin().ascii_serialization();
            let endpoint = match app.control.find_callback(owner, CallbackKey::Origin(origin.clone())).await?
            {
                Some(endpoint) => endpoint,
                None => add_for_callbacks(caller, app, origin).await?,
            };
            Ok(Callback { endpoint, url: Some(url.to_string()) })
        }
    }
}

async fn add_for_callbacks(caller: &Caller, app: &App, origin: String) -> Result<Uuid, Failure> {
    let (id, now) = (Uuid::now_v7(), app.clock.now());
    let (_, sealed) = fresh_keys(app, id, now)?;
    let endpoint = Endpoint { callbacks_only: true, ..endpoint(caller, id, origin, sealed, now) };
    app.control.add_callback_endpoint(&endpoint, &caller.actor()).await
}
