//! An identity token of a CI system for a session.

use std::net::IpAddr;

use rolecall_shared::domain::{Actor, Code, Event, EventName, Failure};
use serde_json::json;

use super::App;
use crate::auth::Opened;
use crate::auth::oidc::{Identity, Reason, Refusal};

/// Opens a session for the account that a binding gives the bearer of this token. It opens no other one.
///
/// [`Code::IdentityTokenRefused`] with the reason, [`Code::IdentityTokenUsed`], or [`Code::IdentityKeysUnavailable`].
pub(crate) async fn exchange(app: &App, token: &str, address: Option<IpAddr>) -> Result<Opened, Failure> {
    app.authenticator.begin(None, address, "oidc")?;
    let refused = |refusal: &Refusal| {
        app.authenticator.refuse(None, address, ("oidc", refusal.reason.as_str()));
        failure(refusal)
    };
    let identity = app.oidc.identify(token).await.map_err(|refusal| refused(&refusal))?;
    let via = format!("oidc {}", identity.issuer);
    let whose = (identity.account.as_str(), identity.owner.as_str(), via.as_str());
    let opened = match app.authenticator.open_session(&app.control, whose).await {
        Err(failure) if failure.code() == Code::Unauthenticated => {
            app.authenticator.refuse(Some(&identity.account), address, (&via, "closed"));
            let detail = "The account of this token's binding does not exist, or it is closed.";
            let context = json!({ "reason": "account_closed" });
            return Err(Failure::new(Code::IdentityTokenRefused, detail).with_context(context));
        }
        opened => opened?,
    };
    let issuer = identity.issuer.clone();
    let once = (issuer.as_str(), identity.jti.as_str(), identity.remember_until);
    let event = event(app, &identity, &opened, (&via, address));
    app.control.open_session_once(once, &event).await.inspect_err(|failure| {
        if failure.code() == Code::IdentityTokenUsed {
            app.authenticator.refuse(Some(&identity.account), address, (&via, "used"));
        }
    })?;
    Ok(opened)
}

fn event(app: &App, identity: &Identity, opened: &Opened, (via, address): (&str, Option<IpAddr>)) -> Event {
    let actor = Actor {
        account: identity.account.clone(),
        owner: identity.owner.clone(),
        address: address.map(|address| address.to_string()),
        via: Some(via.to_owned()),
    };
    let detail = json!({
        "session": opened.id, "expires_at": opened.expires_at, "opened_by": via,
        "binding": identity.binding, "subject": identity.subject, "claims": identity.bound,
    });
    Event { detail, ..Event::new(EventName::SessionOpened, app.clock.now(), actor) }
}

fn failure(refusal: &Refusal) -> Failure {
    let code = if refusal.reason == Reason::KeysUnavailable {
        Code::IdentityKeysUnavailable
    } else {
        Code::IdentityTokenRefused
    };
    let context = json!({ "reason": refusal.reason.as_str() });
    Failure::new(code, refusal.detail.clone()).with_context(context)
}
