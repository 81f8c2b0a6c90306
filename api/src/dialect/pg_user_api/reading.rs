//! What changes nothing: the registry, the roles of a server, one of them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use rolecall_shared::domain::{Code, Failure, RoleName, Target};
use rolecall_shared::target::RoleInfo;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::{Refusal, done};
use super::parameters::Parameters;
use crate::App;
use crate::app::roles::Turn;
use crate::app::{roles, targets};
use crate::auth::Caller;

/// The most roles of a server that one answer holds.
const MOST_ROLES: usize = 100_000;

pub(super) async fn home() -> Response {
    done(&json!({
        "auth": "HTTP Basic Auth required on all /api/* endpoints",
        "service": "PostgreSQL User Management API",
        "version": "2.0.0",
    }))
}

pub(super) async fn registry(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Refusal> {
    let targets = targets::list_numbered(&caller, &app).await?;
    let databases: Vec<_> = targets.iter().map(row).collect();
    Ok(done(&json!({ "count": databases.len(), "databases": databases })))
}

/// A row as the original's file has it: whether it is active is a number, and times are UTC without saying so.
fn row((number, target): &(i64, Target)) -> Value {
    let notes = Some(&target.notes).filter(|notes| !notes.is_empty());
    json!({
        "active": u8::from(target.active),
        "created_at": target.created_at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        "db_name": target.key.database,
        "env": target.key.env,
        "hostname": target.host.hostname(),
        "id": number,
        "notes": notes,
        "port": target.host.port(),
    })
}

pub(super) async fn all(
    State(app): State<Arc<App>>,
    caller: Caller,
    asked: Parameters,
) -> Result<Response, Refusal> {
    let asked = asked.target()?;
    let read = async {
        let target = targets::find_active(&caller, &app, &asked.key).await?;
        let found = roles::list(&caller, &app, &asked.key, None, MOST_ROLES + 1, in_turn(&app)).await?;
        Ok((target, found))
    };
    let (target, found) = read.await.map_err(|failure| asked.refusal(failure))?;
    if found.len() > MOST_ROLES {
        let error = format!(
            "The server has more than {MOST_ROLES} roles; GET /api/v2/targets/{}/roles lists them page by page.",
            asked.key
        );
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error, None));
    }
    let users = found.iter().filter(|role| role.login);
    let users: Vec<_> =
        users.map(|role| json!({ "attributes": attributes(role, ""), "username": role.name })).collect();
    let mut body = of_target(&target);
    body["users"] = users.into();
    Ok(done(&body))
}

pub(super) async fn find(
    State(app): State<Arc<App>>,
    caller: Caller,
    asked: Parameters,
) -> Result<Response, Refusal> {
    let target = asked.target()?;
    let [username] = asked.require(["username"])?;
    let read = async {
        let found = targets::find_active(&caller, &app, &target.key).await?;
        // Any name that a server may have; it is bound as a parameter. What is none is the name of no role.
        let Ok(name) = RoleName::from_stored(username) else { return Ok((found, None)) };
        match roles::find(&caller, &app, &target.key, &name, in_turn(&app)).await {
            Ok(role) => Ok((found, Some(role).filter(|role| role.login))),
            Err(failure) if failure.code() == Code::RoleNotFound => Ok((found, None)),
            Err(failure) => Err(failure),
        }
    };
    let read: Result<(Target, Option<RoleInfo>), Failure> = read.await;
    let (found, role) = read.map_err(|failure| target.refusal(failure))?;
    let mut body = of_target(&found);
    body["found"] = role.is_some().into();
    body["username"] = username.into();
    if let Some(role) = role {
        body["attributes"] = attributes(&role, "standard").into();
    }
    Ok(done(&body))
}

/// Scripts that ask the old way do not ask again.
fn in_turn(app: &App) -> Turn {
    Turn::Until(Instant::now() + app.settings.legacy.wait)
}

/// `plain` stands for a role without any, for which the original has two words.
fn attributes(role: &RoleInfo, plain: &'static str) -> &'static str {
    match (role.superuser, role.createdb) {
        (true, true) => "superuser, create database",
        (true, false) => "superuser",
        (false, true) => "create database",
        (false, false) => plain,
    }
}

fn of_target(target: &Target) -> Value {
    json!({
        "database": target.key.database,
        "env": target.key.env,
        "hostname": target.host.hostname(),
        "port": target.host.port().to_string(),
    })
}
