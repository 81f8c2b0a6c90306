//! What changes something: the creates, the reset, the search path.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use rolecall_shared::config::Settings;
use rolecall_shared::domain::ticket::{Ending, Outcome, Ticket};
use rolecall_shared::domain::{Code, Failure, KindName, Operation, RoleName, TargetKey, TicketId};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::answer::{Refusal, done};
use super::parameters::{self, Parameters};
use crate::App;
use crate::app::naming::{self, NameParts};
use crate::app::secrets::Handout;
use crate::app::submission::{self, Submission};
use crate::app::synchronous::{self, Came};
use crate::auth::Caller;

/// The schema that a search path is set to if none is named.
const DEFAULT_SCHEMA: &str = "public";

pub(super) async fn create(
    app: Arc<App>,
    caller: Caller,
    asked: Parameters,
    kind: &str,
) -> Result<Response, Refusal> {
    let target = asked.target()?;
    let operation = create_role(&asked, kind, &target.key, &app.settings)
        .inspect_err(|failure| app.metrics.job_refused(failure.code()))?;
    let made = if kind == "dba" { "dba user created" } else { "user created" };
    let words = Words { created: made, missing: None };
    let came = synchronous::run(&caller, &app, submission(operation, target.key.clone())).await;
    let (ticket, handout, status) = ended(&app, came.map_err(|failure| target.refusal(failure))?, &words)?;
    Ok(done(&with_password(&ticket, handout, status)))
}

pub(super) async fn reset(app: Arc<App>, caller: Caller, asked: Parameters) -> Result<Response, Refusal> {
    let target = asked.target()?;
    let role = role(&asked, &app.settings).inspect_err(|failure| app.metrics.job_refused(failure.code()))?;
    let operation = Operation::ResetPassword { role };
    let came = synchronous::run(&caller, &app, submission(operation, target.key.clone())).await;
    let came = came.map_err(|failure| target.refusal(failure))?;
    let (ticket, handout, status) = ended(&app, came, &OF_A_ROLE)?;
    Ok(done(&with_password(&ticket, handout, status)))
}

pub(super) async fn search_path(
    app: Arc<App>,
    caller: Caller,
    asked: Parameters,
) -> Result<Response, Refusal> {
    let target = asked.target()?;
    let schema = asked.text("schema").unwrap_or(DEFAULT_SCHEMA);
    let operation = role(&asked, &app.settings)
        .and_then(|role| {
            let schemas = parameters::schemas(schema, &app.settings.names)?;
            Ok(Operation::SetSearchPath { role, schemas })
        })
        .inspect_err(|failure| app.metrics.job_refused(failure.code()))?;
    let came = synchronous::run(&caller, &app, submission(operation, target.key.clone())).await;
    let came = came.map_err(|failure| target.refusal(failure))?;
    let (ticket, _, status) = ended(&app, came, &OF_A_ROLE)?;
    let is_set =
        ticket.ending.as_ref().is_some_and(|ending| ending.word() == Outcome::SearchPathSet.as_str());
    let mut body = of_ticket(&ticket);
    body["schema"] = schema.into();
    body["status"] = if is_set { format!("search_path set to {schema}").into() } else { status.into() };
    Ok(done(&body))
}

fn submission(operation: Operation, target: TargetKey) -> Submission {
    Submission { operation, target, deadline: None, metadata: BTreeMap::new(), key: None, callback: None }
}

fn create_role(
    asked: &Parameters,
    kind: &str,
    target: &TargetKey,
    settings: &Settings,
) -> Result<Operation, Failure> {
    let (kind, profile): (KindName, _) = submission::profile(&settings.profiles, kind)?;
    let mut parts = NameParts::default();
    match *naming::fields_of(profile.naming) {
        ["servername", "port"] => {
            let [servername, port] = asked.require(["servername", "port"])?;
            (parts.servername, parts.port) = (Some(servername), Some(parameters::port(port)?));
        }
        ["env_prefix", "farmname"] => {
            let [env_prefix, farmname] = asked.require(["env_prefix", "farmname"])?;
            (parts.env_prefix, parts.farmname) = (Some(env_prefix), Some(farmname));
        }
        _ => parts.username = Some(asked.require(["username"])?[0]),
    }
    let named = naming::role_name(profile.naming, parts, &settings.names);
    let role = named.ok_or_else(|| Failure::internal("a naming asks for a field that nobody reads"))?;
    let role = role.map_err(|fault| Failure::fields(vec![fault]))?;
    submission::allowed(&kind, profile, &target.env)?;
    Ok(Operation::CreateRole { kind, role })
}

fn role(asked: &Parameters, settings: &Settings) -> Result<RoleName, Failure> {
    let [username] = asked.require(["username"])?;
    RoleName::parse(username, &settings.names).map_err(|fault| Failure::field("username", fault))
}

/// The words of a call for how its job ended.
struct Words {
    created: &'static str,
    /// There is no such role, where that is an answer.
    missing: Option<&'static str>,
}

const OF_A_ROLE: Words = Words { created: "user created", missing: Some("user not found") };

/// What the call came to, in the original's words, or why it came to nothing.
fn ended(
    app: &App,
    came: Came,
    words: &Words,
) -> Result<(Box<Ticket>, Option<Handout>, &'static str), Refusal> {
    let (ticket, handout) = match came {
        Came::ToAnEnd(ticket, handout) => (ticket, handout),
        Came::ToNoEnd(id) => return Err(too_slow(app, id)),
    };
    let id = ticket.job.ticket;
    let status = match &ticket.ending {
        Some(Ending::Succeeded { outcome, .. }) => match outcome {
            // Of those who joined the job one got its password. To the others the role exists, as to those who come later.
            Outcome::Created if handout.is_some() => words.created,
            Outcome::Created | Outcome::AlreadyExists => "user already exists",
            Outcome::PasswordReset => "password reset",
            Outcome::SearchPathSet => "search_path set",
        },
        Some(Ending::Failed { code, detail }) => match words.missing {
            Some(missing) if *code == Code::RoleNotFound => missing,
            Some(_) | None => return Err(Failure::new(*code, detail.clone()).about(id).into()),
        },
        Some(Ending::Cancelled) => {
            return Err(Refusal::new(StatusCode::CONFLICT, "The job was cancelled.", Some(id)));
        }
        Some(Ending::Expired) => {
            let error = "The job's deadline passed before the server could be worked on; nothing was done.";
            return Err(Refusal::new(StatusCode::GATEWAY_TIMEOUT, error, Some(id)));
        }
        None => return Err(Failure::internal("a final ticket without an ending").about(id).into()),
    };
    Ok((ticket, handout, status))
}

fn too_slow(app: &App, id: TicketId) -> Refusal {
    let error = format!(
        "The server did not do it within {} seconds. The job goes on: GET /api/v2/tickets/{id} says how it ends, and \
         POST /api/v2/tickets/{id}/secret hands out its password.",
        app.settings.legacy.wait.as_secs()
    );
    Refusal::new(StatusCode::GATEWAY_TIMEOUT, error, Some(id))
}

fn with_password(ticket: &Ticket, handout: Option<Handout>, status: &str) -> Value {
    let mut body = of_ticket(ticket);
    body["password"] = handout.map_or(Value::Null, |handout| handout.password.expose_secret().into());
    body["status"] = status.into();
    body
}

/// What every answer has. The port is a text here, as in the original.
fn of_ticket(ticket: &Ticket) -> Value {
    let job = &ticket.job;
    json!({
        "database": job.target.database,
        "env": job.target.env,
        "hostname": job.host.hostname(),
        "port": job.host.port().to_string(),
        "username": job.operation.role(),
    })
}
