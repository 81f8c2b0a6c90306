//! The door that every dialect asks at, once per request and before anything of it is read.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::http::header::AUTHORIZATION;
use axum::http::{Extensions, HeaderMap};
use rolecall_shared::domain::Failure;

use super::Caller;
use super::verify::Asked;
use crate::App;

/// Who is calling, or why nobody is let in.
pub(crate) async fn enter(
    app: &App,
    headers: &HeaderMap,
    connection: &Extensions,
) -> Result<Caller, Failure> {
    let address = connection.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
    app.rates.of_address(address)?;
    // Of two, a proxy in front might have looked at the other one.
    let mut headers = headers.get_all(AUTHORIZATION).iter();
    let header = headers.next().filter(|_| headers.next().is_none());
    let caller = app.authenticator.identify(&app.control, &Asked { header, address, unix: None }).await?;
    tracing::Span::current().record("account", caller.account.as_str());
    app.rates.of_account(&caller.account)?;
    Ok(caller)
}
