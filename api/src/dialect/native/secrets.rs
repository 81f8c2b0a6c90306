//! `POST /api/v2/tickets/{id}/secret`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;

use super::params::TicketPath;
use super::problem::{Problem, ProblemBody};
use crate::App;
use crate::app::paste::Connection;
use crate::app::secrets;
use crate::auth::Caller;

/// A password and what people paste. Has no `Debug` text.
#[derive(Serialize, ToSchema)]
#[schema(as = Secret)]
struct SecretBody {
    user: String,
    password: String,
    host: String,
    port: u16,
    database: String,
    /// A `postgresql://` URI.
    uri: String,
    /// A line for `~/.pgpass`.
    pgpass: String,
    /// `PGHOST=…` and so on, quoted for a shell.
    env: Vec<String>,
}

/// Take the password, once.
///
/// Only the owner of the ticket, and only one time: the second answer is 410 and says when and by whom it was taken.
#[utoipa::path(
    post,
    path = "/api/v2/tickets/{id}/secret",
    tag = "tickets",
    params(("id" = String, Path, description = "The ticket's id")),
    responses(
        (status = 200, description = "The password; it is shown this once", body = SecretBody),
        (status = 409, description = "`not_finished`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 410, description = "`secret_taken`, `secret_expired` or `secret_lost`",
         body = ProblemBody, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn take(
    State(app): State<Arc<App>>,
    caller: Caller,
    TicketPath(id): TicketPath,
) -> Result<Response, Problem> {
    let handout = secrets::take(&caller, &app, id).await?;
    let connection = Connection {
        user: handout.user.as_str(),
        password: handout.password.expose_secret(),
        hostname: handout.host.hostname(),
        port: handout.host.port(),
        database: handout.database.as_str(),
    };
    let body = SecretBody {
        user: connection.user.to_owned(),
        password: connection.password.to_owned(),
        host: connection.hostname.to_owned(),
        port: connection.port,
        database: connection.database.to_owned(),
        uri: connection.uri(),
        pgpass: connection.pgpass(),
        env: connection.env(),
    };
    let mut response = Json(body).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
