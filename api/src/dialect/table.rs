//! Routes that say which they are, for dialects that stand in no OpenAPI document: the tests take the list and try
//! every route there is.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::App;

/// A router and the list of what it offers.
#[derive(Default)]
pub(crate) struct Table {
    router: Router<Arc<App>>,
    offered: Vec<(Method, &'static str)>,
}

impl Table {
    /// Adds a route.
    #[must_use]
    pub(super) fn with<H, T>(mut self, method: Method, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Arc<App>>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        let route: MethodRouter<Arc<App>> = on(filter, handler);
        self.router = self.router.route(path, route);
        self.offered.push((method, path));
        self
    }

    /// The router alone.
    pub(super) fn into_router(self) -> Router<Arc<App>> {
        self.router
    }

    /// What is offered.
    pub(crate) fn into_list(self) -> Vec<(Method, &'static str)> {
        self.offered
    }
}
