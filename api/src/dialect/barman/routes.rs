//! The calls.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use rolecall_shared::control::Account;
use rolecall_shared::domain::{AccountKind, AccountType, Code, Failure, Grants, Pattern};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::answer::{Refusal, done};
use super::history;
use super::parameters::Parameters;
use crate::App;
use crate::app::accounts::{self, AskedAccount, AskedChange};
use crate::app::tokens;
use crate::auth::{Caller, door};
use crate::dialect::table::Table;

const FIELDS: [&str; 4] = ["username", "password", "access", "deny"];

/// Every call of this dialect; all of them ask who is calling.
pub(crate) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    table()
        .into_router()
        .method_not_allowed_fallback(method_not_allowed)
        .route_layer(from_fn_with_state(Arc::clone(app), door::require::<Refusal>))
        .route_layer(from_fn(no_token_in_address))
}

/// The same without the question, as a list.
pub(crate) fn table() -> Table {
    Table::default()
        .with(Method::GET, "/auth/token", token)
        .with(Method::POST, "/auth/token", token)
        .with(Method::GET, "/auth/user", own)
        .with(Method::GET, "/auth/user/list", list)
        .with(Method::GET, "/auth/user/add", add)
        .with(Method::POST, "/auth/user/add", add)
        .with(Method::GET, "/auth/user/change", change)
        .with(Method::POST, "/auth/user/change", change)
        .with(Method::GET, "/history/list", history::list)
        .with(Method::GET, "/history/result", history::result)
}

/// The original takes its token from the address, where every log on the way keeps it. Nobody looks at it here: whoever sends
/// one is told how.
async fn no_token_in_address(request: Request, next: Next) -> Result<Response, Refusal> {
    let query = request.uri().query().unwrap_or_default();
    if form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "token") {
        let detail = "A token in an address ends up in logs and is not read: send it as a header, Authorization: Barman TOKEN.";
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "Invalid Client Token", detail));
    }
    Ok(next.run(request).await)
}

async fn method_not_allowed() -> Refusal {
    Failure::new(Code::MethodNotAllowed, "This call does not offer this method; see Allow.").into()
}

async fn token(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Refusal> {
    let opened = tokens::open_session(&caller, &app).await?;
    Ok(Json(json!({ "token": opened.token.as_str() })).into_response())
}

async fn own(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Refusal> {
    // The account of the configuration stands in no table and may do everything.
    if app.authenticator.is_bootstrap(&caller.account) {
        return Ok(done(&shown(&caller.account, &everything())));
    }
    let account = accounts::find(&caller, &app, None, &caller.account).await?;
    Ok(done(&of_account(&account)))
}

async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Refusal> {
    let accounts = accounts::list(&caller, &app, None).await?;
    let accounts: Vec<_> = accounts.iter().map(of_account).collect();
    Ok(done(&json!(accounts)))
}

async fn add(
    State(app): State<Arc<App>>,
    caller: Caller,
    method: Method,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    may_write(&app, &method)?;
    accounts::may_write(&caller, &app)?;
    parameters.only(&FIELDS)?;
    let name = parameters.required("username")?;
    let asked = AskedAccount {
        name: name.to_owned(),
        password: Some(SecretString::from(parameters.required("password")?)),
        kind: AccountKind::Basic,
        access: parameters.patterns("access")?.unwrap_or_default(),
        deny: parameters.patterns("deny")?.unwrap_or_default(),
        expires_at: None,
    };
    let grants = Grants { access: asked.access.clone(), deny: asked.deny.clone() };
    accounts::add(&caller, &app, asked).await?;
    Ok(done(&shown(name, &grants)))
}

async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    method: Method,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    may_write(&app, &method)?;
    parameters.only(&FIELDS)?;
    let name = parameters.required("username")?;
    if name != caller.account {
        accounts::may_write(&caller, &app)?;
    }
    let asked = AskedChange {
        password: parameters.text("password").map(SecretString::from),
        access: parameters.patterns("access")?,
        deny: parameters.patterns("deny")?,
        ..AskedChange::default()
    };
    let account = accounts::change(&caller, &app, Some(AccountType::Inet), name, asked).await?;
    Ok(done(&of_account(&account)))
}

/// A GET that changes something is repeated by whatever fetches addresses, and its password is in every log on the way.
fn may_write(app: &App, method: &Method) -> Result<(), Refusal> {
    if method == Method::POST || (method == Method::GET && app.settings.legacy.get_writes) {
        return Ok(());
    }
    let detail = "Send it as POST, the parameters as a form in the body (or set legacy.get_writes).";
    Err(Failure::new(Code::MethodNotAllowed, detail).into())
}

fn of_account(account: &Account) -> Value {
    match account.kind {
        AccountKind::Basic => shown(&account.name, &account.grants),
        AccountKind::Admin => shown(&account.name, &everything()),
    }
}

fn everything() -> Grants {
    Grants { access: vec![Pattern::everything()], deny: Vec::new() }
}

fn shown(name: &str, grants: &Grants) -> Value {
    json!({ "username": name, "access": grants.access, "deny": grants.deny })
}
