//! `/api/v2/webhooks`: who is told of what.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::response::{IntoResponse, Response};
use rolecall_shared::control::Endpoint;
use rolecall_shared::domain::Failure;
use rolecall_shared::domain::webhook::EndpointState;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::{JsonObject, OptionalJsonObject};
use super::cursor::{self, Page};
use super::fields::Fields;
use super::params::{Params, WebhookPath};
use super::problem::{Problem, ProblemBody};
use super::webhook_body::{self, NewWebhookBody, WebhookBody, WebhookChangeBody, WithSecretBody};
use crate::App;
use crate::app::webhooks;
use crate::auth::Caller;

const LIST: &str = "webhooks";
/// The longest that old keys may sign after a rotation.
const MAX_KEEP_OLD: Duration = Duration::from_hours(24 * 30);

fn shown(caller: &Caller, endpoint: Endpoint) -> WebhookBody {
    let is_own = endpoint.owner == caller.owner;
    WebhookBody::of(endpoint, is_own)
}

/// An answer that holds a secret is nobody's to keep.
fn with_secret(status: StatusCode, body: &WithSecretBody) -> Response {
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Register a webhook: events are sent to its URL, signed after Standard Webhooks 1.0.0.
#[utoipa::path(
    post,
    path = "/api/v2/webhooks",
    tag = "webhooks",
    request_body(content = NewWebhookBody),
    responses(
        (status = 201, description = "Registered; its secret is shown this once", body = WithSecretBody),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn add(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonObject(map): JsonObject,
) -> Result<Response, Problem> {
    let (endpoint, keys) = webhooks::add(&caller, &app, webhook_body::asked(&map, &app)?).await?;
    Ok(with_secret(StatusCode::CREATED, &WithSecretBody::of(endpoint, &keys)))
}

/// List your webhooks, oldest first.
#[utoipa::path(
    get,
    path = "/api/v2/webhooks",
    tag = "webhooks",
    params(
        ("account" = Option<String>, Query, description = "Somebody else's; `*` for everybody's. Needs `accounts`"),
        ("limit" = Option<usize>, Query, description = "1 to 200; 50"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<WebhookBody>),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
) -> Result<Json<Page<WebhookBody>>, Problem> {
    let limit = params.limit()?;
    let after = params.text("cursor")?.map(|cursor| cursor::read_id(LIST, &cursor)).transpose()?;
    let account = params.text("account")?;
    params.finish()?;
    let found = webhooks::list(&caller, &app, account.as_deref(), after, limit + 1).await?;
    let page = Page::of(
        LIST,
        found,
        limit,
        |webhook| vec![webhook.id.to_string()],
        |webhook| shown(&caller, webhook),
    );
    Ok(Json(page))
}

/// A webhook.
#[utoipa::path(
    get,
    path = "/api/v2/webhooks/{id}",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    responses(
        (status = 200, description = "It", body = WebhookBody),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn find(
    State(app): State<Arc<App>>,
    caller: Caller,
    WebhookPath(id): WebhookPath,
) -> Result<Json<WebhookBody>, Problem> {
    let endpoint = webhooks::find(&caller, &app, id).await?;
    Ok(Json(shown(&caller, endpoint)))
}

/// Change a webhook of yours; what is not named stays.
#[utoipa::path(
    patch,
    path = "/api/v2/webhooks/{id}",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    request_body(content = WebhookChangeBody),
    responses(
        (status = 200, description = "As it is now", body = WebhookBody),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    WebhookPath(id): WebhookPath,
    JsonObject(map): JsonObject,
) -> Result<Json<WebhookBody>, Problem> {
    let endpoint = webhooks::change(&caller, &app, id, webhook_body::change(&map, &app)?).await?;
    Ok(Json(shown(&caller, endpoint)))
}

/// Remove a webhook, and what waits for it.
#[utoipa::path(
    delete,
    path = "/api/v2/webhooks/{id}",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    responses(
        (status = 204, description = "Removed"),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    WebhookPath(id): WebhookPath,
) -> Result<StatusCode, Problem> {
    webhooks::remove(&caller, &app, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Pause a webhook: what is to be told waits.
#[utoipa::path(
    post,
    path = "/api/v2/webhooks/{id}/pause",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    responses(
        (status = 200, description = "Paused, now or before", body = WebhookBody),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn pause(
    State(app): State<Arc<App>>,
    caller: Caller,
    WebhookPath(id): WebhookPath,
) -> Result<Json<WebhookBody>, Problem> {
    let endpoint = webhooks::switch(&caller, &app, id, EndpointState::Paused).await?;
    Ok(Json(shown(&caller, endpoint)))
}

/// Resume a webhook that is paused or disabled: what waits is sent.
#[utoipa::path(
    post,
    path = "/api/v2/webhooks/{id}/resume",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    responses(
        (status = 200, description = "Active, now or before", body = WebhookBody),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    caller: Caller,
    WebhookPath(id): WebhookPath,
) -> Result<Json<WebhookBody>, Problem> {
    let endpoint = webhooks::switch(&caller, &app, id, EndpointState::Active).await?;
    Ok(Json(shown(&caller, endpoint)))
}

/// How keys are rotated.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `keep_old` reads")]
#[schema(as = Rotation)]
struct RotationBody {
    /// For how many seconds the old keys sign besides, at most 2592000; absent: `webhooks.rotation_seconds`.
    keep_old_seconds: Option<u64>,
}

/// Give a webhook of yours other keys; for a while the old ones sign besides.
#[utoipa::path(
    post,
    path = "/api/v2/webhooks/{id}/rotate",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    request_body(content = RotationBody),
    responses(
        (status = 200, description = "Rotated; its secret is shown this once", body = WithSecretBody),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn rotate(
    State(app): State<Arc<App>>,
    caller: Caller,
    WebhookPath(id): WebhookPath,
    OptionalJsonObject(map): OptionalJsonObject,
) -> Result<Response, Problem> {
    let (endpoint, keys) = webhooks::rotate(&caller, &app, id, keep_old(&map)?).await?;
    Ok(with_secret(StatusCode::OK, &WithSecretBody::of(endpoint, &keys)))
}

fn keep_old(map: &serde_json::Map<String, serde_json::Value>) -> Result<Option<Duration>, Failure> {
    let fields = Fields::of(map);
    let keep = fields.value("keep_old_seconds").map(|value| {
        let keep = value.as_u64().map(Duration::from_secs).filter(|keep| *keep <= MAX_KEEP_OLD);
        if keep.is_none() {
            let most = MAX_KEEP_OLD.as_secs();
            fields.fault("keep_old_seconds", format!("must be a whole number from 0 to {most}"));
        }
        keep.unwrap_or_default()
    });
    fields.finish()?;
    Ok(keep)
}

/// A test event under way.
#[derive(Serialize, ToSchema)]
#[schema(as = Ping)]
pub(super) struct PingBody {
    /// Its delivery.
    delivery: i64,
    /// Where it is listed.
    href: String,
}

/// Send a webhook a test event, `webhook.ping`; what comes of it is listed with its deliveries.
#[utoipa::path(
    post,
    path = "/api/v2/webhooks/{id}/ping",
    tag = "webhooks",
    params(("id" = String, Path, description = "The webhook's id")),
    responses(
        (status = 202, description = "It is sent", body = PingBody),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn ping(
    State(app): State<Arc<App>>,
    caller: Caller,
    WebhookPath(id): WebhookPath,
) -> Result<Response, Problem> {
    let delivery = webhooks::ping(&caller, &app, id).await?;
    let href = format!("/api/v2/webhooks/{id}/deliveries");
    Ok((StatusCode::ACCEPTED, Json(PingBody { delivery, href })).into_response())
}
