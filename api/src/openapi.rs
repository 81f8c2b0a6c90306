//! The OpenAPI 3.1 document, from the code, and the page that shows it.

use axum::Router;
use utoipa::Modify;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use std::sync::Arc;

use crate::App;
use crate::dialect::native;

/// What stands around the paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Rolecall",
        description = "Provisions PostgreSQL roles. Submit a job, get a ticket, take the password once.",
    ),
    tags(
        (name = "jobs", description = "Ask for something to be done."),
        (name = "tickets", description = "What became of it."),
        (name = "targets", description = "The registered databases."),
        (name = "roles", description = "What a target's own server says of its roles."),
        (name = "hosts", description = "The servers the targets stand on."),
        (name = "audit", description = "Who did what, when."),
        (name = "webhooks", description = "Who is told of what, and what became of it."),
        (name = "tokens", description = "API tokens: what scripts come with."),
        (name = "sessions", description = "Short-lived tokens."),
    ),
    modifiers(&WaysIn),
)]
struct Frame;

struct WaysIn;

impl Modify for WaysIn {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_with(Default::default);
        components.add_security_scheme("basic", SecurityScheme::Http(Http::new(HttpAuthScheme::Basic)));
        components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        let either = ["basic", "bearer"];
        openapi.security =
            Some(either.map(|name| SecurityRequirement::new(name, Vec::<String>::new())).into());
    }
}

/// An empty router whose document is the frame.
pub(crate) fn frame() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Frame::openapi())
}

/// The whole document, without a running server.
pub fn document() -> utoipa::openapi::OpenApi {
    frame().merge(native::open_routes()).into_openapi()
}

/// `/openapi.json`, and `/docs` with everything it needs.
pub(crate) fn routes(document: utoipa::openapi::OpenApi) -> Router<Arc<App>> {
    // Unless told otherwise the page sends the document to an online validator.
    let config = Config::default().validator_url("none");
    Router::from(SwaggerUi::new("/docs").url("/openapi.json", document).config(config))
}
