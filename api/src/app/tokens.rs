//! API tokens and sessions.

use jiff::Timestamp;
use rolecall_shared::control::ApiToken;
use rolecall_shared::domain::{Code, Event, EventName, Failure, MAX_PATTERNS, Need, Pattern, Permission};
use rolecall_shared::seal::ApiTokenText;
use serde_json::json;
use uuid::Uuid;

use super::App;
use crate::auth::{Caller, Opened, Via};

/// An API token as a caller wants it.
pub(crate) struct AskedToken {
    pub(crate) name: String,
    /// What it is limited to; none: to nothing but what the caller may do.
    pub(crate) scope: Option<Vec<Pattern>>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// Makes a token of the caller's account; the text is shown this once.
pub(crate) async fn add(
    caller: &Caller,
    app: &App,
    asked: AskedToken,
) -> Result<(ApiToken, ApiTokenText), Failure> {
    let now = app.clock.now();
    if app.authenticator.is_bootstrap(&caller.account) {
        let detail =
            "The account of the configuration has no API tokens; make an account for who shall have one.";
        return Err(Failure::new(Code::InvalidRequest, detail));
    }
    if let Some(end) = asked.expires_at.filter(|end| *end <= now) {
        return Err(Failure::field("expires_at", format!("{end} is past")));
    }
    let scope = scope(caller, app, asked.scope).await?;
    let (id, text) = (Uuid::now_v7(), ApiTokenText::generate());
    let token = ApiToken {
        id,
        account: caller.account.clone(),
        name: asked.name,
        scope,
        created_at: now,
        expires_at: asked.expires_at,
        last_used_at: None,
        revoked_at: None,
    };
    app.control.add_api_token(&token, &text.hash(), &caller.actor()).await?;
    Ok((token, text))
}

/// No wider than what the caller may do now. One who is limited himself hands on his limits where he states none.
async fn scope(
    caller: &Caller,
    app: &App,
    asked: Option<Vec<Pattern>>,
) -> Result<Option<Vec<Pattern>>, Failure> {
    let Some(scope) = asked else {
        let Via::ApiToken(own) = caller.via else { return Ok(None) };
        let tokens = app.control.list_api_tokens(Some(&caller.account), None, usize::MAX).await?;
        return Ok(tokens.into_iter().find(|token| token.id == own).and_then(|token| token.scope));
    };
    if !(1..=MAX_PATTERNS).contains(&scope.len()) {
        return Err(Failure::field("scope", format!("must have 1 to {MAX_PATTERNS} patterns")));
    }
    match scope.iter().find(|pattern| !caller.rights.may_give(pattern)) {
        Some(pattern) => Err(app.refuse(caller, &format!("an API token for {pattern}"))),
        None => Ok(Some(scope)),
    }
}

/// The caller's tokens; or those of an account, or of all accounts, for who may see accounts.
pub(crate) async fn list(
    caller: &Caller,
    app: &App,
    of: Option<&str>,
    after: Option<Uuid>,
    limit: usize,
) -> Result<Vec<ApiToken>, Failure> {
    let account = match of {
        Some("*") => None,
        Some(name) => Some(name),
        None => Some(caller.account.as_str()),
    };
    if account != Some(caller.account.as_str()) {
        app.allow(caller, &Need::everywhere(Permission::Accounts))?;
    }
    app.control.list_api_tokens(account, after, limit).await
}

/// Revokes a token of the caller's, or anybody's for who may change accounts; again for one that is revoked.
pub(crate) async fn revoke(caller: &Caller, app: &App, id: Uuid) -> Result<ApiToken, Failure> {
    let may_all = caller.rights.allow(&Need::everywhere(Permission::Accounts));
    let account = (!may_all).then_some(caller.account.as_str());
    let revoked = app.control.revoke_api_token(id, account, &caller.actor(), app.clock.now()).await;
    app.authenticator.forget();
    revoked
}

/// Opens a session for a caller who comes with his password.
pub(crate) async fn open_session(caller: &Caller, app: &App) -> Result<Opened, Failure> {
    if caller.via != Via::Basic {
        let detail = "A session is opened with a password (HTTP Basic), or with an identity token.";
        return Err(Failure::new(Code::Forbidden, detail));
    }
    let whose = (caller.account.as_str(), caller.owner.as_str(), "basic");
    let opened = app.authenticator.open_session(&app.control, whose).await?;
    let detail = json!({ "session": opened.id, "expires_at": opened.expires_at, "opened_by": "basic" });
    let event = Event { detail, ..Event::new(EventName::SessionOpened, app.clock.now(), caller.actor()) };
    app.control.record(&event).await?;
    Ok(opened)
}

/// Ends a session: the one the caller came with, or any for who may change accounts.
pub(crate) async fn end_session(caller: &Caller, app: &App, id: Option<Uuid>) -> Result<(), Failure> {
    let now = app.clock.now();
    let (id, expires_at) = match (&caller.via, id) {
        (Via::Session { id: own, expires_at, .. }, asked) if asked.is_none_or(|asked| asked == *own) => {
            (*own, *expires_at)
        }
        (_, Some(id)) => {
            app.allow(caller, &Need::everywhere(Permission::Accounts))?;
            // It may have been opened just now.
            let longest = app.settings.auth.session;
            (id, now.saturating_add(longest).unwrap_or(Timestamp::MAX))
        }
        (_, None) => {
            return Err(Failure::new(Code::InvalidRequest, "You did not come with a session; name one."));
        }
    };
    let ended = app.control.revoke_session(id, expires_at, &caller.actor(), now).await;
    app.authenticator.forget();
    ended
}
