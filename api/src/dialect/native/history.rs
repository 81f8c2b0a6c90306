//! `GET /api/v2/tickets`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use rolecall_shared::control::{HistoryFilter, Place};
use rolecall_shared::domain::ticket::{self, Ticket};
use rolecall_shared::domain::{Code, Failure, Period, TicketId};
use serde::Serialize;
use utoipa::ToSchema;

use super::cursor::{self, Page};
use super::params::Params;
use super::problem::{Problem, ProblemBody};
use super::ticket_body::TicketBody;
use crate::App;
use crate::app::history;
use crate::app::view::View;
use crate::auth::Caller;

const LIST: &str = "tickets";

/// What the names of parameters for labels begin with.
const LABEL: &str = "metadata.";

/// A ticket in the list. Whether its password can still be taken stands in the ticket itself.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ListedTicket {
    /// Who asked for the job.
    account: String,
    #[serde(flatten)]
    ticket: TicketBody,
}

impl From<Ticket> for ListedTicket {
    fn from(ticket: Ticket) -> Self {
        let account = ticket.job.actor.account.clone();
        let view = View { ticket, secret: None, waiting: None, position: None };
        Self { account, ticket: TicketBody::from(&view) }
    }
}

/// List the jobs that ended, newest first: your own, and those of others that you may read.
///
/// A page may have fewer tickets than `limit`, also none, and still a `next_cursor`. Without `period` the months that are
/// in the control database are listed; with it also one that is archived. A job that has not ended is read by its ticket.
#[utoipa::path(
    get,
    path = "/api/v2/tickets",
    tag = "tickets",
    params(
        ("state" = Option<String>, Query, description = "`succeeded`, `failed`, `cancelled` or `expired`"),
        ("env" = Option<String>, Query),
        ("database" = Option<String>, Query),
        ("host" = Option<String>, Query, description = "`hostname:port`"),
        ("kind" = Option<String>, Query, description = "The kind that was asked for"),
        ("role" = Option<String>, Query),
        ("account" = Option<String>, Query, description = "Who asked"),
        ("metadata.*" = Option<String>, Query, description = "`metadata.pipeline=4711`: a label and its value; up to 16"),
        ("from" = Option<String>, Query, description = "Ended then or later; RFC 3339"),
        ("to" = Option<String>, Query, description = "Ended before; RFC 3339"),
        ("period" = Option<String>, Query, description = "Ended in this month of UTC, such as `2026-11`; it may be archived"),
        ("limit" = Option<usize>, Query, description = "1 to 200; 50"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "A page", body = Page<ListedTicket>),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    params: Params,
) -> Result<Json<Page<ListedTicket>>, Problem> {
    let limit = params.limit()?;
    let after = params.text("cursor")?.map(|cursor| place(&cursor)).transpose()?;
    let filter = filter(&params)?;
    params.finish()?;
    let listed = history::list(&caller, &app, filter, after, limit).await?;
    let next = listed.next.map(|place| key(&place));
    let items = listed.tickets.into_iter().map(ListedTicket::from).collect();
    Ok(Json(Page::new(LIST, items, next.as_ref().map(<[String; 2]>::as_slice))))
}

fn filter(params: &Params) -> Result<HistoryFilter, Failure> {
    let mut metadata = BTreeMap::new();
    for (key, value) in params.labelled(LABEL)? {
        metadata.insert(key, value);
    }
    Ok(HistoryFilter {
        state: params.parsed("state", |text| {
            let state = ticket::State::parse(text).filter(|state| is_listed(*state));
            state.ok_or(
                "must be `succeeded`, `failed`, `cancelled` or `expired`: the list has jobs that ended",
            )
        })?,
        env: params.filter("env")?,
        database: params.filter("database")?,
        host: params.filter("host")?,
        kind: params.filter("kind")?,
        role: params.filter("role")?,
        account: params.filter("account")?,
        owner: None,
        metadata,
        from: params.time("from")?,
        to: params.time("to")?,
        period: params.parsed("period", Period::parse)?,
    })
}

/// Only an ending is in history; a withdrawn job was never accepted.
fn is_listed(state: ticket::State) -> bool {
    state.is_final() && state != ticket::State::Withdrawn
}

fn key(place: &Place) -> [String; 2] {
    [place.finished_at.as_microsecond().to_string(), place.ticket.to_string()]
}

fn place(cursor: &str) -> Result<Place, Failure> {
    let [at, ticket] = cursor::read(LIST, cursor)?;
    let at = at.parse().ok().and_then(|at| Timestamp::from_microsecond(at).ok());
    let ticket = ticket.parse::<TicketId>().ok();
    match (at.filter(|at| *at >= super::params::YEAR_ZERO), ticket) {
        (Some(finished_at), Some(ticket)) => Ok(Place { finished_at, ticket }),
        _ => Err(Failure::new(Code::MalformedRequest, "`cursor` names no ticket.")),
    }
}
