//! A ticket as it stands in an answer.

use std::collections::BTreeMap;

use axum::http::header::{CACHE_CONTROL, ETAG, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use rolecall_shared::domain::Code;
use rolecall_shared::domain::ticket::Ending;
use serde::Serialize;
use utoipa::ToSchema;

use super::precondition;
use crate::app::view::View;

/// The public face of a job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ticket)]
pub(super) struct TicketBody {
    /// Its id.
    ticket: String,
    /// `accepting`, `queued`, `running`, `closing`, and finally `succeeded`, `failed`, `cancelled`, `expired` or
    /// `withdrawn`.
    #[schema(example = "queued")]
    state: &'static str,
    #[schema(example = "create_role")]
    operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "app")]
    kind: Option<String>,
    env: String,
    database: String,
    /// `hostname:port`.
    host: String,
    /// The role it is about.
    role: String,
    submitted_at: Timestamp,
    /// When it expires if it has not run.
    deadline_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Timestamp>,
    /// Starts that were made alone because an earlier one had no outcome.
    attempts: u32,
    /// `created`, `already_exists`, `password_reset` or `search_path_set`.
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'static str>,
    /// Why it failed or expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<TicketProblem>,
    /// What could not be granted, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    missing: Vec<String>,
    /// The password it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<SecretRef>,
    /// Why it does not run: `host_paused`, `dead_lettered`, or the code of the host's trouble.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_reason: Option<&'static str>,
    /// The same, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    /// When the host is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<Timestamp>,
    /// About how many jobs of its host are before it, itself included, while it is `queued`.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
    /// The labels that came with the job.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    metadata: BTreeMap<String, String>,
    /// The webhook that is told of its end because the job said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    callback: Option<String>,
    /// The ticket that failed as `attempts_exhausted`, and that an operator had done again by this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    replay_of: Option<String>,
    links: Links,
}

/// Why a job failed.
#[derive(Debug, Serialize, ToSchema)]
struct TicketProblem {
    #[schema(value_type = super::problem::ProblemCode, example = "role_not_found")]
    code: &'static str,
    detail: String,
}

