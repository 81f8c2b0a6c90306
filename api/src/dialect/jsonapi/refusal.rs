//! Failures in this dialect's form: `{"errors":[{"detail":…}]}`.

use std::time::Duration;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use rolecall_shared::domain::{Class, Failure};
use serde_json::json;

use crate::auth::{Caller, Via};
use crate::dialect::native::problem;
use crate::dialect::refused::with_headers;

/// One text for everybody who may not, as the model has it.
const DENIED: &str = "Access denied";

/// A failure on its way out.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    details: Vec<String>,
    retry_after: Option<Duration>,
}

impl Refusal {
    /// What is wrong with a request, as the model answers it.
    pub(super) fn of_request(details: Vec<String>) -> Self {
        Self { status: StatusCode::FORBIDDEN, details, retry_after: None }
    }

    pub(super) fn bad_json(detail: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, details: vec![detail], retry_after: None }
    }

    /// A failure met by a caller we know. Who came with Basic and may not is answered 401, everybody else 403.
    pub(super) fn met_by(caller: &Caller, failure: &Failure) -> Self {
        let mut refusal = Self::from(failure);
        let is_denied = failure.code() == rolecall_shared::domain::Code::Forbidden;
        if is_denied && caller.via == Via::Basic {
            refusal.status = StatusCode::UNAUTHORIZED;
            refusal.details = vec![DENIED.to_owned()];
        }
        refusal
    }
}

impl From<&Failure> for Refusal {
    fn from(failure: &Failure) -> Self {
        problem::log(failure);
        let status = match failure.code().class() {
            Class::Malformed => StatusCode::BAD_REQUEST,
            // A name that is taken, a password that is weak: all one status in the model.
            Class::Invalid | Class::Forbidden | Class::Conflict => StatusCode::FORBIDDEN,
            other @ (Class::Unauthenticated
            | Class::NotFound
            | Class::MethodNotAllowed
            | Class::Gone
            | Class::PreconditionFailed
            | Class::TooLarge
            | Class::UnsupportedMediaType
            | Class::TooMany
            | Class::BadGateway
            | Class::Unavailable
            | Class::Internal) => problem::status(other),
        };
        let faults = failure.field_faults();
        let details = if status == StatusCode::UNAUTHORIZED {
            vec![DENIED.to_owned()]
        } else if faults.is_empty() {
            vec![failure.detail().to_owned()]
        } else {
            faults.iter().map(|fault| format!("{}: {}", fault.field, fault.detail)).collect()
        };
        let retry_after = failure.retry_delay();
        Self { status, details, retry_after }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::from(&failure)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let errors: Vec<_> = self.details.into_iter().map(|detail| json!({ "detail": detail })).collect();
        with_headers((self.status, Json(json!({ "errors": errors }))).into_response(), self.retry_after)
    }
}
