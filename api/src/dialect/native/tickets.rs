//! `GET` and `DELETE /api/v2/tickets/{id}`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::params::{Params, TicketPath};
use super::precondition::Known;
use super::prefer;
use super::problem::{Problem, ProblemBody};
use super::ticket_body::{self, TicketBody};
use crate::App;
use crate::app::tickets::{self, Until};
use crate::app::{cancel, view};
use crate::auth::Caller;

/// Read a ticket, or wait for it.
///
/// With `wait` (or `Prefer: wait=N`) the answer comes when the job has ended, or, with `If-None-Match`, when the ticket
/// has changed; in any case after that many seconds. A failed job is 200 with `state: failed`.
#[utoipa::path(
    get,
    path = "/api/v2/tickets/{id}",
    tag = "tickets",
    params(
        ("id" = String, Path, description = "The ticket's id"),
        ("wait" = Option<u64>, Query, description = "Seconds, at most 50 unless configured otherwise"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: the same wish as a header"),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` you have"),
    ),
    responses(
        (status = 200, description = "The ticket; `Retry-After` while it is unfinished", body = TicketBody),
        (status = 304, description = "You have it already"),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn find(
    State(app): State<Arc<App>>,
    caller: Caller,
    TicketPath(id): TicketPath,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Problem> {
    let longest = app.settings.api.max_wait;
    let asked = params.number("wait", 0, longest.as_secs())?.map(Duration::from_secs);
    params.finish()?;
    let wish = if asked.is_none() { prefer::wait(&headers, longest) } else { None };
    let known = Known::read(&headers);
    let until = known.ticket_revision().map_or(Until::Final, Until::MovedFrom);

    let limit = asked.or(wish).unwrap_or_default();
    let ticket = tickets::wait(&caller, &app, id, until, limit).await?;
    let view = view::of(&caller, &app, ticket).await;
    let mut response = if known.has(&ticket_body::tag(&view)) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        ticket_body::dress(&mut response, &view);
        response
    } else {
        ticket_body::respond(StatusCode::OK, &view)
    };
    if let Some(limit) = wish {
        response.headers_mut().insert(prefer::PREFERENCE_APPLIED, prefer::applied(limit));
    }
    Ok(response)
}

/// Cancel a job that has not run.
#[utoipa::path(
    delete,
    path = "/api/v2/tickets/{id}",
    tag = "tickets",
    params(("id" = String, Path, description = "The ticket's id")),
    responses(
        (status = 200, description = "Cancelled, now or before", body = TicketBody),
        (status = 409, description = "It runs or ran: `not_cancellable`",
         body = ProblemBody, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    caller: Caller,
    TicketPath(id): TicketPath,
) -> Result<Response, Problem> {
    let ticket = cancel::cancel(&caller, &app, id).await?;
    let view = view::of(&caller, &app, ticket).await;
    Ok(ticket_body::respond(StatusCode::OK, &view))
}
