//! Failures as RFC 9457 problem details: the one place that maps a class to a status and logs a cause.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use rolecall_shared::domain::{Class, Code, Failure};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::dialect::refused::whole_seconds;

/// RFC 7617: the charset tells a browser to send UTF-8.
const CHALLENGE: HeaderValue = HeaderValue::from_static(r#"Basic realm="rolecall", charset="UTF-8""#);

/// RFC 6750: API tokens and sessions.
const BEARER: HeaderValue = HeaderValue::from_static(r#"Bearer realm="rolecall""#);

/// A failure on its way out. Making a response of it logs the internal cause, once.
#[derive(Debug)]
pub(crate) struct Problem(pub(crate) Failure);

/// Problem details (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// `urn:rolecall:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(example = "urn:rolecall:problem:target_not_found")]
    kind: String,
    /// The code in words; the same for every problem of this code.
    #[schema(example = "Target not found")]
    title: String,
    /// The HTTP status.
    #[schema(example = 404)]
    status: u16,
    /// What is wrong with this request, for people.
    detail: String,
    /// The stable code, for programs.
    #[schema(value_type = ProblemCode, example = "target_not_found")]
    code: &'static str,
    /// Each field that breaks a rule.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
    /// The ticket it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<String>,
    /// Whether the same request may succeed later without being changed; `Retry-After` says when.
    retry: bool,
    /// Facts of this code, such as `host` or `taken_at`.
    #[serde(flatten)]
    #[schema(ignore)]
    context: Map<String, Value>,
}

/// Every stable code, for the document: programs are to act on these and on nothing else of a problem.
pub(crate) struct ProblemCode;

impl PartialSchema for ProblemCode {
    fn schema() -> RefOr<Schema> {
        let codes = Code::ALL.iter().map(|code| code.as_str());
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes)).into()
    }
}

impl ToSchema for ProblemCode {}

/// A field and what is wrong with it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// The field's name as it stands in the request.
    field: String,
    /// What is wrong and what to do.
    detail: String,
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

/// The status of each class. Total: a new class has to be given one.
pub(crate) fn status(class: Class) -> StatusCode {
    match class {
        Class::Malformed => StatusCode::BAD_REQUEST,
        Class::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Class::Unauthenticated => StatusCode::UNAUTHORIZED,
        Class::Forbidden => StatusCode::FORBIDDEN,
        Class::NotFound => StatusCode::NOT_FOUND,
        Class::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Class::Conflict => StatusCode::CONFLICT,
        Class::Gone => StatusCode::GONE,
        Class::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Class::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Class::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Class::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Class::BadGateway => StatusCode::BAD_GATEWAY,
        Class::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Class::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The code in words: `target_not_found` is `Target not found`.
fn title(code: Code) -> String {
    let mut words = code.as_str().replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// The body of a failure, whatever carries it (a response, an item of a batch, an event).
pub(super) fn body(failure: &Failure) -> ProblemBody {
    let code = failure.code();
    let errors = failure.field_faults().iter();
    ProblemBody {
        kind: format!("urn:rolecall:problem:{}", code.as_str()),
        title: title(code),
        status: status(code.class()).as_u16(),
        detail: failure.detail().to_owned(),
        code: code.as_str(),
        errors: errors.map(|e| FieldError { field: e.field.clone(), detail: e.detail.clone() }).collect(),
        ticket: failure.ticket().map(|ticket| ticket.to_string()),
        retry: failure.retry_delay().is_some(),
        context: failure.context().and_then(Value::as_object).cloned().unwrap_or_default(),
    }
}

/// Logs what the caller is not told. The span of the request carries its id.
pub(crate) fn log(failure: &Failure) {
    let Some(cause) = failure.cause_chain() else { return };
    let (code, ticket) = (failure.code().as_str(), failure.ticket().map(tracing::field::display));
    match failure.code().class() {
        Class::Internal => tracing::error!(code, ticket, cause, "a fault of ours"),
        Class::Unavailable | Class::BadGateway => tracing::warn!(code, ticket, cause, "a server is away"),
        Class::Malformed
        | Class::Invalid
        | Class::Unauthenticated
        | Class::Forbidden
        | Class::NotFound
        | Class::MethodNotAllowed
        | Class::Conflict
        | Class::Gone
        | Class::PreconditionFailed
        | Class::TooLarge
        | Class::UnsupportedMediaType
        | Class::TooMany => tracing::info!(code, ticket, cause, "refused"),
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self(failure) = self;
        log(&failure);
        let class = failure.code().class();
        let mut response = (status(class), axum::Json(body(&failure))).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if class == Class::Unauthenticated {
            headers.insert(WWW_AUTHENTICATE, CHALLENGE);
            headers.append(WWW_AUTHENTICATE, BEARER);
        }
        if let Some(delay) = failure.retry_delay() {
            headers.insert(RETRY_AFTER, whole_seconds(delay).into());
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rolecall_shared::domain::{FieldFault, TicketId};

    use super::*;

    fn json(failure: &Failure) -> Value {
        serde_json::to_value(body(failure)).unwrap()
    }

    #[test]
    fn every_code_has_a_status_of_an_error_and_a_title() {
        for code in Code::ALL {
            let status = status(code.class());
            assert!(status.is_client_error() || status.is_server_error(), "{code:?}");
            assert!(title(*code).starts_with(|c: char| c.is_ascii_uppercase()), "{code:?}");
            assert_eq!(json(&Failure::new(*code, ""))["code"], code.as_str());
        }
    }

    #[test]
    fn a_problem_says_what_rfc_9457_and_we_promise() {
        let ticket = TicketId::derived("a", "b");
        let failure =
            Failure::fields(vec![FieldFault { field: "port".into(), detail: "is required".into() }])
                .about(ticket)
                .with_context(serde_json::json!({ "host": "db1:5432" }))
                .caused_by(std::io::Error::other("the cause"));
        assert_eq!(
            json(&failure),
            serde_json::json!({
                "type": "urn:rolecall:problem:invalid_request",
                "title": "Invalid request",
                "status": 422,
                "detail": failure.detail(),
                "code": "invalid_request",
                "errors": [{ "field": "port", "detail": "is required" }],
                "ticket": ticket.to_string(),
                "retry": false,
                "host": "db1:5432",
            })
        );
    }

    #[test]
    fn headers_go_with_the_class() {
        let response = Problem(Failure::new(Code::Unauthenticated, "")).into_response();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()[WWW_AUTHENTICATE], CHALLENGE);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert!(!response.headers().contains_key(RETRY_AFTER));

        let failure = Failure::new(Code::HostBacklogFull, "").retry_after(Duration::from_millis(1500));
        let response = Problem(failure).into_response();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        let not_yet = Failure::new(Code::NotFinished, "").retry_after(Duration::from_secs(1));
        assert_eq!(json(&not_yet)["retry"], true);
        assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
    }
}
