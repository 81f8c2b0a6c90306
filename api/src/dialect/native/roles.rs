//! What is read from a target itself: its check and its roles.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use rolecall_shared::domain::{Code, Failure, MAX_NAME_BYTES, RoleName};
use rolecall_shared::target::{CheckReport, RoleInfo};
use serde::Serialize;
use utoipa::ToSchema;

use super::cursor::{self, Page};
use super::params::{Params, RolePath, TargetPath};
use super::problem::{Problem, ProblemBody};
use super::target_body::TargetName;
use crate::App;
use crate::app::roles::{self, Origin};
use crate::auth::Caller;

const LIST: &str = "roles";

/// What Rolecall finds when it logs in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Check)]
#[expect(clippy::struct_excessive_bools, reason = "each is an attribute that PostgreSQL has")]
pub(super) struct CheckBody {
    /// Whether nothing stands in the way.
    ok: bool,
    server_version: String,
    /// As whom Rolecall is logged in.
    user: String,
    tls: bool,
    superuser: bool,
    createrole: bool,
    createdb: bool,
    database_owner: String,
    /// Whether our role may act as the owner of the database, which `readonly` grants need.
    member_of_owner: bool,
    /// Whether a transaction pooler stands between; Rolecall cannot work through one.
    pooler: bool,
    /// What stands in the way, in words.
    problems: Vec<String>,
}

impl From<CheckReport> for CheckBody {
    fn from(report: CheckReport) -> Self {
        Self {
            ok: report.problems.is_empty(),
            server_version: report.server_version,
            user: report.user,
            tls: report.tls,
            superuser: report.superuser,
            createrole: report.createrole,
            createdb: report.createdb,
            database_owner: report.database_owner,
            member_of_owner: report.member_of_owner,
            pooler: report.pooler,
            problems: report.problems,
        }
    }
}

/// A role as its server has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Role)]
#[expect(clippy::struct_excessive_bools, reason = "each is an attribute that PostgreSQL has")]
pub(super) struct RoleBody {
    name: String,
    login: bool,
    superuser: bool,
    createdb: bool,
    createrole: bool,
    replication: bool,
    /// -1 is no limit.
    connection_limit: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<Timestamp>,
    /// Role-wide settings, `name=value`.
    settings: Vec<String>,
    /// Settings in this database.
    database_settings: Vec<String>,
    member_of: Vec<String>,
    /// `rolecall`, as its history says; `unconfirmed` if only the comment on the role says so; or `somebody_else`.
    made_by: &'static str,
    /// For whom Rolecall made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    made_at: Option<Timestamp>,
    /// Through which target of the server, if you may read that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    made_through: Option<TargetName>,
    /// The ticket that made it, by the comment on the role.
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<String>,
    /// As which kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
}

impl From<(RoleInfo, Origin)> for RoleBody {
    fn from((role, origin): (RoleInfo, Origin)) -> Self {
        let (made_by, making) = match origin {
            Origin::Rolecall(making) => ("rolecall", Some(making)),
            Origin::Unconfirmed => ("unconfirmed", None),
            Origin::Elsewhere => ("somebody_else", None),
        };
        Self {
            made_by,
            account: making.as_ref().map(|making| making.account.clone()),
            made_at: making.as_ref().map(|making| making.at),
            made_through: making.and_then(|making| making.target).as_ref().map(TargetName::from),
            name: role.name,
            login: role.login,
            superuser: role.superuser,
            createdb: role.createdb,
            createrole: role.createrole,
            replication: role.replication,
            connection_limit: role.connection_limit,
            valid_until: role.valid_until,
            settings: role.settings,
            database_settings: role.database_settings,
            member_of: role.member_of,
            ticket: role.mark.as_ref().map(|mark| mark.ticket.to_string()),
            kind: role.mark.map(|mark| mark.kind.to_string()),
        }
    }
}

/// Log in to the target and see what can be done there.
#[utoipa::path(
    post,
    path = "/api/v2/targets/{env}/{database}/check",
    tag = "targets",
    params(("env" = String, Path), ("database" = String, Path)),
    responses(
        (status = 200, description = "What was found", body = CheckBody),
        (status = 502, description = "`target_unreachable`, `target_login_refused` or `database_not_found`",
         body = ProblemBody, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn check(
    State(app): State<Arc<App>>,
    caller: Caller,
    TargetPath(key): TargetPath,
) -> Result<Json<CheckBody>, Problem> {
    Ok(Json(roles::check(&caller, &app, &key).await?.into()))
}

/// List the roles of the target, by name, straight from its server.
#[utoipa::path(
    get,
    path = "/api/v2/targets/{env}/{database}/roles",
    tag = "roles",
    params(
        ("env" = String, Path),
        ("database" = String, Path),
        ("limit" = Option<usize>, Query, description = "1 to 200; 50"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<RoleBody>),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    TargetPath(key): TargetPath,
    params: Params,
) -> Result<Json<Page<RoleBody>>, Problem> {
    let limit = params.limit()?;
    let cursor = params.text("cursor")?;
    params.finish()?;
    let after = cursor.map(|cursor| after(&cursor)).transpose()?;
    let found = roles::list_with_origins(&caller, &app, &key, after.as_deref(), limit + 1).await?;
    Ok(Json(Page::of(LIST, found, limit, |(role, _)| vec![role.name.clone()], RoleBody::from)))
}

/// Any name a server may have; PostgreSQL's text takes no NUL, and its names are no longer than this.
fn after(cursor: &str) -> Result<String, Failure> {
    let [name] = cursor::read(LIST, cursor)?;
    if name.len() <= MAX_NAME_BYTES && !name.contains('\0') {
        Ok(name)
    } else {
        Err(Failure::new(Code::MalformedRequest, "`cursor` names no role."))
    }
}

/// Read a role of the target, straight from its server.
#[utoipa::path(
    get,
    path = "/api/v2/targets/{env}/{database}/roles/{name}",
    tag = "roles",
    params(("env" = String, Path), ("database" = String, Path), ("name" = String, Path)),
    responses(
        (status = 200, description = "The role", body = RoleBody),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn find(
    State(app): State<Arc<App>>,
    caller: Caller,
    RolePath(key, name): RolePath,
) -> Result<Json<RoleBody>, Problem> {
    // Any name a server may have, not only those we would give; it is bound as a parameter.
    let name = RoleName::from_stored(&name).map_err(|_| roles::role_not_found())?;
    Ok(Json(roles::find_with_origin(&caller, &app, &key, &name).await?.into()))
}
