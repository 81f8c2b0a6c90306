//! `POST /auth/oidc`: an identity token of a CI system for a session.

use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use utoipa::ToSchema;

use super::body::JsonObject;
use super::fields::Fields;
use super::problem::{Problem, ProblemBody};
use super::sessions::SessionBody;
use crate::App;
use crate::app::federation;
use crate::listen::Peer;

/// An ID token (OpenID Connect Core 1.0).
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `exchange` reads")]
#[schema(as = IdentityToken)]
struct IdentityTokenBody {
    /// The JWT that the CI system gave its job.
    token: String,
}

/// Exchange the ID token of a CI job for a session. Each opens one.
#[utoipa::path(
    post,
    path = "/auth/oidc",
    tag = "sessions",
    security(()),
    request_body(content = IdentityTokenBody),
    responses(
        (status = 200, description = "A session of the account that the operator's binding names", body = SessionBody),
        (status = 401, description = "`identity_token_refused` with the `reason`, or `identity_token_used`",
         body = ProblemBody, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn exchange(
    State(app): State<Arc<App>>,
    peer: Option<axum::Extension<ConnectInfo<Peer>>>,
    JsonObject(map): JsonObject,
) -> Result<Json<SessionBody>, Problem> {
    let address = peer.and_then(|peer| peer.0.0.address);
    app.rates.of_address(address)?;
    let fields = Fields::of(&map);
    let token = fields.required_text("token").unwrap_or_default();
    fields.finish()?;
    Ok(Json(federation::exchange(&app, token, address).await?.into()))
}
