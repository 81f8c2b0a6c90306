//! `rolecall webhooks create|list|ping|rotate|pause|resume|delete|deliveries|replay`.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use jiff::Timestamp;
use rolecall_shared::config::{self, Settings};
use rolecall_shared::control::{Control, Delivery, DeliveryFilter, Endpoint, SealedKeys};
use rolecall_shared::domain::webhook::{
    DeliveryState, EndpointScope, EndpointState, Filter, MAX_DESCRIPTION_BYTES,
};
use rolecall_shared::domain::{Clock as _, Code, Failure, SystemClock};
use rolecall_shared::outbound::Policy;
use rolecall_shared::seal::{EndpointKeys, KeyRing, MessageId};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::super::accounts::on_control;
use crate::args::{CreateWebhook, Output, WhichDeliveries};
use crate::operator;
use crate::output::print;

/// Webhooks of one page.
const PAGE: usize = 500;
/// How often it is looked for what became of a ping.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How much longer than an attempt may take a ping is waited for: a worker has to notice and to write it down.
const PING_MARGIN: Duration = Duration::from_secs(10);

pub(super) fn create(file: Option<&Path>, asked: &CreateWebhook) -> anyhow::Result<()> {
    let settings = Settings::load(file)?;
    let (id, now) = (Uuid::now_v7(), SystemClock.now());
    let url = match Policy::new(&settings.outbound).parse_url(&asked.url) {
        Ok(url) => url,
        Err(refusal) => bail!("the URL {refusal}"),
    };
    if asked.description.len() > MAX_DESCRIPTION_BYTES || asked.description.chars().any(char::is_control) {
        bail!("a description has at most {MAX_DESCRIPTION_BYTES} bytes without control characters");
    }
    if asked.scope == EndpointScope::Own && asked.events.iter().any(|event| event.is_of_hosts()) {
        bail!("events of hosts are told with --scope all");
    }
    let (keys, sealed) = fresh_keys(&settings, id, now)?;
    let endpoint = Endpoint {
        id,
        account: asked.account.clone(),
        owner: asked.account.clone(),
        scope: asked.scope,
        callbacks_only: false,
        rule: None,
        url: url.into(),
        description: asked.description.clone(),
        filter: Filter { events: asked.events.clone(), envs: asked.envs.clone() },
        state: EndpointState::Active,
        state_reason: None,
        state_at: now,
        failing_since: None,
        keys: sealed,
        old_keys: None,
        created_at: now,
        updated_at: now,
    };
    let bootstrap = settings.account.as_ref().map(|account| account.user.as_str());
    on_control(&settings.control, async |control| {
        may_hear(control, &endpoint, bootstrap).await?;
        control.add_endpoint(&endpoint, settings.webhooks.endpoints_per_account, &operator::actor()).await
    })?;
    with_secret("registered", &endpoint, &keys, asked.output)
}

/// The account is there, and may hear of what is asked for.
async fn may_hear(control: &Control, endpoint: &Endpoint, bootstrap: Option<&str>) -> Result<(), Failure> {
    if bootstrap == Some(endpoint.account.as_str()) {
        return Ok(());
    }
    let missing = || Failure::new(Code::AccountNotFound, "There is no such account.");
    let account = control.find_account(&endpoint.account).await?.ok_or_else(missing)?;
    match endpoint.scope {
        EndpointScope::Own => Ok(()),
        EndpointScope::All => endpoint.filter.may_hear_all(&account.rights()).map_err(|need| {
            Failure::new(
                Code::Forbidden,
                format!("The account may not hear of everybody's events; it would need {need}."),
            )
        }),
    }
}

fn fresh_keys(settings: &Settings, id: Uuid, now: Timestamp) -> anyhow::Result<(EndpointKeys, SealedKeys)> {
    let keys = EndpointKeys::generate();
    let sealed = keys.seal(&KeyRing::load(&settings.seal.key_file)?, id, now)?;
    let sealed = SealedKeys { sealed, public: keys.public() };
    Ok((keys, sealed))
}

fn with_secret(done: &str, endpoint: &Endpoint, keys: &EndpointKeys, output: Output) -> anyhow::Result<()> {
    let secret = keys.secret();
    let told = if output.json {
        let mut body = shown(endpoint);
        body["secret"] = json!(*secret);
        body.to_string()
    } else {
        let (id, public) = (endpoint.id, keys.public());
        format!(
            "{done} {id}\npublic key (v1a): {public}\nsecret (v1), which is not shown again:\n{}",
            *secret
        )
    };
    print(&Zeroizing::new(told))
}

