//! The native API, `/api/v2`: JSON in and out, RFC 9457 problems with stable codes.
//!
//! One file per resource; the others are what they share: `body` and `fields` (reading JSON), `params` (paths and
//! queries), `precondition`, `prefer` and `cursor` (headers and lists), `problem` (the one place that phrases a
//! failure), `caller` (who is calling). Tested beside each file.

mod audit;
mod batch;
pub(crate) mod body;
mod caller;
mod cursor;
mod deliveries;
mod events;
mod fields;
mod history;
mod hosts;
mod identity;
mod job_body;
mod jobs;
mod params;
mod precondition;
mod prefer;
pub(crate) mod problem;
mod roles;
mod secrets;
mod sessions;
mod switches;
mod target_body;
pub mod target_file;
mod targets;
mod ticket_body;
mod tickets;
mod tokens;
mod webhook_body;
mod webhooks;

use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::problem::Problem;
use crate::App;
use crate::auth::door;

/// Every route of this dialect. All of them ask who is calling but the one that opens a session for those who come with
/// somebody else's word.
pub(crate) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    let asking = asking_routes().route_layer(from_fn_with_state(Arc::clone(app), door::require::<Problem>));
    asking.routes(routes!(identity::exchange))
}

/// The same without the question, for the document only.
pub(crate) fn open_routes() -> OpenApiRouter<Arc<App>> {
    asking_routes().routes(routes!(identity::exchange))
}

fn asking_routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(jobs::submit))
        .routes(routes!(batch::submit))
        .routes(routes!(history::list))
        .routes(routes!(tickets::find, tickets::cancel))
        .routes(routes!(secrets::take))
        .routes(routes!(events::watch))
        .routes(routes!(targets::list))
        .routes(routes!(targets::find, targets::put, targets::remove))
        .routes(routes!(targets::pause))
        .routes(routes!(targets::resume))
        .routes(routes!(roles::check))
        .routes(routes!(roles::list))
        .routes(routes!(roles::find))
        .routes(routes!(hosts::list))
        .routes(routes!(switches::pause_all))
        .routes(routes!(switches::drain_all))
        .routes(routes!(switches::resume_all))
        .routes(routes!(switches::pause))
        .routes(routes!(switches::drain))
        .routes(routes!(switches::resume))
        .routes(routes!(audit::list))
        .routes(routes!(tokens::list, tokens::add))
        .routes(routes!(tokens::revoke))
        .routes(routes!(webhooks::list, webhooks::add))
        .routes(routes!(webhooks::find, webhooks::change, webhooks::remove))
        .routes(routes!(webhooks::pause))
        .routes(routes!(webhooks::resume))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::ping))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::replay_one))
        .routes(routes!(deliveries::replay))
        .routes(routes!(sessions::open))
        .routes(routes!(sessions::end))
}
