//! `GET /api/v2/tickets/{id}/events`: the changes of a ticket as server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use rolecall_shared::domain::{Failure, TicketId};
use tokio::sync::OwnedSemaphorePermit;

use super::params::TicketPath;
use super::problem::{self, Problem, ProblemBody};
use super::ticket_body::{self, TicketBody};
use crate::App;
use crate::app::{tickets, view};
use crate::auth::Caller;
use crate::waiters::Waiter;

/// Below the idle timeouts of usual proxies.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Watch a ticket.
///
/// An event `state` with the ticket now and after each change; the stream ends after the final one, or when the server
/// stops. An event `problem` ends it early.
#[utoipa::path(
    get,
    path = "/api/v2/tickets/{id}/events",
    tag = "tickets",
    params(("id" = String, Path, description = "The ticket's id")),
    responses(
        (status = 200, description = "Events; their data is the ticket", body = TicketBody,
         content_type = "text/event-stream"),
        (status = "default", description = "A problem", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn watch(
    State(app): State<Arc<App>>,
    caller: Caller,
    TicketPath(id): TicketPath,
) -> Result<Response, Problem> {
    let place = app.limits.stream()?;
    // Before the look, as always.
    let waiter = app.waiters.subscribe(id);
    // A ticket that may not be seen is a problem with a status and not an event.
    tickets::find(&caller, &app, id).await?;
    let watch = Watch { app, caller, id, waiter, shown: None, is_over: false, _place: place };
    Ok(Sse::new(watch.into_stream()).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

struct Watch {
    app: Arc<App>,
    caller: Caller,
    id: TicketId,
    waiter: Waiter,
    /// The tag of what was shown last.
    shown: Option<String>,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

impl Watch {
    fn into_stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut watch| async move {
            let event = watch.next().await?;
            Some((Ok(event), watch))
        })
    }

    /// The next event; none when the ticket has been shown as final, or the process stops.
    async fn next(&mut self) -> Option<Event> {
        let mut is_first = self.shown.is_none();
        while !self.is_over {
            if !is_first {
                tokio::select! {
                    () = self.waiter.moved() => {}
                    () = self.app.stop.cancelled() => return None,
                }
            }
            is_first = false;
            let event = self.look().await;
            if event.is_some() {
                return event;
            }
        }
        None
    }

    /// An event, if there is something new to show.
    async fn look(&mut self) -> Option<Event> {
        let ticket = match tickets::find(&self.caller, &self.app, self.id).await {
            Ok(ticket) => ticket,
            Err(failure) => return Some(self.end_with(&failure)),
        };
        let view = view::of(&self.caller, &self.app, ticket).await;
        let tag = ticket_body::tag(&view);
        if self.shown.as_ref() == Some(&tag) {
            return None;
        }
        self.is_over = view.ticket.state.is_final();
        let event = Event::default().event("state").id(tag.clone()).json_data(TicketBody::from(&view));
        self.shown = Some(tag);
        Some(event.unwrap_or_else(|error| self.end_with(&Failure::internal(error))))
    }

    fn end_with(&mut self, failure: &Failure) -> Event {
        self.is_over = true;
        problem::log(failure);
        let event = Event::default().event("problem");
        event.json_data(problem::body(failure)).unwrap_or_else(|_| Event::default().event("problem"))
    }
}