pub(super) fn list(file: Option<&Path>, account: Option<&str>, output: Output) -> anyhow::Result<()> {
    let endpoints = on_control(&config::Control::load(file)?, async |control| {
        let mut endpoints: Vec<Endpoint> = Vec::new();
        loop {
            let after = endpoints.last().map(|endpoint| endpoint.id);
            let page = control.list_endpoints(None, account, after, PAGE).await?;
            let is_last = page.len() < PAGE;
            endpoints.extend(page);
            if is_last {
                return Ok(endpoints);
            }
        }
    })?;
    if output.json {
        let endpoints: Vec<_> = endpoints.iter().map(shown).collect();
        return print(&json!({ "webhooks": endpoints }).to_string());
    }
    if endpoints.is_empty() {
        return print("no webhooks");
    }
    print(&endpoints.iter().map(in_words).collect::<Vec<_>>().join("\n"))
}

/// Waits until a worker has tried once.
pub(super) fn ping(file: Option<&Path>, id: Uuid, output: Output) -> anyhow::Result<()> {
    let settings = Settings::load(file)?;
    let patience = settings.webhooks.timeout + settings.webhooks.poll + PING_MARGIN;
    let tried = on_control(&settings.control, async |control| {
        let ping = control.ping_endpoint(id, None, SystemClock.now()).await?;
        let end = Instant::now() + patience;
        loop {
            let filter = DeliveryFilter::default();
            let found = control.list_deliveries(id, &filter, Some(ping + 1), 1).await?;
            let delivery = found.into_iter().next().filter(|delivery| delivery.id == ping);
            if let Some(delivery) = delivery.filter(|delivery| !delivery.attempts.is_empty()) {
                return Ok(Some(delivery));
            }
            if Instant::now() >= end {
                return Ok(None);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    })?;
    let Some(delivery) = tried else {
        bail!("no worker has sent it within {} s; does one run?", patience.as_secs());
    };
    print(&if output.json { delivery_shown(&delivery).to_string() } else { delivery_in_words(&delivery) })?;
    if delivery.state != DeliveryState::Delivered {
        bail!("the receiver did not take it");
    }
    Ok(())
}

pub(super) fn rotate(
    file: Option<&Path>,
    id: Uuid,
    keep_old: Option<u64>,
    output: Output,
) -> anyhow::Result<()> {
    let settings = Settings::load(file)?;
    let now = SystemClock.now();
    let (keys, sealed) = fresh_keys(&settings, id, now)?;
    let keep_old = keep_old.map_or(settings.webhooks.rotation, Duration::from_secs);
    let until = now.saturating_add(keep_old)?;
    let endpoint = on_control(&settings.control, async |control| {
        control.rotate_endpoint(id, None, &sealed, until, (&operator::actor(), now)).await
    })?;
    with_secret("rotated", &endpoint, &keys, output)
}

pub(super) fn pause(file: Option<&Path>, id: Uuid, output: Output) -> anyhow::Result<()> {
    switch(file, id, EndpointState::Paused, output)
}

pub(super) fn resume(file: Option<&Path>, id: Uuid, output: Output) -> anyhow::Result<()> {
    switch(file, id, EndpointState::Active, output)
}

fn switch(file: Option<&Path>, id: Uuid, state: EndpointState, output: Output) -> anyhow::Result<()> {
    let changed = on_control(&config::Control::load(file)?, async |control| {
        let by = (&operator::actor(), SystemClock.now());
        control.change_endpoint(id, None, by, |endpoint| Ok(Endpoint { state, ..endpoint })).await
    })?;
    print(&if output.json {
        shown(&changed).to_string()
    } else {
        format!("{} is {}", changed.id, changed.state)
    })
}

pub(super) fn delete(file: Option<&Path>, id: Uuid, output: Output) -> anyhow::Result<()> {
    on_control(&config::Control::load(file)?, async |control| {
        control.remove_endpoint(id, None, (&operator::actor(), SystemClock.now())).await
    })?;
    print(&if output.json {
        json!({ "id": id, "removed": true }).to_string()
    } else {
        format!("removed {id}")
    })
}

fn filter(which: &WhichDeliveries) -> DeliveryFilter {
    DeliveryFilter {
        state: which.state,
        name: which.event.clone(),
        ticket: which.ticket,
        from: which.from,
        to: which.to,
    }
}

pub(super) fn deliveries(
    file: Option<&Path>,
    id: Uuid,
    which: &WhichDeliveries,
    limit: u16,
    output: Output,
) -> anyhow::Result<()> {
    let filter = filter(which);
    let found = on_control(&config::Control::load(file)?, async |control| {
        if control.find_endpoint(id, None).await?.is_none() {
            return Err(Failure::new(Code::WebhookNotFound, "There is no such webhook."));
        }
        control.list_deliveries(id, &filter, None, usize::from(limit)).await
    })?;
    if output.json {
        let found: Vec<_> = found.iter().map(delivery_shown).collect();
        return print(&json!({ "deliveries": found }).to_string());
    }
    if found.is_empty() {
        return print("no deliveries");
    }
    print(&found.iter().map(delivery_in_words).collect::<Vec<_>>().join("\n"))
}

pub(super) fn replay(
    file: Option<&Path>,
    id: Uuid,
    delivery: Option<i64>,
    which: &WhichDeliveries,
    output: Output,
) -> anyhow::Result<()> {
    let filter = DeliveryFilter { state: which.state.or(Some(DeliveryState::Failed)), ..filter(which) };
    let replayed = on_control(&config::Control::load(file)?, async |control| {
        let by = (&operator::actor(), SystemClock.now());
        match delivery {
            Some(delivery) => control.replay_delivery(id, None, delivery, by).await.map(|()| 1),
            None => control.replay_deliveries(id, None, &filter, by).await,
        }
    })?;
    let words = format!("{replayed} to be told once more");
    print(&if output.json { json!({ "replayed": replayed }).to_string() } else { words })
}

fn shown(endpoint: &Endpoint) -> Value {
    let events: Vec<_> = endpoint.filter.events.iter().map(|event| event.as_str()).collect();
    json!({
        "id": endpoint.id,
        "account": endpoint.account,
        "owner": endpoint.owner,
        "url": endpoint.url,
        "description": endpoint.description,
        "events": events,
        "envs": endpoint.filter.envs,
        "scope": endpoint.scope.as_str(),
        "callbacks_only": endpoint.callbacks_only,
        "rule": endpoint.rule,
        "state": endpoint.state.as_str(),
        "reason": endpoint.state_reason,
        "state_at": endpoint.state_at,
        "failing_since": endpoint.failing_since,
        "public_key": endpoint.keys.public,
        "old_keys_until": endpoint.old_keys.as_ref().map(|(_, until)| until),
        "created_at": endpoint.created_at,
    })
}

fn in_words(endpoint: &Endpoint) -> String {
    let reason = endpoint.state_reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    let failing = endpoint.failing_since.map(|since| format!(", failing since {since}")).unwrap_or_default();
    let of = match (endpoint.callbacks_only, &endpoint.rule) {
        (true, _) => "callbacks of jobs".to_owned(),
        (false, Some(rule)) => format!("notifications of the rule {rule}"),
        (false, None) => format!("{} events", endpoint.scope),
    };
    format!(
        "{}  {}: {}, {of}, {}{reason}{failing}",
        endpoint.id, endpoint.account, endpoint.url, endpoint.state
    )
}

fn delivery_shown(delivery: &Delivery) -> Value {
    let attempts = delivery.attempts.iter().map(|attempt| {
        json!({
            "at": attempt.at, "duration_ms": attempt.duration_ms, "status": attempt.status, "error": attempt.error,
        })
    });
    json!({
        "id": delivery.id,
        "webhook_id": MessageId::from(delivery.event).as_str(),
        "event": delivery.name,
        "ticket": delivery.ticket,
        "state": delivery.state.as_str(),
        "created_at": delivery.created_at,
        "next_attempt_at": delivery.next_attempt_at,
        "ended_at": delivery.ended_at,
        "attempts": attempts.collect::<Vec<_>>(),
    })
}

fn delivery_in_words(delivery: &Delivery) -> String {
    let ticket = delivery.ticket.map(|ticket| format!(" of {ticket}")).unwrap_or_default();
    let next = delivery.next_attempt_at.map(|at| format!(", next at {at}")).unwrap_or_default();
    let head = format!("{}  {}{ticket}: {}{next}", delivery.id, delivery.name, delivery.state);
    let attempts = delivery.attempts.iter().map(|attempt| {
        let what = match (&attempt.status, &attempt.error) {
            (_, Some(error)) => error.clone(),
            (Some(status), None) => status.to_string(),
            (None, None) => "no answer".to_owned(),
        };
        format!("    {} {what} after {} ms", attempt.at, attempt.duration_ms)
    });
    std::iter::once(head).chain(attempts).collect::<Vec<_>>().join("\n")
}
