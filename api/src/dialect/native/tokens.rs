//! `/api/v2/tokens`: API tokens.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use rolecall_shared::control::ApiToken;
use rolecall_shared::domain::Failure;
use serde::Serialize;
use utoipa::ToSchema;

use super::body::JsonObject;
use super::cursor::{self, Page};
use super::fields::Fields;
use super::params::{Params, TokenPath};
use super::problem::{Problem, ProblemBody};
use crate::App;
use crate::app::accounts::parse_patterns;
use crate::app::tokens::{self, AskedToken};
use crate::auth::Caller;

const LIST: &str = "tokens";
const MAX_NAME: usize = 64;

/// An API token that is to be made.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `asked` reads")]
#[schema(as = NewToken)]
struct NewTokenBody {
    /// What it is for: 1 to 64 bytes.
    name: String,
    /// Patterns it is limited to, none wider than what you may do yourself; absent: everything you may do.
    scope: Option<Vec<String>>,
    /// From when on it is nothing; absent: it lasts until it is revoked.
    expires_at: Option<String>,
}

/// An API token.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub(super) struct TokenBody {
    id: String,
    account: String,
    name: String,
    /// Patterns it is limited to; absent: everything its account may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<Vec<String>>,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// To the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
}

impl From<ApiToken> for TokenBody {
    fn from(token: ApiToken) -> Self {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        Self {
            id: token.id.to_string(),
            account: token.account,
            name: token.name,
            scope: token.scope.map(|scope| scope.iter().map(ToString::to_string).collect()),
            created_at: token.created_at.to_string(),
            expires_at: time(token.expires_at),
            last_used_at: time(token.last_used_at),
            revoked_at: time(token.revoked_at),
        }
    }
}

/// An API token and its text.
#[derive(Serialize, ToSchema)]
#[schema(as = MadeToken)]
struct MadeTokenBody {
    #[serde(flatten)]
    about: TokenBody,
    /// What to send as `Authorization: Bearer …`. Shown this once.
    token: String,
}

/// Make an API token of your account.
#[utoipa::path(
    post,
    path = "/api/v2/tokens",
    tag = "tokens",
    request_body(content = NewTokenBody),
    responses(
        (status = 201, description = "Made; its text is shown this once", body = MadeTokenBody),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn add(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonObject(map): JsonObject,
) -> Result<Response, Problem> {
    let (token, text) = tokens::add(&caller, &app, asked(&map)?).await?;
    let body = MadeTokenBody { about: token.into(), token: text.expose().to_owned() };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

fn asked(map: &serde_json::Map<String, serde_json::Value>) -> Result<AskedToken, Failure> {
    let fields = Fields::of(map);
    let name = fields.text("name").unwrap_or_default();
    if !(1..=MAX_NAME).contains(&name.len()) || name.chars().any(char::is_control) {
        fields.fault("name", format!("must be 1 to {MAX_NAME} bytes without control characters"));
    }
    let scope = fields.texts("scope");
    let expires_at = fields.text("expires_at").and_then(|text| {
        let time = text.parse::<Timestamp>().ok();
        if time.is_none() {
            fields.fault("expires_at", "must be a time as in RFC 3339".to_owned());
        }
        time
    });
    fields.finish()?;
    let scope = scope.map(|texts| parse_patterns("scope", &texts)).transpose()?;
    Ok(AskedToken { name: name.to_owned(), scope, expires_at })
}

/// List your API tokens, oldest first.
#[utoipa::path(
    get,
    path = "/api/v2/tokens",
    tag = "tokens",
    params(
        ("account" = Option<String>, Query, description = "Somebody else's; `*` for everybody's. Needs `accounts`"),
        ("limit" = Option<usize>, Query, description = "1 to 200; 50"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<TokenBody>),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
) -> Result<Json<Page<TokenBody>>, Problem> {
    let limit = params.limit()?;
    let after = params.text("cursor")?.map(|cursor| cursor::read_id(LIST, &cursor)).transpose()?;
    let account = params.text("account")?;
    params.finish()?;
    let found = tokens::list(&caller, &app, account.as_deref(), after, limit + 1).await?;
    Ok(Json(Page::of(LIST, found, limit, |token| vec![token.id.to_string()], TokenBody::from)))
}

/// Revoke an API token: yours, or anybody's with `accounts`.
#[utoipa::path(
    delete,
    path = "/api/v2/tokens/{id}",
    tag = "tokens",
    params(("id" = String, Path, description = "The token's id")),
    responses(
        (status = 200, description = "Revoked, now or before", body = TokenBody),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    caller: Caller,
    TokenPath(id): TokenPath,
) -> Result<Json<TokenBody>, Problem> {
    Ok(Json(tokens::revoke(&caller, &app, id).await?.into()))
}
