//! Who is calling: asked once per request, before anything of it is read.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use rolecall_shared::domain::Failure;

use super::problem::Problem;
use crate::App;
use crate::auth::{Caller, door};

/// Lets nobody in who has not proven who they are.
pub(super) async fn require(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let caller = door::enter(&app, request.headers(), request.extensions()).await?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Failure::internal("a route without `require` asks for its caller").into())
    }
}
