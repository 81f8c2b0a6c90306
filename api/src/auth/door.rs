//! The door that every dialect asks at, once per request and before anything of it is read.

use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{Extensions, HeaderMap};
use axum::middleware::Next;
use axum::response::Response;
use rolecall_shared::domain::Failure;

use super::Caller;
use super::verify::Shown;
use crate::App;
use crate::listen::Peer;

/// Lets nobody in who has not proven who they are; `R` is how the dialect phrases a failure.
pub(crate) async fn require<R: From<Failure>>(
    State(app): State<Arc<App>>,
    mut request: Request,
    next: Next,
) -> Result<Response, R> {
    let caller = enter(&app, request.headers(), request.extensions()).await?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Who is calling, or why nobody is let in.
async fn enter(app: &App, headers: &HeaderMap, connection: &Extensions) -> Result<Caller, Failure> {
    #[cfg(feature = "no-authentication")]
    if let Some(everybody) = super::no_authentication::everybody() {
        return Ok(Caller::new(everybody, None));
    }
    let peer = connection.get::<ConnectInfo<Peer>>().map(|info| &info.0);
    let address = peer.and_then(|peer| peer.address);
    app.rates.of_address(address)?;
    let unix = peer.and_then(|peer| peer.unix.as_ref()).map(|unix| (unix.uid, unix.name.as_deref()));
    let mut headers = headers.get_all(AUTHORIZATION).iter();
    let shown = match (headers.next(), headers.next()) {
        (Some(header), None) => Shown::Header(header),
        // Of two, a proxy in front might have looked at the other one.
        (Some(_), Some(_)) => Shown::Nothing,
        (None, _) => unix.map_or(Shown::Nothing, |(uid, name)| Shown::Unix { uid, name }),
    };
    let caller = app.authenticator.identify(&app.control, &shown, address).await?;
    tracing::Span::current().record("account", caller.account.as_str());
    app.rates.of_account(&caller.account)?;
    Ok(caller)
}
