//! What every request passes through: its id, its span, a net under panics, headers.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use rolecall_shared::domain::Failure;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::trace::TraceLayer;
use tracing::{Span, field};

use crate::App;
use crate::dialect::native::problem::Problem;
use crate::listen::Peer;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Everything on one page. The last one added is the first a request meets.
pub(crate) fn around(router: Router, app: &Arc<App>) -> Router {
    let always = |name: HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    let trace =
        TraceLayer::new_for_http().make_span_with(span).on_request(()).on_response(done).on_failure(());
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(app), count))
        .layer(always(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(always(X_FRAME_OPTIONS, "DENY"))
        .layer(always(REFERRER_POLICY, "no-referrer"))
        // The docs page has no inline script and loads nothing from elsewhere; it styles inline.
        .layer(always(
            CONTENT_SECURITY_POLICY,
            "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
        ))
        .layer(always(CACHE_CONTROL, "no-store"))
        .layer(from_fn(insist_on_tls))
        .layer(trace)
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(from_fn(keep_plain_ids_only))
        .layer(SetSensitiveRequestHeadersLayer::new([AUTHORIZATION]))
}

/// RFC 6797, section 7.2: said over TLS only. Once a browser has heard it, it asks for this host over TLS for a year.
async fn insist_on_tls(request: Request, next: Next) -> Response {
    let is_encrypted = request.extensions().get::<ConnectInfo<Peer>>().is_some_and(|info| info.0.encrypted);
    let mut response = next.run(request).await;
    if is_encrypted {
        let year = HeaderValue::from_static("max-age=31536000");
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

/// A caller's own request id is kept if it is short and plain: it goes into every line of the log.
async fn keep_plain_ids_only(mut request: Request, next: Next) -> Response {
    if !is_plain_id(request.headers()) {
        request.headers_mut().remove(REQUEST_ID);
    }
    next.run(request).await
}

fn is_plain_id(headers: &HeaderMap) -> bool {
    let mut ids = headers.get_all(REQUEST_ID).iter();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let first =
        ids.next().is_some_and(|id| (1..=64).contains(&id.len()) && id.as_bytes().iter().all(|b| plain(*b)));
    first && ids.next().is_none()
}

/// Path and method, no query and no header: a query may hold what somebody meant to send elsewhere.
fn span(request: &Request) -> Span {
    let id = request.extensions().get::<RequestId>().and_then(|id| id.header_value().to_str().ok());
    let path: String = request.uri().path().chars().take(256).collect();
    tracing::info_span!(
        "request",
        request_id = id.unwrap_or_default(),
        method = %request.method(),
        path,
        account = field::Empty,
    )
}

fn done(response: &Response, latency: Duration, _span: &Span) {
    tracing::info!(status = response.status().as_u16(), ms = latency.as_millis(), "answered");
}

async fn count(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().as_str().to_owned();
    // The pattern, not the path: the number of label values must not grow with what callers send.
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let response = next.run(request).await;
    app.metrics.request(
        route.as_deref().unwrap_or("none"),
        &method,
        response.status().as_u16(),
        start.elapsed(),
    );
    response
}

/// What was thrown may hold anything; the panic hook has told the place.
fn panicked(_payload: Box<dyn Any + Send>) -> Response {
    Problem(Failure::internal("a handler panicked")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_for_the_log_are_short_and_plain() {
        let of = |ids: &[&'static str]| {
            is_plain_id(&ids.iter().map(|id| (REQUEST_ID, HeaderValue::from_static(id))).collect())
        };
        assert!(of(&["7d444840-9dc0-11d1-b245-5ffdce74fad2"]) && of(&["a.b_c"]));
        for ids in [&[][..], &[""], &["a b"], &["a\"b"], &["a", "b"]] {
            assert!(!of(ids), "{ids:?}");
        }
        let long = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::try_from("a".repeat(65)).unwrap())]);
        assert!(!is_plain_id(&long));
    }
}
