//! `/history/list` and `/history/result`: jobs in the form of barman-api's commands that run in the background.
//!
//! A result has `status_code` 200 for what was done, 1 for what was not and never will be, and -99 while that is open, with
//! the code of the failure in `message`. The ticket is ours: it names one job, is its owner's, and is found as long as
//! history or an archive has it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use jiff::tz::TimeZone;
use rolecall_shared::control::HistoryFilter;
use rolecall_shared::domain::ticket::{Ending, Ticket};
use rolecall_shared::domain::{Code, Failure, Period};
use serde_json::{Value, json};

use super::answer::Refusal;
use super::parameters::Parameters;
use crate::App;
use crate::app::{history, tickets};
use crate::auth::Caller;

/// How many jobs a list has. The original knows no pages.
const MOST: usize = 1_000;
/// How often more is asked for, where much of the month is not the caller's to see.
const ROUNDS: usize = 10;

/// How a job stands.
const DONE: i32 = 200;
const NOT_DONE: i32 = 1;
const OPEN: i32 = -99;

/// The jobs that ended in this month, or in the one that `past` names.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    parameters.only(&["past"])?;
    let period = match parameters.text("past") {
        Some(past) => Period::parse_compact(past)
            .map_err(|_| Failure::field("past", "must be a year and a month such as 202611"))?,
        None => {
            Period::of(app.clock.now()).ok_or_else(|| Failure::internal("the clock is out of every month"))?
        }
    };
    let filter = HistoryFilter { period: Some(period), ..HistoryFilter::default() };
    let (mut jobs, mut after) = (Vec::new(), None);
    for _ in 0..ROUNDS {
        let listed = history::list(&caller, &app, filter.clone(), after, MOST - jobs.len()).await?;
        jobs.extend(listed.tickets.iter().map(listed_job));
        after = listed.next;
        if after.is_none() || jobs.len() >= MOST {
            break;
        }
    }
    let message = match after {
        Some(_) => format!("Not all of them: GET /api/v2/tickets?period={period} lists the rest too."),
        None => String::new(),
    };
    Ok(Json(json!({ "status_code": DONE, "message": message, "list": jobs })).into_response())
}

/// What became of one job.
pub(super) async fn result(
    State(app): State<Arc<App>>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Response, Refusal> {
    parameters.only(&["ticket"])?;
    let id = parameters.required("ticket")?.parse().map_err(|_| tickets::not_found())?;
    let ticket = tickets::find(&caller, &app, id).await?;
    Ok(Json(result_of(&ticket)).into_response())
}

fn listed_job(ticket: &Ticket) -> Value {
    let job = &ticket.job;
    let date = job.submitted_at.to_zoned(TimeZone::UTC).strftime("%Y%m%d%H%M%S").to_string();
    json!({ "date": date, "command": job.operation.name(), "ticket": job.ticket, "result": result_of(ticket) })
}

/// The lines that the original's command would have printed are what is known of the job.
fn result_of(ticket: &Ticket) -> Value {
    let (job, role) = (&ticket.job, ticket.job.operation.role());
    let what = format!("{} {role} on {}/{}", job.operation.name(), job.target.env, job.target.database);
    let answer = |status: i32, message: String, lines: Vec<String>| json!({ "status_code": status, "message": message, "list": lines });
    match (&ticket.ending, &ticket.dead_lettered) {
        (Some(Ending::Succeeded { outcome, missing, .. }), _) => {
            let lost = missing.iter().map(|right| format!("not granted: {right}"));
            answer(
                DONE,
                String::new(),
                std::iter::once(format!("{what}: {}", outcome.as_str())).chain(lost).collect(),
            )
        }
        (Some(Ending::Failed { code, detail }), _) => {
            answer(NOT_DONE, format!("{}: {detail}", code.as_str()), vec![what])
        }
        (Some(Ending::Expired), _) => {
            let code = Code::DeadlineExceeded.as_str();
            answer(NOT_DONE, format!("{code}: the deadline passed before the job ran"), vec![what])
        }
        (Some(Ending::Cancelled), _) => {
            answer(NOT_DONE, "cancelled: the job was withdrawn before it ran".to_owned(), vec![what])
        }
        (None, Some(cause)) => answer(
            OPEN,
            format!("Command not execute yet. dead_lettered: it was put aside: {cause}"),
            vec![what],
        ),
        (None, None) if ticket.state.is_final() => {
            answer(NOT_DONE, "withdrawn: the job was never accepted".to_owned(), vec![what])
        }
        (None, None) => answer(OPEN, "Command not execute yet.".to_owned(), vec![what]),
    }
}

#[cfg(test)]
mod tests {
    use rolecall_shared::domain::ticket::State;

    use super::*;
    use crate::app::fakes;

    fn status(ticket: &Ticket) -> i64 {
        result_of(ticket)["status_code"].as_i64().unwrap()
    }

    #[test]
    fn a_dead_job_says_so_and_only_an_open_one_is_open() {
        let of = |state, ending| Ticket { state, ending, ..fakes::ticket("r1") };
        for state in [State::Accepting, State::Queued, State::Running, State::Closing] {
            assert_eq!(status(&of(state, None)), -99, "{state:?}");
        }
        assert_eq!(status(&of(State::Withdrawn, None)), 1);
        assert_eq!(status(&of(State::Expired, Some(Ending::Expired))), 1);
        assert_eq!(status(&of(State::Cancelled, Some(Ending::Cancelled))), 1);
        let failed = Ending::Failed { code: Code::AttemptsExhausted, detail: "given up".into() };
        let failed = result_of(&of(State::Failed, Some(failed)));
        assert_eq!(
            (&failed["status_code"], &failed["message"]),
            (&json!(1), &json!("attempts_exhausted: given up"))
        );
        let aside = Ticket { dead_lettered: Some("unknown version".into()), ..of(State::Queued, None) };
        let aside = result_of(&aside);
        assert_eq!(aside["status_code"], -99);
        assert!(aside["message"].as_str().unwrap().contains("dead_lettered"));
    }
}
