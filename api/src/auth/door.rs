//! The door that every dialect asks at, once per request and before anything of it is read.

use axum::extract::ConnectInfo;
use axum::http::header::AUTHORIZATION;
use axum::http::{Extensions, HeaderMap};
use rolecall_shared::domain::Failure;

use super::Caller;
use super::verify::Shown;
use crate::App;
use crate::listen::Peer;

/// Who is calling, or why nobody is let in.
pub(crate) async fn enter(
    app: &App,
    headers: &HeaderMap,
    connection: &Extensions,
) -> Result<Caller, Failure> {
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
