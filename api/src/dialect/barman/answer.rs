//! Results and failures in this dialect's form.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use rolecall_shared::domain::{Code, Failure};
use serde_json::{Value, json};

use crate::dialect::native::problem;
use crate::dialect::refused::with_headers;

/// A result.
pub(super) fn done(list: &Value) -> Response {
    Json(json!({ "status_code": 200, "message": "", "list": list })).into_response()
}

/// A failure on its way out; `status_code` is the HTTP status.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    kind: &'static str,
    message: String,
    retry_after: Option<Duration>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), retry_after: None }
    }

    /// A parameter that must be there is not.
    pub(super) fn missing(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Parameter Not Found", format!("The parameter {name} is missing."))
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        problem::log(&failure);
        let status = problem::status(failure.code().class());
        let faults = failure.field_faults().iter();
        let faults: Vec<_> = faults.map(|fault| format!("{}: {}", fault.field, fault.detail)).collect();
        // What the original has a word for, and the words of ours for everything else.
        let known = [
            (Code::Unauthenticated, status, "Authorization Error"),
            (Code::AccountExists, StatusCode::FORBIDDEN, "Registered User"),
            (Code::AccountNotFound, StatusCode::FORBIDDEN, "Unregistered User"),
            (Code::Forbidden, StatusCode::FORBIDDEN, "Access deny for this rest"),
            (Code::LastAdmin, StatusCode::FORBIDDEN, "Access deny for this rest"),
            (Code::InvalidRequest, StatusCode::FORBIDDEN, "Some parameters are invalid"),
        ];
        let found = known.into_iter().find(|(code, ..)| *code == failure.code());
        let (_, status, kind) = found.unwrap_or((failure.code(), status, failure.code().as_str()));
        let message = if faults.is_empty() { failure.detail().to_owned() } else { faults.join("; ") };
        let retry_after = failure.retry_delay();
        Self { status, kind, message, retry_after }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "status_code": self.status.as_u16(), "type": self.kind, "message": self.message });
        with_headers((self.status, Json(body)).into_response(), self.retry_after)
    }
}
