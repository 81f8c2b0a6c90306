//! `pause`, `resume` and `drain` below `/api/v2/hosts`: for one host, or for all.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use rolecall_shared::control::{Host, Switch};
use rolecall_shared::domain::Failure;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::OptionalJsonObject;
use super::fields::Fields;
use super::hosts::SwitchedInfo;
use super::params::HostPath;
use super::problem::{Problem, ProblemBody};
use super::target_body::TargetName;
use crate::App;
use crate::app::hosts;
use crate::auth::Caller;

/// Why a host is paused or drained.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `reason` reads")]
#[schema(as = Pause)]
pub(super) struct ReasonBody {
    /// At most 500 bytes; whoever waits or is refused is shown it.
    reason: Option<String>,
}

/// The reason in a body.
pub(super) fn reason(map: &Map<String, Value>) -> Result<&str, Failure> {
    let fields = Fields::of(map);
    let reason = fields.text("reason").unwrap_or_default();
    if let Err(fault) = hosts::check_reason(reason) {
        fields.fault("reason", fault);
    }
    fields.finish()?;
    Ok(reason)
}

/// A host as it was switched. What is not there does not hold.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SwitchedHost)]
pub(super) struct SwitchedBody {
    /// `hostname:port`.
    host: String,
    /// Its jobs wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<SwitchedInfo>,
    /// It takes no new jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    draining: Option<SwitchedInfo>,
    /// All targets of the host: what was done concerns each.
    targets: Vec<TargetName>,
}

impl From<Host> for SwitchedBody {
    fn from(host: Host) -> Self {
        Self {
            host: host.key.to_string(),
            targets: host.targets.iter().map(TargetName::from).collect(),
            paused: host.paused.map(SwitchedInfo::from),
            draining: host.draining.map(SwitchedInfo::from),
        }
    }
}

/// Hosts as they were switched.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SwitchedHosts)]
pub(super) struct SwitchedHosts {
    items: Vec<SwitchedBody>,
}

async fn one(
    app: &App,
    caller: &Caller,
    HostPath(host): HostPath,
    switch: Switch<'_>,
) -> Result<Json<SwitchedBody>, Problem> {
    Ok(Json(hosts::switch(caller, app, &host, switch).await?.into()))
}

async fn all(app: &App, caller: &Caller, switch: Switch<'_>) -> Result<Json<SwitchedHosts>, Problem> {
    let hosts = hosts::switch_all(caller, app, switch).await?;
    Ok(Json(SwitchedHosts { items: hosts.into_iter().map(SwitchedBody::from).collect() }))
}

/// Stop the jobs of a host. New ones are taken, and wait.
#[utoipa::path(
    post,
    path = "/api/v2/hosts/{host}/pause",
    tag = "hosts",
    params(("host" = String, Path, description = "`hostname:port`")),
    request_body(content = Option<ReasonBody>),
    responses(
        (status = 200, description = "Paused, now or before", body = SwitchedBody),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn pause(
    State(app): State<Arc<App>>,
    caller: Caller,
    host: HostPath,
    OptionalJsonObject(map): OptionalJsonObject,
) -> Result<Json<SwitchedBody>, Problem> {
    one(&app, &caller, host, Switch::Pause(reason(&map)?)).await
}

/// Let a host run dry: new jobs are refused as `host_draining`, those that wait are worked on. Ends a pause.
#[utoipa::path(
    post,
    path = "/api/v2/hosts/{host}/drain",
    tag = "hosts",
    params(("host" = String, Path, description = "`hostname:port`")),
    request_body(content = Option<ReasonBody>),
    responses(
        (status = 200, description = "Draining, now or before", body = SwitchedBody),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn drain(
    State(app): State<Arc<App>>,
    caller: Caller,
    host: HostPath,
    OptionalJsonObject(map): OptionalJsonObject,
) -> Result<Json<SwitchedBody>, Problem> {
    one(&app, &caller, host, Switch::Drain(reason(&map)?)).await
}

/// Let a host work and take new jobs: pause and drain end.
#[utoipa::path(
    post,
    path = "/api/v2/hosts/{host}/resume",
    tag = "hosts",
    params(("host" = String, Path, description = "`hostname:port`")),
    responses(
        (status = 200, description = "Resumed, now or before", body = SwitchedBody),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    caller: Caller,
    host: HostPath,
) -> Result<Json<SwitchedBody>, Problem> {
    one(&app, &caller, host, Switch::Resume).await
}

/// Stop the jobs of all hosts there are now.
#[utoipa::path(
    post,
    path = "/api/v2/hosts/pause",
    tag = "hosts",
    request_body(content = Option<ReasonBody>),
    responses(
        (status = 200, description = "All are paused, now or before", body = SwitchedHosts),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn pause_all(
    State(app): State<Arc<App>>,
    caller: Caller,
    OptionalJsonObject(map): OptionalJsonObject,
) -> Result<Json<SwitchedHosts>, Problem> {
    all(&app, &caller, Switch::Pause(reason(&map)?)).await
}

/// Let all hosts there are now run dry. Ends their pauses.
#[utoipa::path(
    post,
    path = "/api/v2/hosts/drain",
    tag = "hosts",
    request_body(content = Option<ReasonBody>),
    responses(
        (status = 200, description = "All are draining, now or before", body = SwitchedHosts),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn drain_all(
    State(app): State<Arc<App>>,
    caller: Caller,
    OptionalJsonObject(map): OptionalJsonObject,
) -> Result<Json<SwitchedHosts>, Problem> {
    all(&app, &caller, Switch::Drain(reason(&map)?)).await
}

/// Let all hosts work and take new jobs.
#[utoipa::path(
    post,
    path = "/api/v2/hosts/resume",
    tag = "hosts",
    responses(
        (status = 200, description = "All are resumed, now or before", body = SwitchedHosts),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn resume_all(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Result<Json<SwitchedHosts>, Problem> {
    all(&app, &caller, Switch::Resume).await
}
