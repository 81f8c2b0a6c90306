//! `/api/v2/sessions`: short-lived tokens.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::params::SessionPath;
use super::problem::{Problem, ProblemBody};
use crate::App;
use crate::app::tokens;
use crate::auth::{Caller, Opened};

/// A session. Has no `Debug` text.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(super) struct SessionBody {
    /// Names it in the audit, and to end it.
    id: String,
    /// What to send as `Authorization: Bearer …`.
    token: String,
    expires_at: String,
}

impl From<Opened> for SessionBody {
    fn from(opened: Opened) -> Self {
        Self {
            id: opened.id.to_string(),
            token: opened.token.as_str().to_owned(),
            expires_at: opened.expires_at.to_string(),
        }
    }
}

/// Open a session with your password (HTTP Basic).
#[utoipa::path(
    post,
    path = "/api/v2/sessions",
    tag = "sessions",
    responses(
        (status = 201, description = "Opened", body = SessionBody),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn open(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Problem> {
    let opened = tokens::open_session(&caller, &app).await?;
    Ok((StatusCode::CREATED, Json(SessionBody::from(opened))).into_response())
}

/// End a session before its time: `current` for the one you came with, or any by its id with `accounts`.
#[utoipa::path(
    delete,
    path = "/api/v2/sessions/{id}",
    tag = "sessions",
    params(("id" = String, Path, description = "The session's id, or `current`")),
    responses(
        (status = 204, description = "Ended, now or before"),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn end(
    State(app): State<Arc<App>>,
    caller: Caller,
    SessionPath(id): SessionPath,
) -> Result<StatusCode, Problem> {
    tokens::end_session(&caller, &app, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
