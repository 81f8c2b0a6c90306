//! Every mount on one page.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};
use rolecall_shared::domain::{Code, Failure};

use crate::dialect::native::problem::Problem;
use crate::dialect::table::Table;
use crate::dialect::{barman, jsonapi, native, pg_user_api};
use crate::{App, health, layers, openapi};

/// The whole surface:
///
/// * `/api/v2/…`: the native API, which asks who is calling, as the other dialects do:
/// * `/v1/users…`: accounts as JSON:API resources; `/auth/…` and `/history/…`: sessions, accounts and history in barman-api's
///   form;
/// * `/`, `/api/v1/…`: roles in pg-user-api's form;
/// * `/livez`, `/readyz`, `/metrics`: for those who run it;
/// * `/openapi.json`, `/docs`: the documentation.
pub(crate) fn router(app: &Arc<App>) -> Router {
    let (api, document) = openapi::frame().merge(native::routes(app)).split_for_parts();
    let router = Router::new()
        .merge(api)
        .merge(barman::routes(app))
        .merge(jsonapi::routes(app))
        .merge(pg_user_api::routes(app))
        .merge(openapi::routes(document))
        .fallback(unknown_path)
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(Arc::clone(app))
        .merge(health::router(app.health()));
    layers::around(router, app)
}

/// Every route of every dialect: method and path, with `{name}` for what varies. Those of health and documentation ask
/// nobody and are not in it.
pub fn table() -> Vec<(String, String)> {
    let document = serde_json::to_value(openapi::document()).unwrap_or_default();
    let paths = document["paths"].as_object().cloned().unwrap_or_default();
    let of_path = |(path, item): (String, serde_json::Value)| {
        let methods: Vec<_> = item.as_object().map(|item| item.keys().cloned().collect()).unwrap_or_default();
        methods.into_iter().map(move |method: String| (method.to_uppercase(), path.clone()))
    };
    let others = [barman::table(), jsonapi::table(), pg_user_api::table()];
    let others = others.into_iter().flat_map(Table::into_list);
    let others = others.map(|(method, path)| (method.to_string(), path.to_owned()));
    paths.into_iter().flat_map(of_path).chain(others).collect()
}

async fn unknown_path(_uri: Uri) -> Problem {
    Failure::new(Code::NotFound, "There is no such path; /openapi.json lists those there are.").into()
}

/// The router adds `Allow`.
async fn method_not_allowed(_method: Method) -> Problem {
    Failure::new(Code::MethodNotAllowed, "This path does not offer this method; see Allow.").into()
}

#[cfg(test)]
mod tests;
