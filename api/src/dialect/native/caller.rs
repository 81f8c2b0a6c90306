//! Who is calling, for a route behind the door.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use rolecall_shared::domain::Failure;

use super::problem::Problem;
use crate::auth::Caller;

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Failure::internal("a route without `require` asks for its caller").into())
    }
}
