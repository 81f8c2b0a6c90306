//! `GET /api/v2/hosts`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use rolecall_shared::control::Pause;
use rolecall_shared::domain::{Code, Failure, HostKey};
use serde::Serialize;
use utoipa::ToSchema;

use super::cursor::{self, Page};
use super::params::Params;
use super::problem::{Problem, ProblemBody};
use super::target_body::TargetName;
use crate::App;
use crate::app::hosts::{self, HostView};
use crate::auth::Caller;

const LIST: &str = "hosts";

/// A host and how it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Host)]
pub(super) struct HostBody {
    /// `hostname:port`.
    host: String,
    /// `ok`, `blocked` (tried again by itself), `login_refused` (tried slowly, and at once when a target of it is
    /// changed), `paused` or `draining`.
    state: &'static str,
    /// Jobs that wait, those in a worker's hands not counted.
    backlog: u64,
    /// Failures in a row.
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<LastError>,
    /// Since when it is in trouble.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<SwitchedInfo>,
    /// Since when, and for whom, it takes no new jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    draining: Option<SwitchedInfo>,
    /// While it drains: whether nothing is left, neither in its queue nor in a worker's hands.
    #[serde(skip_serializing_if = "Option::is_none")]
    drained: Option<bool>,
    lock_database: String,
    targets: Vec<TargetName>,
}

/// What went wrong last.
#[derive(Debug, Serialize, ToSchema)]
struct LastError {
    code: &'static str,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
}

/// Who did it, when and why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HostSwitch)]
pub(super) struct SwitchedInfo {
    by: String,
    at: Timestamp,
    reason: String,
}

impl From<Pause> for SwitchedInfo {
    fn from(Pause { by, at, reason }: Pause) -> Self {
        Self { by, at, reason }
    }
}

impl From<HostView> for HostBody {
    fn from(view: HostView) -> Self {
        let (state, next_attempt_at) = (view.condition().as_str(), view.next_attempt_at());
        let drained = view.host.draining.is_some().then(|| view.is_drained());
        let HostView { host, state: trouble, depth } = view;
        let last_error =
            trouble.code.map(|code: Code| LastError { code: code.as_str(), cause: trouble.cause });
        Self {
            host: host.key.to_string(),
            state,
            backlog: depth.messages,
            failures: trouble.failures,
            last_error,
            since: trouble.since,
            next_attempt_at,
            paused: host.paused.map(SwitchedInfo::from),
            draining: host.draining.map(SwitchedInfo::from),
            drained,
            lock_database: host.lock_database.to_string(),
            targets: host.targets.iter().map(TargetName::from).collect(),
        }
    }
}

/// List the hosts of all targets: backlog, state, last error, next attempt.
#[utoipa::path(
    get,
    path = "/api/v2/hosts",
    tag = "hosts",
    params(
        ("limit" = Option<usize>, Query, description = "1 to 200; 50"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<HostBody>),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
) -> Result<Json<Page<HostBody>>, Problem> {
    let limit = params.limit()?;
    let after = params.text("cursor")?.map(|cursor| after(&cursor)).transpose()?;
    params.finish()?;
    let found = hosts::list(&caller, &app, after.as_ref(), limit + 1).await?;
    Ok(Json(Page::of(LIST, found, limit, |view| vec![view.host.key.to_string()], HostBody::from)))
}

fn after(cursor: &str) -> Result<HostKey, Failure> {
    let [host] = cursor::read(LIST, cursor)?;
    host.parse().map_err(|_| Failure::new(Code::MalformedRequest, "`cursor` names no host."))
}
