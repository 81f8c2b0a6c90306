//! `/api/v2/webhooks/{id}/deliveries`: what was told to a webhook, and telling it once more.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use rolecall_shared::control::{Attempted, Delivery, DeliveryFilter};
use rolecall_shared::domain::webhook::PING;
use rolecall_shared::domain::{EventName, Failure, TicketId};
use rolecall_shared::seal::MessageId;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::OptionalJsonObject;
use super::cursor::{self, Page};
use super::fields::Fields;
use super::params::YEAR_ZERO;
use super::params::{DeliveryPath, Params, WebhookPath};
use super::problem::{Problem, ProblemBody};
use crate::App;
use crate::app::webhooks;
use crate::auth::Caller;

const LIST: &str = "deliveries";

/// One event for one webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(super) struct DeliveryBody {
    id: i64,
    /// `webhook-id`: the same at every attempt.
    webhook_id: String,
    /// What happened.
    event: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<String>,
    /// Where to, if a job named a URL of its own; for the webhook's owner alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// `pending`, `delivered` or `failed`.
    state: &'static str,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    /// The oldest first; of many the newest 50.
    attempts: Vec<AttemptBody>,
}

/// One attempt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub(super) struct AttemptBody {
    at: Timestamp,
    duration_ms: i64,
    /// Of the answer, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<Attempted> for AttemptBody {
    fn from(Attempted { at, duration_ms, status, error }: Attempted) -> Self {
        Self { at, duration_ms, status, error }
    }
}

impl DeliveryBody {
    fn of(delivery: Delivery, is_own: bool) -> Self {
        Self {
            id: delivery.id,
            webhook_id: MessageId::from(delivery.event).to_string(),
            event: delivery.name,
            ticket: delivery.ticket.map(|ticket| ticket.to_string()),
            url: delivery.url.filter(|_| is_own),
            state: delivery.state.as_str(),
            created_at: delivery.created_at,
            next_attempt_at: delivery.next_attempt_at,
            ended_at: delivery.ended_at,
            attempts: delivery.attempts.into_iter().map(AttemptBody::from).collect(),
        }
    }
}

/// What was told to a webhook, newest first, with every attempt.
#[utoipa::path(
    get,
    path = "/api/v2/webhooks/{id}/deliveries",
    tag = "webhooks",
    params(
        ("id" = String, Path, description = "The webhook's id"),
        ("state" = Option<String>, Query, description = "`pending`, `delivered` or `failed`"),
        ("event" = Option<String>, Query, description = "Such as `ticket.succeeded`"),
        ("ticket" = Option<String>, Query),
        ("from" = Option<String>, Query, description = "RFC 3339, inclusive"),
        ("to" = Option<String>, Query, description = "RFC 3339, exclusive"),
        ("limit" = Option<usize>, Query, description = "1 to 200; 50"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<DeliveryBody>),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    WebhookPath(id): WebhookPath,
    params: Params,
) -> Result<Json<Page<DeliveryBody>>, Problem> {
    let limit = params.limit()?;
    let before = params.text("cursor")?.map(|cursor| cursor::read_id(LIST, &cursor)).transpose()?;
    let filter = DeliveryFilter {
        state: params.parsed("state", str::parse)?,
        name: params.parsed("event", event_name)?,
        ticket: params.parsed("ticket", ticket)?,
        from: params.parsed("from", time)?,
        to: params.parsed("to", time)?,
    };
    params.finish()?;
    let (endpoint, found) = webhooks::deliveries(&caller, &app, id, &filter, (before, limit + 1)).await?;
    let is_own = endpoint.owner == caller.owner;
    let key = |delivery: &Delivery| vec![delivery.id.to_string()];
    Ok(Json(Page::of(LIST, found, limit, key, |delivery| DeliveryBody::of(delivery, is_own))))
}

fn event_name(text: &str) -> Result<String, &'static str> {
    if text == PING || EventName::told(text).is_some() {
        Ok(text.to_owned())
    } else {
        Err("is not the name of an event that is told")
    }
}

fn time(text: &str) -> Result<Timestamp, &'static str> {
    let time = text.parse::<Timestamp>().ok().filter(|time| *time >= YEAR_ZERO);
    time.ok_or("must be a time as in RFC 3339")
}

/// Send one event once more, from the first attempt on; under the same `webhook-id`.
#[utoipa::path(
    post,
    path = "/api/v2/webhooks/{id}/deliveries/{delivery}/replay",
    tag = "webhooks",
    params(
        ("id" = String, Path, description = "The webhook's id"),
        ("delivery" = i64, Path, description = "The delivery's id"),
    ),
    responses(
        (status = 202, description = "It is sent", body = ReplayedBody),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn replay_one(
    State(app): State<Arc<App>>,
    caller: Caller,
    DeliveryPath(id, delivery): DeliveryPath,
) -> Result<Response, Problem> {
    webhooks::replay_one(&caller, &app, id, delivery).await?;
    Ok((StatusCode::ACCEPTED, Json(ReplayedBody { replayed: 1 })).into_response())
}

/// Which events are sent once more. Everything that is named must hold.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `filter` reads")]
#[schema(as = Replay, example = json!({ "from": "2027-01-01T00:00:00Z", "state": "failed" }))]
pub(super) struct ReplayBody {
    /// RFC 3339, inclusive.
    from: Option<String>,
    /// RFC 3339, exclusive.
    to: Option<String>,
    /// `pending`, `delivered` or `failed`; absent: `failed`.
    state: Option<String>,
    event: Option<String>,
    ticket: Option<String>,
}

/// What was asked for once more.
#[derive(Serialize, ToSchema)]
#[schema(as = Replayed)]
pub(super) struct ReplayedBody {
    /// How many events.
    replayed: u64,
}

/// Send events of a range once more; those that failed unless `state` says otherwise.
#[utoipa::path(
    post,
    path = "/api/v2/webhooks/{id}/replay",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    request_body(content = ReplayBody),
    responses(
        (status = 202, description = "They are sent", body = ReplayedBody),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn replay(
    State(app): State<Arc<App>>,
    caller: Caller,
    WebhookPath(id): WebhookPath,
    OptionalJsonObject(map): OptionalJsonObject,
) -> Result<Response, Problem> {
    let replayed = webhooks::replay(&caller, &app, id, &filter(&map)?).await?;
    Ok((StatusCode::ACCEPTED, Json(ReplayedBody { replayed })).into_response())
}

fn ticket(text: &str) -> Result<TicketId, &'static str> {
    text.parse().map_err(|_| "must be a ticket's id")
}

fn filter(map: &Map<String, Value>) -> Result<DeliveryFilter, Failure> {
    use rolecall_shared::domain::webhook::DeliveryState;
    let fields = Fields::of(map);
    let filter = DeliveryFilter {
        state: fields.parsed("state", fields.text("state"), str::parse).or(Some(DeliveryState::Failed)),
        name: fields.parsed("event", fields.text("event"), event_name),
        ticket: fields.parsed("ticket", fields.text("ticket"), ticket),
        from: fields.parsed("from", fields.text("from"), time),
        to: fields.parsed("to", fields.text("to"), time),
    };
    fields.finish()?;
    Ok(filter)
}
