//! `/livez`, `/readyz` and `/metrics`: for those who run it; nobody is asked who they are. The api serves them
//! beside its API, the worker on a listener of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use rolecall_shared::control::Control;
use rolecall_shared::domain::Failure;
use rolecall_shared::queue::Queue;
use rolecall_shared::telemetry::{self, Dependency, Metrics};
use rolecall_shared::tickets::Tickets;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// A dependency that is silent this long is down, whatever its own timeout.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a process depends on, and what it counts.
#[derive(Clone)]
pub struct Health {
    /// The control database.
    pub control: Control,
    /// The ticket store.
    pub tickets: Arc<dyn Tickets>,
    /// The broker.
    pub queue: Arc<dyn Queue>,
    /// What is counted.
    pub metrics: Metrics,
    /// Cancelled when the process stops: it is not ready any more.
    pub stop: CancellationToken,
}

/// The three paths.
pub fn router(health: Health) -> Router {
    Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health)
}

/// The state of the process and of what it depends on.
#[derive(Debug, Serialize)]
struct Report {
    /// `ok`, `down` or `stopping`.
    status: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    dependencies: BTreeMap<&'static str, &'static str>,
}

/// The process runs; asks nobody.
async fn live() -> Response {
    uncached(StatusCode::OK, Report { status: "ok", dependencies: BTreeMap::new() })
}

/// Whether work can be done now: each dependency by name, 503 when one is down or the process stops.
async fn ready(State(health): State<Health>) -> Response {
    let dependencies = health.ask().await;
    let report = report(dependencies, health.stop.is_cancelled());
    let status = if report.status == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    uncached(status, report)
}

impl Health {
    async fn ask(&self) -> BTreeMap<&'static str, &'static str> {
        let (control, tickets, queue) = tokio::join!(
            state(Dependency::ControlDatabase, self.control.ping()),
            state(Dependency::TicketStore, self.tickets.ping()),
            state(Dependency::Broker, self.queue.ping()),
        );
        [control, tickets, queue]
            .into_iter()
            .map(|(dependency, state)| {
                self.metrics.dependency_found(dependency, state == "ok");
                (dependency.as_str(), state)
            })
            .collect()
    }
}

fn report(dependencies: BTreeMap<&'static str, &'static str>, is_stopping: bool) -> Report {
    let status = if is_stopping {
        "stopping"
    } else if dependencies.values().all(|state| *state == "ok") {
        "ok"
    } else {
        "down"
    };
    Report { status, dependencies }
}

async fn state(
    dependency: Dependency,
    ping: impl Future<Output = Result<(), Failure>>,
) -> (Dependency, &'static str) {
    let name = dependency.as_str();
    let state = match tokio::time::timeout(PATIENCE, ping).await {
        Ok(Ok(())) => "ok",
        Ok(Err(failure)) => {
            tracing::warn!(dependency = name, cause = failure.cause_chain(), "not ready: {failure}");
            "down"
        }
        Err(_) => {
            tracing::warn!(dependency = name, "not ready: no answer");
            "down"
        }
    };
    (dependency, state)
}

/// Asks the dependencies too, so that a scrape alone shows what is down.
async fn metrics(State(health): State<Health>) -> Response {
    health.ask().await;
    ([(CONTENT_TYPE, telemetry::CONTENT_TYPE), (CACHE_CONTROL, "no-store")], health.metrics.encode())
        .into_response()
}

fn uncached(status: StatusCode, report: Report) -> Response {
    (status, [(CACHE_CONTROL, "no-store")], Json(report)).into_response()
}

#[cfg(test)]
mod tests {
    use rolecall_shared::domain::Code;

    use super::*;

    #[tokio::test]
    async fn one_dependency_down_is_down() {
        let up = state(Dependency::TicketStore, async { Ok(()) }).await;
        let down =
            state(Dependency::Broker, async { Err(Failure::new(Code::BrokerUnavailable, "away")) }).await;
        let named = |(dependency, state): (Dependency, &'static str)| (dependency.as_str(), state);
        assert_eq!(report(BTreeMap::from([named(up)]), false).status, "ok");
        assert_eq!(report(BTreeMap::from([named(up)]), true).status, "stopping");
        let report = report(BTreeMap::from([named(up), named(down)]), false);
        let json =
            serde_json::json!({ "status": "down", "dependencies": { "redis": "ok", "rabbitmq": "down" } });
        assert_eq!(serde_json::to_value(report).unwrap(), json);
    }
}
