//! What refusals say in their headers, whatever the form of their bodies.

use std::time::Duration;

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

/// RFC 7617, without the `charset` of the native API: the clients of these forms are older than it.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"rolecall\"");

/// Whole seconds, upwards: a shorter wait would be refused again.
pub(super) fn whole_seconds(delay: Duration) -> u64 {
    (delay.as_secs() + u64::from(delay.subsec_nanos() > 0)).max(1)
}

/// Adds the challenge to a 401, and `Retry-After` where a new try makes sense.
pub(super) fn with_headers(mut response: Response, retry_after: Option<Duration>) -> Response {
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
    }
    if let Some(delay) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, whole_seconds(delay).into());
    }
    response
}
