//! `/api/v2/targets` and what is below it: the registry, pause and resume.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, ETAG, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use rolecall_shared::control::Put;
use rolecall_shared::domain::{Code, Failure, Target, TargetKey};

use super::body::{JsonObject, OptionalJsonObject};
use super::cursor::{self, Page};
use super::params::{NewTargetPath, Params, TargetPath, target_key};
use super::precondition::{self, Known};
use super::problem::{Problem, ProblemBody};
use super::switches::{ReasonBody, reason};
use super::target_body::{self, NewTargetBody, PausedBody, TargetBody};
use crate::App;
use crate::app::targets::{self, Waiting};
use crate::auth::Caller;

const LIST: &str = "targets";

/// List targets, by environment and database.
#[utoipa::path(
    get,
    path = "/api/v2/targets",
    tag = "targets",
    params(
        ("limit" = Option<usize>, Query, description = "1 to 200; 50"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<TargetBody>),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
) -> Result<Json<Page<TargetBody>>, Problem> {
    let limit = params.limit()?;
    let after = params.text("cursor")?.map(|cursor| after(&cursor)).transpose()?;
    params.finish()?;
    let found = targets::list(&caller, &app, after.as_ref(), limit + 1).await?;
    let key = |target: &Target| vec![target.key.env.to_string(), target.key.database.to_string()];
    Ok(Json(Page::of(LIST, found, limit, key, |target| TargetBody::from(&target))))
}

fn after(cursor: &str) -> Result<TargetKey, Failure> {
    let [env, database] = cursor::read(LIST, cursor)?;
    target_key(&env, &database)
        .ok_or_else(|| Failure::new(Code::MalformedRequest, "`cursor` names no target."))
}

/// Read a target.
#[utoipa::path(
    get,
    path = "/api/v2/targets/{env}/{database}",
    tag = "targets",
    params(("env" = String, Path), ("database" = String, Path)),
    responses(
        (status = 200, description = "The target", body = TargetBody),
        (status = 304, description = "You have it already (`If-None-Match`)"),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn find(
    State(app): State<Arc<App>>,
    caller: Caller,
    TargetPath(key): TargetPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let target = targets::find(&caller, &app, &key).await?;
    if Known::read(&headers).has(&target.revision.to_string()) {
        return Ok(dressed(StatusCode::NOT_MODIFIED.into_response(), &target));
    }
    Ok(dressed(Json(TargetBody::from(&target)).into_response(), &target))
}

/// Register or change a target.
///
/// What is left out takes its default. `If-Match` with the `ETag` guards against somebody else's change,
/// `If-None-Match: *` against overwriting.
#[utoipa::path(
    put,
    path = "/api/v2/targets/{env}/{database}",
    tag = "targets",
    params(
        ("env" = String, Path),
        ("database" = String, Path),
        ("fail_waiting" = Option<bool>, Query,
         description = "With `true`, jobs that wait at the host it leaves fail as `target_changed`"),
        ("If-Match" = Option<String>, Header),
        ("If-None-Match" = Option<String>, Header),
    ),
    request_body = NewTargetBody,
    responses(
        (status = 201, description = "Registered", body = TargetBody),
        (status = 200, description = "Changed, or the same as before", body = TargetBody),
        (status = 409, description = "`jobs_waiting` for the host it is to leave, or `host_settings_conflict`",
         body = ProblemBody, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    caller: Caller,
    NewTargetPath(key): NewTargetPath,
    params: Params,
    headers: HeaderMap,
    JsonObject(map): JsonObject,
) -> Result<Response, Problem> {
    let waiting = waiting(params)?;
    let expected = precondition::expected(&headers)?;
    let asked = target_body::parse(key, &map)?;
    let (status, target) = match targets::put(&caller, &app, asked, expected, waiting).await? {
        Put::Added(target) => (StatusCode::CREATED, target),
        Put::Changed { now: target, .. } | Put::Unchanged(target) => (StatusCode::OK, target),
    };
    let mut response = dressed((status, Json(TargetBody::from(&target))).into_response(), &target);
    if status == StatusCode::CREATED {
        let location = HeaderValue::try_from(target_body::href(&target.key)).map_err(Failure::internal)?;
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// Remove a target.
///
/// Refused while jobs wait for its host, whichever target they are for; with `fail_waiting=true` it is removed all
/// the same, and its own waiting jobs fail as `target_changed`.
#[utoipa::path(
    delete,
    path = "/api/v2/targets/{env}/{database}",
    tag = "targets",
    params(
        ("env" = String, Path),
        ("database" = String, Path),
        ("fail_waiting" = Option<bool>, Query,
         description = "With `true`, jobs that wait for the target fail as `target_changed`"),
        ("If-Match" = Option<String>, Header),
    ),
    responses(
        (status = 204, description = "Removed"),
        (status = 409, description = "`jobs_waiting`", body = ProblemBody, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    caller: Caller,
    TargetPath(key): TargetPath,
    params: Params,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let waiting = waiting(params)?;
    let expected = precondition::expected(&headers)?;
    targets::remove(&caller, &app, &key, expected, waiting).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn waiting(params: Params) -> Result<Waiting, Failure> {
    let waiting = if params.flag("fail_waiting")? { Waiting::Fail } else { Waiting::Refuse };
    params.finish()?;
    Ok(waiting)
}

/// Stop the jobs of the target's host, and with them those of all targets there.
#[utoipa::path(
    post,
    path = "/api/v2/targets/{env}/{database}/pause",
    tag = "targets",
    params(("env" = String, Path), ("database" = String, Path)),
    request_body(content = Option<ReasonBody>),
    responses(
        (status = 200, description = "Paused, now or before", body = PausedBody),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn pause(
    State(app): State<Arc<App>>,
    caller: Caller,
    TargetPath(key): TargetPath,
    OptionalJsonObject(map): OptionalJsonObject,
) -> Result<Json<PausedBody>, Problem> {
    Ok(Json(targets::pause(&caller, &app, &key, reason(&map)?).await?.into()))
}

/// Let the jobs of the target's host go on, and take new ones.
#[utoipa::path(
    post,
    path = "/api/v2/targets/{env}/{database}/resume",
    tag = "targets",
    params(("env" = String, Path), ("database" = String, Path)),
    responses(
        (status = 200, description = "Resumed, now or before", body = PausedBody),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    caller: Caller,
    TargetPath(key): TargetPath,
) -> Result<Json<PausedBody>, Problem> {
    Ok(Json(targets::resume(&caller, &app, &key).await?.into()))
}

fn dressed(mut response: Response, target: &Target) -> Response {
    let headers = response.headers_mut();
    headers.insert(ETAG, precondition::revision(target.revision));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}
