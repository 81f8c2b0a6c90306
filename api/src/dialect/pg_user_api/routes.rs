//! Every call and its methods.
//!
//! Which methods a path offers is decided before anybody is asked who he is, as in the original. Unlike there HEAD is
//! refused where a GET changes something: whoever fetches a head means to change nothing.

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::ALLOW;
use axum::http::{HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};

use super::answer::Refusal;
use super::parameters::Parameters;
use super::{changing, reading};
use crate::App;
use crate::auth::{Caller, door};
use crate::dialect::table::Table;

/// The creates, and the kind of each.
const CREATES: [(&str, &str); 6] = [
    ("/api/v1/users/app", "app"),
    ("/api/v1/users/app-k8s", "app-k8s"),
    ("/api/v1/users/devqa", "devqa"),
    ("/api/v1/users/devlead", "devlead"),
    ("/api/v1/users/readonly", "readonly"),
    ("/api/v1/users/dba", "dba"),
];
const RESET: &str = "/api/v1/users/reset";
const SEARCH_PATH: &str = "/api/v1/users/search-path";

/// Every call of this dialect. All but `/` ask who is calling.
pub(crate) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let table = if app.settings.legacy.post { changes(table(), &Method::POST) } else { table() };
    table
        .into_router()
        .route_layer(from_fn_with_state(Arc::clone(app), door::require::<Refusal>))
        .route("/", get(reading::home))
        .route_layer(from_fn_with_state(Arc::clone(app), no_head_of_a_change))
        // Behind the layers, so that nobody is asked who he is.
        .method_not_allowed_fallback(not_offered)
        .route("/api/v1", any(unknown))
        .route("/api/v1/", any(unknown))
        .route("/api/v1/{*rest}", any(unknown))
}

/// The calls that ask, without the question, as a list.
pub(crate) fn table() -> Table {
    let reads = Table::default()
        .with(Method::GET, "/api/v1/registry", reading::registry)
        .with(Method::GET, "/api/v1/users/all", reading::all)
        .with(Method::GET, "/api/v1/users/find", reading::find);
    changes(reads, &Method::GET)
}

fn changes(table: Table, method: &Method) -> Table {
    let create = |kind: &'static str| {
        move |State(app): State<Arc<App>>, caller: Caller, asked: Parameters| {
            changing::create(app, caller, asked, kind)
        }
    };
    let reset =
        |State(app): State<Arc<App>>, caller: Caller, asked: Parameters| changing::reset(app, caller, asked);
    let search_path = |State(app): State<Arc<App>>, caller: Caller, asked: Parameters| {
        changing::search_path(app, caller, asked)
    };
    CREATES
        .into_iter()
        .fold(table, |table, (path, kind)| table.with(method.clone(), path, create(kind)))
        .with(method.clone(), RESET, reset)
        .with(method.clone(), SEARCH_PATH, search_path)
}

fn changes_something(path: &str) -> bool {
    path == RESET || path == SEARCH_PATH || CREATES.iter().any(|(create, _)| *create == path)
}

/// What a path offers. A HEAD is a GET to the router, which leaves out the body afterwards.
fn allowed(app: &App, path: &MatchedPath) -> &'static str {
    match (changes_something(path.as_str()), app.settings.legacy.post) {
        (false, _) => "GET, HEAD, OPTIONS",
        (true, false) => "GET, OPTIONS",
        (true, true) => "GET, OPTIONS, POST",
    }
}

async fn no_head_of_a_change(
    State(app): State<Arc<App>>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    if *request.method() == Method::HEAD && changes_something(path.as_str()) {
        return not_offered(State(app), path, Method::HEAD).await;
    }
    next.run(request).await
}

/// Tells what is offered: who asks for it by OPTIONS, and who wants something else.
async fn not_offered(State(app): State<Arc<App>>, path: MatchedPath, method: Method) -> Response {
    let allow = HeaderValue::from_static(allowed(&app, &path));
    if method == Method::OPTIONS {
        return [(ALLOW, allow)].into_response();
    }
    Refusal::method_not_allowed(allow).into_response()
}

async fn unknown() -> Refusal {
    Refusal::unknown_path()
}
