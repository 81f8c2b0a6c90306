//! `POST /api/v2/jobs/batch`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use rolecall_shared::config::Settings;
use rolecall_shared::domain::ticket::Ticket;
use rolecall_shared::domain::{Code, Failure};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::JsonObject;
use super::fields::Fields;
use super::job_body::{self, JobBody, KeySource};
use super::jobs::IDEMPOTENCY_KEY;
use super::problem::{self, Problem, ProblemBody};
use super::ticket_body::TicketBody;
use crate::App;
use crate::app::batch;
use crate::app::submission::Submission;
use crate::app::view::View;
use crate::auth::Caller;

/// Jobs to be done.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `items` reads")]
#[schema(as = Batch)]
struct BatchBody {
    /// Each a job, with an `idempotency_key` of its own if wanted.
    items: Vec<JobBody>,
}

/// What became of the items, in their order.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchAnswer)]
struct Answer {
    /// How many were kept.
    accepted: usize,
    /// How many were not.
    refused: usize,
    items: Vec<Item>,
}

/// A ticket, or an object with the `problem` of this item.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = BatchItem)]
enum Item {
    Kept(Box<TicketBody>),
    Refused { problem: Box<ProblemBody> },
}

/// Submit many jobs at once.
///
/// Each item gets its ticket or its own problem, in order; jobs for one host are done in the order of the items.
#[utoipa::path(
    post,
    path = "/api/v2/jobs/batch",
    tag = "jobs",
    request_body = BatchBody,
    responses(
        (status = 202, description = "At least one item was kept", body = Answer),
        (status = 200, description = "No item was kept; each has its problem", body = Answer),
        (status = "default", description = "The batch as a whole was refused",
         body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn submit(
    State(app): State<Arc<App>>,
    caller: Caller,
    headers: HeaderMap,
    JsonObject(map): JsonObject,
) -> Result<Response, Problem> {
    if headers.contains_key(IDEMPOTENCY_KEY) {
        let detail = "In a batch the key stands per item, as `idempotency_key`.";
        return Err(Failure::new(Code::MalformedRequest, detail).into());
    }
    let items = items(&map, &app.settings)?;
    let answers = batch::submit(&caller, &app, items).await?;
    let accepted = answers.iter().filter(|answer| answer.is_ok()).count();
    let status = if accepted > 0 { StatusCode::ACCEPTED } else { StatusCode::OK };
    let items: Vec<Item> = answers.into_iter().map(phrase).collect();
    Ok((status, Json(Answer { accepted, refused: items.len() - accepted, items })).into_response())
}

fn items(map: &Map<String, Value>, settings: &Settings) -> Result<Vec<Result<Submission, Failure>>, Failure> {
    let fields = Fields::of(map);
    fields.require("items");
    let items = fields.value("items").and_then(|value| {
        if !value.is_array() {
            fields.fault("items", "must be a list of jobs");
        }
        value.as_array()
    });
    fields.finish()?;
    let items = items.map(Vec::as_slice).unwrap_or_default();
    let most = settings.api.max_batch_items;
    if items.is_empty() || items.len() > most {
        let detail = format!("A batch has 1 to {most} items; this one has {}.", items.len());
        return Err(Failure::new(Code::BatchSize, detail)
            .with_context(serde_json::json!({ "limit": most, "found": items.len() })));
    }
    let parse = |item: &Value| match item.as_object() {
        Some(map) => job_body::parse(map, KeySource::Field, settings),
        None => Err(Failure::new(Code::InvalidRequest, "An item must be a JSON object.")),
    };
    Ok(items.iter().map(parse).collect())
}

fn phrase(answer: Result<Ticket, Failure>) -> Item {
    match answer {
        Ok(ticket) => {
            let view = View { ticket, secret: None, waiting: None, position: None };
            Item::Kept(Box::new(TicketBody::from(&view)))
        }
        Err(failure) => {
            problem::log(&failure);
            Item::Refused { problem: Box::new(problem::body(&failure)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::app::fakes;

    fn read(value: &Value) -> Result<Vec<Result<Submission, Failure>>, Failure> {
        items(value.as_object().unwrap(), &fakes::settings())
    }

    #[test]
    fn a_batch_has_one_to_a_thousand_items() {
        let of = |n: usize| read(&json!({ "items": vec![json!({}); n] })).map(|items| items.len());
        assert_eq!(of(1).unwrap(), 1);
        assert_eq!(of(1000).unwrap(), 1000);
        for n in [0, 1001] {
            assert_eq!(of(n).unwrap_err().code(), Code::BatchSize, "{n}");
        }
        for value in [json!({}), json!({ "items": {} }), json!({ "items": [{}], "wait": 1 })] {
            assert_eq!(read(&value).unwrap_err().code(), Code::InvalidRequest, "{value}");
        }
    }

    #[test]
    fn an_item_that_cannot_be_read_leaves_the_others_alone() {
        let good = json!({ "operation": "reset_password", "env": "dev", "database": "d", "username": "x" });
        let items = read(&json!({ "items": [good, 5, {}] })).unwrap();
        let codes: Vec<_> = items.iter().map(|item| item.as_ref().err().map(Failure::code)).collect();
        assert_eq!(codes, [None, Some(Code::InvalidRequest), Some(Code::InvalidRequest)]);
    }

    #[test]
    fn an_item_is_a_ticket_or_a_problem() {
        let ticket = fakes::ticket("r1");
        let id = ticket.job.ticket.to_string();
        assert_eq!(serde_json::to_value(phrase(Ok(ticket))).unwrap()["ticket"], id);
        let refused = phrase(Err(Failure::new(Code::TargetNotFound, "")));
        assert_eq!(serde_json::to_value(refused).unwrap()["problem"]["code"], "target_not_found");
    }
}
