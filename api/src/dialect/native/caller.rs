//! Who is calling: asked once per request, before anything of it is read.

use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use rolecall_shared::domain::Failure;

use super::problem::Problem;
use crate::App;
use crate::auth::Caller;
use crate::listen::Peer;

/// Lets nobody in who has not proven who they are.
pub(super) async fn require(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let address = request.extensions().get::<ConnectInfo<Peer>>().and_then(|info| info.0.address);
    // Of two, a proxy in front might have looked at the other one.
    let mut headers = request.headers().get_all(AUTHORIZATION).iter();
    let header = headers.next().filter(|_| headers.next().is_none());
    let caller = app.authenticator.identify(&app.control, header, address).await?;
    tracing::Span::current().record("account", caller.account.as_str());
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
