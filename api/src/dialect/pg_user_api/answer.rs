//! Results and failures in this dialect's form: one line of JSON, keys sorted, without spaces and in ASCII.

use std::io;

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use rolecall_shared::domain::{Class, Code, Failure, TicketId};
use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::{Value, json};

use crate::dialect::native::problem;
use crate::dialect::refused::whole_seconds;

/// A result.
pub(super) fn done(body: &Value) -> Response {
    with_status(StatusCode::OK, body)
}

fn with_status(status: StatusCode, body: &Value) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, json)], Body::from(line(body))).into_response()
}

/// `serde_json` keeps objects in the order of their keys.
fn line(body: &Value) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    let written = body.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Ascii));
    // Writing a value into memory does not fail.
    debug_assert!(written.is_ok(), "a value is JSON");
    bytes.push(b'\n');
    bytes
}

/// Escapes what is not printable ASCII, as Python does.
struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut units = [0; 2];
        for character in fragment.chars() {
            if matches!(character, ' '..='~') {
                writer.write_all(&[u8::try_from(character).unwrap_or(b'?')])?;
                continue;
            }
            for unit in character.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

/// A failure on its way out.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    body: Value,
    ticket: Option<TicketId>,
    retry_after: Option<u64>,
    allow: Option<HeaderValue>,
}

impl Refusal {
    /// With a text for people; about a ticket, if there is one.
    pub(super) fn new(status: StatusCode, error: impl Into<String>, ticket: Option<TicketId>) -> Self {
        let mut body = json!({ "error": error.into() });
        if let Some(ticket) = ticket {
            body["ticket"] = ticket.to_string().into();
        }
        Self { status, body, ticket, retry_after: None, allow: None }
    }

    /// The target is not in the registry, or not active. Names are shown as they were sent.
    pub(super) fn not_registered(env: &str, database: &str) -> Self {
        let error = format!("No registry entry found for env='{env}' database='{database}'");
        Self::new(StatusCode::NOT_FOUND, error, None)
    }

    pub(super) fn unknown_path() -> Self {
        Self::of_routing(StatusCode::NOT_FOUND, "Endpoint not found")
    }

    /// With the methods that are offered.
    pub(super) fn method_not_allowed(allow: HeaderValue) -> Self {
        let refusal = Self::of_routing(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed");
        Self { allow: Some(allow), ..refusal }
    }

    fn of_routing(status: StatusCode, error: &str) -> Self {
        let mut refusal = Self::new(status, error, None);
        refusal.body["code"] = status.as_u16().into();
        refusal
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        problem::log(&failure);
        let class = failure.code().class();
        // The original has one word for a request that is wrong, and one for a database server that did not do it.
        let status = if class == Class::BadGateway || failure.code() == Code::DefaultLoginNotAllowed {
            StatusCode::INTERNAL_SERVER_ERROR
        } else if class == Class::Invalid {
            StatusCode::BAD_REQUEST
        } else {
            problem::status(class)
        };
        let retries = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
        let delay = failure.retry_delay().filter(|_| retries);
        let refusal = Self::new(status, text(&failure), failure.ticket());
        Self { retry_after: delay.map(whole_seconds), ..refusal }
    }
}

/// What a caller is told. Where the failure may hold words of a server, our own.
fn text(failure: &Failure) -> String {
    let known = [
        (Code::Unauthenticated, "Unauthorized"),
        (Code::TargetUnreachable, "could not connect to server"),
        (Code::TargetLoginRefused, "the server refuses the log-in of this service"),
        (Code::DefaultLoginNotAllowed, "this service has no log-in for the server"),
        (Code::TargetError, "the server could not answer"),
        (Code::PermissionDenied, "the role of this service lacks a right on the server"),
        (Code::DatabaseNotFound, "the database does not exist on the server"),
        (Code::StatementRefused, "the server refuses the statement"),
        (
            Code::OutcomeUnknown,
            "The ticket store failed in the middle: the job may or may not run. Look at its ticket.",
        ),
    ];
    if let Some((_, text)) = known.into_iter().find(|(code, _)| *code == failure.code()) {
        return text.to_owned();
    }
    if failure.code().class() == Class::BadGateway {
        return failure.code().as_str().to_owned();
    }
    let faults: Vec<_> =
        failure.field_faults().iter().map(|fault| format!("{}: {}", fault.field, fault.detail)).collect();
    if faults.is_empty() { failure.detail().to_owned() } else { faults.join("; ") }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = with_status(self.status, &self.body);
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, allow);
        }
        let place = self.ticket.and_then(|id| HeaderValue::try_from(format!("/api/v2/tickets/{id}")).ok());
        if let Some(place) = place {
            headers.insert(LOCATION, place);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(body: &Value) -> String {
        String::from_utf8(line(body)).unwrap()
    }

    #[test]
    fn a_line_is_sorted_compact_and_ascii() {
        let body = json!({ "b": 1, "a": [null, true, "x y"], "é": "\u{1F418}\u{7f}\n\"\\/" });
        assert_eq!(
            text_of(&body),
            "{\"a\":[null,true,\"x y\"],\"b\":1,\"\\u00e9\":\"\\ud83d\\udc18\\u007f\\n\\\"\\\\/\"}\n"
        );
        assert_eq!(serde_json::from_str::<Value>(&text_of(&body)).unwrap(), body);
    }

    #[test]
    fn no_words_of_a_server_go_out() {
        for code in Code::ALL.iter().filter(|code| code.class() == Class::BadGateway) {
            let words = "FATAL: password authentication failed for user \"role_create\"";
            let refusal = Refusal::from(Failure::new(*code, words));
            assert_eq!(refusal.status, 500, "{code:?}");
            assert!(!refusal.body.to_string().contains("role_create"), "{code:?}");
        }
    }

    #[test]
    fn refusals_have_the_form_of_the_original() {
        let of = |refusal: Refusal| (refusal.status.as_u16(), text_of(&refusal.body));
        let unknown = Refusal::from(Failure::new(Code::Unauthenticated, "Credentials are missing or wrong."));
        assert_eq!(of(unknown), (401, "{\"error\":\"Unauthorized\"}\n".to_owned()));
        let unknown = "{\"code\":404,\"error\":\"Endpoint not found\"}\n";
        assert_eq!(of(Refusal::unknown_path()), (404, unknown.to_owned()));
        let ticket = TicketId::derived("a", "b");
        let failure = Failure::field("username", "must not be empty").about(ticket);
        let body = format!("{{\"error\":\"username: must not be empty\",\"ticket\":\"{ticket}\"}}\n");
        assert_eq!(of(failure.into()), (400, body));
    }
}
