//! The routes of `/v1/users`.

use std::sync::Arc;

use axum::extract::{FromRequest, Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use rolecall_shared::domain::{AccountType, Code, Failure};
use serde_json::Value;

use super::document::{self, Base};
use super::refusal::Refusal;
use crate::App;
use crate::app::accounts;
use crate::auth::{Caller, door};
use crate::dialect::native::body::read_bytes;
use crate::dialect::table::Table;

/// Every route of this dialect; all of them ask who is calling.
pub(crate) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    table()
        .into_router()
        .method_not_allowed_fallback(method_not_allowed)
        .route_layer(from_fn_with_state(Arc::clone(app), door::require::<Refusal>))
}

/// The same without the question, as a list.
pub(crate) fn table() -> Table {
    Table::default()
        .with(Method::GET, "/v1/users", list_all)
        .with(Method::GET, "/v1/users/", list_all)
        .with(Method::GET, "/v1/users/inet", list_inet)
        .with(Method::POST, "/v1/users/inet", add_inet)
        .with(Method::GET, "/v1/users/inet/{name}", find_inet)
        .with(Method::PATCH, "/v1/users/inet/{name}", change_inet)
        .with(Method::DELETE, "/v1/users/inet/{name}", remove_inet)
        .with(Method::GET, "/v1/users/unix", list_unix)
        .with(Method::POST, "/v1/users/unix", add_unix)
        .with(Method::GET, "/v1/users/unix/{name}", find_unix)
        .with(Method::PATCH, "/v1/users/unix/{name}", change_unix)
        .with(Method::DELETE, "/v1/users/unix/{name}", remove_unix)
}

async fn method_not_allowed() -> Refusal {
    Failure::new(Code::MethodNotAllowed, "This path does not offer this method; see Allow.").into()
}

/// A body that is JSON, whatever its type says: the model does not look at that.
struct Document(Value);

impl FromRequest<Arc<App>> for Document {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Refusal> {
        let bytes = read_bytes(request, app.settings.api.max_body_bytes).await?;
        if bytes.is_empty() {
            return Err(Refusal::of_request(vec!["Missing request body".to_owned()]));
        }
        let read = serde_json::from_slice(&bytes);
        read.map(Self).map_err(|error| Refusal::bad_json(format!("Invalid JSON in request: {error}")))
    }
}

async fn list(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    (path, kind_of_login): (&str, Option<AccountType>),
) -> Result<Json<Value>, Refusal> {
    let accounts = accounts::list(caller, app, kind_of_login).await;
    let accounts = accounts.map_err(|failure| Refusal::met_by(caller, &failure))?;
    Ok(Json(document::many(&Base::of(headers), path, &accounts)))
}

async fn find(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    (kind_of_login, name): (AccountType, &str),
) -> Result<Json<Value>, Refusal> {
    let account = accounts::find(caller, app, Some(kind_of_login), name).await;
    let account = account.map_err(|failure| Refusal::met_by(caller, &failure))?;
    Ok(Json(document::one(&Base::of(headers), &account)))
}

async fn add(
    app: &App,
    caller: &Caller,
    kind_of_login: AccountType,
    body: &Value,
) -> Result<Response, Refusal> {
    let met = |failure: Failure| Refusal::met_by(caller, &failure);
    // Whoever may not is told so, and not what is wrong with his request.
    accounts::may_write(caller, app).map_err(met)?;
    let asked = document::new_account(kind_of_login, body)?;
    accounts::add(caller, app, asked).await.map_err(met)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn change(
    app: &App,
    caller: &Caller,
    (kind_of_login, name): (AccountType, &str),
    body: &Value,
) -> Result<Response, Refusal> {
    let met = |failure: Failure| Refusal::met_by(caller, &failure);
    if name != caller.account {
        accounts::may_write(caller, app).map_err(met)?;
    }
    let asked = document::change(kind_of_login, name, body)?;
    accounts::change(caller, app, Some(kind_of_login), name, asked).await.map_err(met)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn remove(
    app: &App,
    caller: &Caller,
    (kind_of_login, name): (AccountType, &str),
) -> Result<Response, Refusal> {
    let removed = accounts::remove(caller, app, Some(kind_of_login), name).await;
    removed.map_err(|failure| Refusal::met_by(caller, &failure))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn list_all(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    list(&app, &caller, &headers, ("/v1/users/", None)).await
}

macro_rules! of_type {
    ($type:ident, $path:literal: $list:ident, $find:ident, $add:ident, $change:ident, $remove:ident) => {
        async fn $list(
            State(app): State<Arc<App>>,
            caller: Caller,
            headers: HeaderMap,
        ) -> Result<Json<Value>, Refusal> {
            list(&app, &caller, &headers, ($path, Some(AccountType::$type))).await
        }

        async fn $find(
            State(app): State<Arc<App>>,
            caller: Caller,
            Path(name): Path<String>,
            headers: HeaderMap,
        ) -> Result<Json<Value>, Refusal> {
            find(&app, &caller, &headers, (AccountType::$type, &name)).await
        }

        async fn $add(
            State(app): State<Arc<App>>,
            caller: Caller,
            Document(body): Document,
        ) -> Result<Response, Refusal> {
            add(&app, &caller, AccountType::$type, &body).await
        }

        async fn $change(
            State(app): State<Arc<App>>,
            caller: Caller,
            Path(name): Path<String>,
            Document(body): Document,
        ) -> Result<Response, Refusal> {
            change(&app, &caller, (AccountType::$type, &name), &body).await
        }

        async fn $remove(
            State(app): State<Arc<App>>,
            caller: Caller,
            Path(name): Path<String>,
        ) -> Result<Response, Refusal> {
            remove(&app, &caller, (AccountType::$type, &name)).await
        }
    };
}

of_type!(Inet, "/v1/users/inet": list_inet, find_inet, add_inet, change_inet, remove_inet);
of_type!(Unix, "/v1/users/unix": list_unix, find_unix, add_unix, change_unix, remove_unix);
