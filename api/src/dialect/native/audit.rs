//! `GET /api/v2/audit`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use jiff::Timestamp;
use rolecall_shared::audit::Format;
use rolecall_shared::control::{EventFilter, Export, Recorded};
use rolecall_shared::domain::{Code, EventName, Failure};
use serde::Serialize;
use utoipa::ToSchema;

use super::cursor::{self, Page};
use super::params::Params;
use super::problem::{Problem, ProblemBody};
use crate::App;
use crate::app::audit;
use crate::auth::Caller;

const LIST: &str = "audit";
/// A row of the audit.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub(super) struct EventBody {
    /// From 1, without gaps.
    seq: i64,
    /// What happened, such as `ticket.succeeded` or `secret.taken`.
    event: &'static str,
    at: Timestamp,
    /// Who did it.
    account: String,
    /// Who owns what was made: the account, and for the job of a CI system its subject.
    owner: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// By which proof: `basic`, `api_token ID`, `session ID (what opened it)`, `unix UID`, `command`.
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    env: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// The outcome, or the code of the failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<String>,
    /// More, as an object.
    #[schema(value_type = Object)]
    detail: serde_json::Value,
}

impl From<Recorded> for EventBody {
    fn from(Recorded { seq, event }: Recorded) -> Self {
        Self {
            seq,
            event: event.name.as_str(),
            at: event.at,
            account: event.actor.account,
            owner: event.actor.owner,
            address: event.actor.address,
            via: event.actor.via,
            ticket: event.ticket.map(|ticket| ticket.to_string()),
            env: event.target.as_ref().map(|target| target.env.to_string()),
            database: event.target.map(|target| target.database.to_string()),
            host: event.host.map(|host| host.to_string()),
            operation: event.operation,
            kind: event.kind,
            role: event.role,
            outcome: event.outcome,
            detail: event.detail,
        }
    }
}

/// Read the audit, newest first, or with `format` export all of it, oldest first.
#[utoipa::path(
    get,
    path = "/api/v2/audit",
    tag = "audit",
    params(
        ("event" = Option<String>, Query, description = "Such as `secret.taken`"),
        ("ticket" = Option<String>, Query),
        ("account" = Option<String>, Query),
        ("env" = Option<String>, Query),
        ("database" = Option<String>, Query),
        ("host" = Option<String>, Query, description = "`hostname:port`"),
        ("role" = Option<String>, Query),
        ("from" = Option<String>, Query, description = "RFC 3339, inclusive"),
        ("to" = Option<String>, Query, description = "RFC 3339, exclusive"),
        ("format" = Option<String>, Query, description = "`json`, `ndjson` or `csv`: an export in place of a page; `limit` and `cursor` do not go with it"),
        ("limit" = Option<usize>, Query, description = "1 to 200; 50"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page; with `format` an export", content(
            (Page<EventBody> = "application/json"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
        )),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
) -> Result<Response, Problem> {
    if let Some(format) = params.parsed("format", str::parse::<Format>)? {
        let filter = filter(&params)?;
        params.finish()?;
        return Ok(exported(audit::export(&caller, &app, filter, format).await?, format));
    }
    let limit = params.limit()?;
    let before = params.text("cursor")?.map(|cursor| before(&cursor)).transpose()?;
    let filter = filter(&params)?;
    params.finish()?;
    let found = audit::list(&caller, &app, &filter, before, limit + 1).await?;
    Ok(Json(Page::of(LIST, found, limit, |row| vec![row.seq.to_string()], EventBody::from)).into_response())
}

/// An export as it comes from the database, part by part. When that fails half-way the connection is cut, so that nobody
/// takes a part for the whole.
fn exported(export: Export, format: Format) -> Response {
    let parts = stream::try_unfold(export, |mut export| async move {
        let part = export.next().await.inspect_err(|failure| {
            tracing::warn!(%failure, cause = failure.cause_chain(), "an export of the audit was cut off");
        })?;
        Ok::<_, Failure>(part.map(|part| (part, export)))
    });
    let file = format!("attachment; filename=\"rolecall-audit.{}\"", format.as_str());
    let headers = [(CONTENT_TYPE, format.media_type().to_owned()), (CONTENT_DISPOSITION, file)];
    (headers, Body::from_stream(parts)).into_response()
}

fn filter(params: &Params) -> Result<EventFilter, Failure> {
    Ok(EventFilter {
        name: params.parsed("event", |text| {
            EventName::ALL
                .iter()
                .copied()
                .find(|name| name.as_str() == text)
                .ok_or("is not the name of an event")
        })?,
        ticket: params.parsed("ticket", |text| text.parse().map_err(|_| "is not the id of a ticket"))?,
        account: params.filter("account")?,
        env: params.filter("env")?,
        database: params.filter("database")?,
        host: params.filter("host")?,
        role: params.filter("role")?,
        from: params.time("from")?,
        to: params.time("to")?,
    })
}

fn before(cursor: &str) -> Result<i64, Failure> {
    let [seq] = cursor::read(LIST, cursor)?;
    seq.parse().map_err(|_| Failure::new(Code::MalformedRequest, "`cursor` names no row."))
}
