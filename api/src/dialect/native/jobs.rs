//! `POST /api/v2/jobs`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{ETAG, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use rolecall_shared::domain::{Code, Failure};

use super::body::JsonObject;
use super::job_body::{self, JobBody, KeySource};
use super::prefer;
use super::problem::{Problem, ProblemBody};
use super::ticket_body::{self, TicketBody};
use crate::App;
use crate::app::submission::IdempotencyKey;
use crate::app::submit::{self, Submitted};
use crate::app::tickets::{self, Until};
use crate::app::view;
use crate::auth::Caller;

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Submit a job.
///
/// 202 means that it is kept: the ticket exists and the broker has the job. With an `Idempotency-Key` a retry meets the
/// same ticket. With `Prefer: wait=N` the answer waits for the job to end: 200 if it does in time.
#[utoipa::path(
    post,
    path = "/api/v2/jobs",
    tag = "jobs",
    request_body = JobBody,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait up to N seconds for the end"),
    ),
    responses(
        (status = 202, description = "Kept; `Location` is the ticket", body = TicketBody),
        (status = 200, description = "Ended: waited for, or a retry of a job that has", body = TicketBody),
        (status = "default", description = "Not accepted; `retry` says whether to try again",
         body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn submit(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    JsonObject(map): JsonObject,
) -> Result<Response, Problem> {
    let key = KeySource::Header(idempotency_key(&headers)?);
    let asked = job_body::parse(&map, key, &app.settings)
        .inspect_err(|failure| app.metrics.job_refused(failure.code()))?;
    let Submitted { mut ticket, is_retry } = submit::submit(&caller, &app, asked).await?;

    let wish = prefer::wait(&headers, app.settings.api.max_wait);
    if let Some(limit) = wish.filter(|_| !ticket.state.is_final()) {
        match tickets::wait(&caller, &app, ticket.job.ticket, Until::Final, limit).await {
            Ok(waited) => ticket = waited,
            // The job is kept; that is what has to be said.
            Err(failure) => tracing::debug!(%failure, "the wait for a submitted job was cut short"),
        }
    }
    // A new job is "accepted", also when a lane was faster than this answer: nobody has to expect what was not asked.
    let has_ended = ticket.state.is_final() && (is_retry || wish.is_some());
    let status = if has_ended { StatusCode::OK } else { StatusCode::ACCEPTED };
    let view = view::of(&caller, &app, ticket).await;
    let mut response = ticket_body::respond(status, &view);
    let location = HeaderValue::try_from(ticket_body::href(&view)).map_err(Failure::internal)?;
    response.headers_mut().insert(LOCATION, location);
    // A tag is for reading the ticket again; this answer may be older than what its reading gives.
    response.headers_mut().remove(ETAG);
    if let Some(limit) = wish {
        response.headers_mut().insert(prefer::PREFERENCE_APPLIED, prefer::applied(limit));
    }
    Ok(response)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Failure> {
    let malformed = || {
        Failure::new(
            Code::MalformedRequest,
            "Idempotency-Key must be 1 to 255 visible ASCII characters, once.",
        )
    };
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(malformed());
    }
    let text = value.to_str().map_err(|_| malformed())?;
    IdempotencyKey::parse(text).map(Some).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&[u8]]) -> Result<bool, Code> {
        let header = |value: &&[u8]| (IDEMPOTENCY_KEY, HeaderValue::from_bytes(value).unwrap());
        let headers = values.iter().map(header).collect();
        idempotency_key(&headers).map(|key| key.is_some()).map_err(|failure| failure.code())
    }

    #[test]
    fn one_visible_key_or_none() {
        assert_eq!(read(&[]), Ok(false));
        assert_eq!(read(&[b"deploy-4711"]), Ok(true));
        for values in [&[&b""[..]][..], &[b"a b"], &[b"\xff"], &[b"a", b"b"], &[&[b'k'; 256]]] {
            assert_eq!(read(values), Err(Code::MalformedRequest), "{values:?}");
        }
    }
}