/// Where a password is.
#[derive(Debug, Serialize, ToSchema)]
struct SecretRef {
    /// Whether it can be taken now.
    available: bool,
    /// POST here to take it, once.
    href: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// Where to go from here.
#[derive(Debug, Serialize, ToSchema)]
struct Links {
    #[serde(rename = "self")]
    this: String,
    events: String,
    target: String,
}

/// The path of a ticket.
pub(super) fn href(view: &View) -> String {
    format!("/api/v2/tickets/{}", view.ticket.job.ticket)
}

impl From<&View> for TicketBody {
    fn from(view: &View) -> Self {
        let (ticket, job) = (&view.ticket, &view.ticket.job);
        let href = href(view);
        let (outcome, missing, problem) = match &ticket.ending {
            Some(Ending::Succeeded { outcome, missing, .. }) => {
                (Some(outcome.as_str()), missing.clone(), None)
            }
            Some(Ending::Failed { code, detail }) => {
                (None, Vec::new(), Some(TicketProblem { code: code.as_str(), detail: detail.clone() }))
            }
            Some(Ending::Expired) => (None, Vec::new(), Some(expired())),
            Some(Ending::Cancelled) | None => (None, Vec::new(), None),
        };
        let waiting = view.waiting.as_ref();
        Self {
            ticket: job.ticket.to_string(),
            state: ticket.state.as_str(),
            operation: job.operation.name(),
            kind: job.operation.kind().map(ToString::to_string),
            env: job.target.env.to_string(),
            database: job.target.database.to_string(),
            host: job.host.to_string(),
            role: job.operation.role().to_string(),
            submitted_at: job.submitted_at,
            deadline_at: job.deadline_at,
            finished_at: ticket.finished_at,
            attempts: ticket.attempts,
            outcome,
            problem,
            missing,
            secret: view.secret.map(|secret| SecretRef {
                available: secret.available,
                href: format!("{href}/secret"),
                expires_at: secret.expires_at,
            }),
            waiting_reason: waiting.map(|waiting| waiting.reason),
            cause: waiting.and_then(|waiting| waiting.cause.clone()),
            next_attempt_at: waiting.and_then(|waiting| waiting.next_attempt_at),
            position: view.position,
            metadata: job.metadata.clone(),
            callback: job.callback.as_ref().map(|callback| callback.endpoint.to_string()),
            replay_of: job.replay_of.map(|failed| failed.to_string()),
            links: Links {
                events: format!("{href}/events"),
                target: super::target_body::href(&job.target),
                this: href,
            },
        }
    }
}

fn expired() -> TicketProblem {
    TicketProblem {
        code: Code::DeadlineExceeded.as_str(),
        detail: "The deadline passed before the job ran.".to_owned(),
    }
}

/// The entity tag of a view.
pub(super) fn tag(view: &View) -> String {
    precondition::ticket_tag(&view.ticket, view.secret.is_some_and(|secret| secret.available))
}

/// A response with a ticket. `Retry-After` while more is to come.
pub(super) fn respond(status: StatusCode, view: &View) -> Response {
    let mut response = (status, axum::Json(TicketBody::from(view))).into_response();
    dress(&mut response, view);
    response
}

/// The headers of a ticket's representation, which a 304 has too.
pub(super) fn dress(response: &mut Response, view: &View) {
    let headers = response.headers_mut();
    headers.insert(ETAG, precondition::weak(&tag(view)));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if !view.ticket.state.is_final() {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
}

#[cfg(test)]
mod tests {
    use rolecall_shared::domain::ticket::{Outcome, State};
    use serde_json::{Value, json};

    use super::*;
    use crate::app::fakes;
    use crate::app::view::{SecretView, Waiting};

    fn view(state: State, ending: Option<Ending>) -> View {
        let mut ticket = fakes::ticket("web01_8080");
        (ticket.state, ticket.ending) = (state, ending);
        View { ticket, secret: None, waiting: None, position: None }
    }

    fn body(view: &View) -> Value {
        serde_json::to_value(TicketBody::from(view)).unwrap()
    }

    #[test]
    fn a_waiting_ticket_says_why() {
        let mut view = view(State::Queued, None);
        view.waiting = Some(Waiting {
            reason: Code::TargetUnreachable.as_str(),
            cause: Some("connection refused".into()),
            next_attempt_at: Some(Timestamp::UNIX_EPOCH),
        });
        let href = href(&view);
        assert_eq!(
            body(&view),
            json!({
                "ticket": view.ticket.job.ticket.to_string(),
                "state": "queued",
                "operation": "create_role",
                "kind": "app",
                "env": "dev",
                "database": "myapp_dev",
                "host": "db1:5432",
                "role": "web01_8080",
                "submitted_at": "1970-01-01T00:00:00Z",
                "deadline_at": "1970-01-01T00:15:00Z",
                "attempts": 0,
                "waiting_reason": "target_unreachable",
                "cause": "connection refused",
                "next_attempt_at": "1970-01-01T00:00:00Z",
                "links": {
                    "self": href,
                    "events": format!("{href}/events"),
                    "target": "/api/v2/targets/dev/myapp_dev",
                },
            })
        );
        let response = respond(StatusCode::ACCEPTED, &view);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        assert_eq!(response.headers()[ETAG], "W/\"1\"");
    }

    #[test]
    fn a_replay_names_what_it_replays() {
        let mut view = view(State::Queued, None);
        assert_eq!(body(&view).get("replay_of"), None);
        let failed = view.ticket.job.ticket;
        view.ticket.job.replay_of = Some(failed);
        assert_eq!(body(&view)["replay_of"], json!(failed));
    }

    #[test]
    fn a_success_names_its_outcome_and_its_secret() {
        let ending = Ending::Succeeded {
            outcome: Outcome::Created,
            missing: vec!["SELECT on t".into()],
            secret_expires_at: None,
            kind: None,
        };
        let mut view = view(State::Succeeded, Some(ending));
        view.secret = Some(SecretView { available: true, expires_at: Some(Timestamp::UNIX_EPOCH) });
        let body = body(&view);
        assert_eq!(body["outcome"], "created");
        assert_eq!(body["missing"], json!(["SELECT on t"]));
        let secret = json!({
            "available": true, "href": format!("{}/secret", href(&view)), "expires_at": "1970-01-01T00:00:00Z",
        });
        assert_eq!(body["secret"], secret);
        assert!(!respond(StatusCode::OK, &view).headers().contains_key(RETRY_AFTER));
    }

    #[test]
    fn a_failure_has_its_code() {
        let failed = Ending::Failed { code: Code::RoleNotFound, detail: "no such role".into() };
        let problem = json!({ "code": "role_not_found", "detail": "no such role" });
        assert_eq!(body(&view(State::Failed, Some(failed)))["problem"], problem);
        let expired = body(&view(State::Expired, Some(Ending::Expired)));
        assert_eq!(expired["problem"]["code"], "deadline_exceeded");
        assert_eq!(body(&view(State::Cancelled, Some(Ending::Cancelled)))["problem"], Value::Null);
    }
}
