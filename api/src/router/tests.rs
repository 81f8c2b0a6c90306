//! The whole surface, in process: fakes for tickets and queue, and a control database that is away.

mod coverage;
mod requests;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, Request, Response};
use base64::Engine as _;
use rolecall_shared::config::Settings;
use rolecall_shared::control::Control;
use rolecall_shared::domain::{Clock, SystemClock};
use rolecall_shared::outbound::{Outbound, SystemLookup};
use rolecall_shared::seal::{self, KeyRing};
use rolecall_shared::target::Connector;
use rolecall_shared::telemetry::Metrics;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::app::fakes::{self, FakeQueue, FakeTickets};
use crate::{App, Parts};

/// A process of the intake, without its socket.
struct Intake {
    tickets: Arc<FakeTickets>,
    stop: CancellationToken,
    app: Arc<App>,
    router: axum::Router,
}

fn parts(settings: Settings, tickets: &Arc<FakeTickets>) -> Parts {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seal.keys");
    seal::add_key(&file, SystemClock.now(), Duration::ZERO).unwrap();
    let keys = KeyRing::load(&file).unwrap();
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let (control, clock) = (Control::new(&settings.control).unwrap(), Arc::new(SystemClock));
    let targets = Arc::new(control.clone());
    Parts {
        outbound: Outbound::new(&settings.outbound, Vec::new(), targets, Arc::new(SystemLookup), clock)
            .unwrap(),
        control,
        tickets: Arc::clone(tickets) as Arc<_>,
        queue: Arc::new(FakeQueue::default()),
        connector: Connector::new(&settings.target, None, keys.clone()),
        keys,
        clock: Arc::new(SystemClock),
        metrics: Metrics::new("test"),
        settings: Arc::new(settings),
    }
}

fn intake_with(settings: Settings) -> Intake {
    let (tickets, stop) = (Arc::<FakeTickets>::default(), CancellationToken::new());
    let app = Arc::new(App::new(parts(settings, &tickets), stop.clone()));
    app.waiters.start(&app.tasks, tickets.moved.subscribe(), stop.clone());
    Intake { tickets, stop, router: super::router(&app), app }
}

fn intake() -> Intake {
    intake_with(fakes::settings())
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.stop.cancel();
        self.app.tasks.close();
    }
}

fn basic(user: &str, password: &str) -> String {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {pair}")
}

/// A request of the bootstrap account.
fn request(method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header(AUTHORIZATION, basic("ops", "secret"))
}

fn get(path: &str) -> Request<Body> {
    request(Method::GET, path).body(Body::empty()).unwrap()
}

fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    request(Method::POST, path).header(CONTENT_TYPE, "application/json").body(body.into()).unwrap()
}

impl Intake {
    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Status, code and body of a problem.
    async fn problem(&self, request: Request<Body>) -> (u16, String, Value) {
        let response = self.send(request).await;
        let status = response.status().as_u16();
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert!(response.headers().contains_key("x-request-id"));
        let body = json(response).await;
        assert_eq!(body["status"], status);
        (status, body["code"].as_str().unwrap().to_owned(), body)
    }
}

async fn json(response: Response<Body>) -> Value {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// Every operation of the document: path, method and its description.
fn operations() -> Vec<(String, Method, Value)> {
    let document = serde_json::to_value(crate::openapi_document()).unwrap();
    let paths = document["paths"].as_object().unwrap().clone();
    let of_path = |(path, item): (String, Value)| {
        let item = item.as_object().unwrap().clone();
        item.into_iter().map(move |(method, it)| (path.clone(), method.to_uppercase().parse().unwrap(), it))
    };
    paths.into_iter().flat_map(of_path).collect()
}
