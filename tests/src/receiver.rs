//! A receiver of webhooks on this machine, which answers as a test wants and keeps what it heard.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use rolecall_shared::domain::{Clock as _, SystemClock};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use crate::eventually;

/// The longest wait for something to be heard.
const PATIENCE: Duration = Duration::from_secs(40);

/// How it answers.
#[derive(Debug, Clone)]
pub enum Manner {
    /// With this status.
    Status(u16),
    /// With this status and this header.
    Header(u16, &'static str, String),
    /// Not at all.
    Hang,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Heard {
    /// When.
    pub at: Instant,
    /// The same by the clock.
    pub time: Timestamp,
    /// Path and query.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Heard {
    /// A header's text; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// `webhook-id`.
    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a webhook is JSON")
    }

    /// What it tells.
    pub fn event(&self) -> String {
        self.json()["type"].as_str().expect("a webhook has a type").to_owned()
    }

    /// Of which ticket.
    pub fn ticket(&self) -> Option<String> {
        self.json()["data"]["ticket"].as_str().map(str::to_owned)
    }
}

#[derive(Debug)]
struct Inner {
    manner: Mutex<Manner>,
    heard: Mutex<Vec<Heard>>,
    /// How many wait for an answer, and the most that ever did.
    at_once: Mutex<(usize, usize)>,
}

/// A running receiver; ends when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    inner: Arc<Inner>,
    _task: AbortOnDropHandle<()>,
}

impl Receiver {
    /// Starts one on a free port of loopback.
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let inner = Arc::new(Inner {
            manner: Mutex::new(manner),
            heard: Mutex::default(),
            at_once: Mutex::default(),
        });
        let router = Router::new().fallback(receive).with_state(Arc::clone(&inner));
        #[expect(clippy::disallowed_methods, reason = "ends with the receiver")]
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { address, inner, _task: AbortOnDropHandle::new(task) }
    }

    /// A URL of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Its host and port.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Answers so from now on.
    pub fn answer(&self, manner: Manner) {
        *lock(&self.inner.manner) = manner;
    }

    /// What came so far.
    pub fn heard(&self) -> Vec<Heard> {
        lock(&self.inner.heard).clone()
    }

    /// What came so far of this event.
    pub fn heard_of(&self, event: &str) -> Vec<Heard> {
        self.heard().into_iter().filter(|heard| heard.event() == event).collect()
    }

    /// The most that waited for an answer at once.
    pub fn most_at_once(&self) -> usize {
        lock(&self.inner.at_once).1
    }

    /// Waits until so many of an event have come, and answers them.
    pub async fn hears(&self, event: &str, count: usize) -> Vec<Heard> {
        eventually(&format!("{count} of {event}"), PATIENCE, async || {
            let heard = self.heard_of(event);
            (heard.len() >= count).then_some(heard)
        })
        .await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts those who wait, also when one gives up.
struct Waiting(Arc<Inner>);

impl Waiting {
    fn begin(inner: &Arc<Inner>) -> Self {
        let mut at_once = lock(&inner.at_once);
        at_once.0 += 1;
        at_once.1 = at_once.1.max(at_once.0);
        Self(Arc::clone(inner))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        lock(&self.0.at_once).0 -= 1;
    }
}

async fn receive(State(inner): State<Arc<Inner>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let _waiting = Waiting::begin(&inner);
    lock(&inner.heard).push(Heard {
        at: Instant::now(),
        time: SystemClock.now(),
        path: uri.to_string(),
        headers,
        body,
    });
    let manner = lock(&inner.manner).clone();
    let status = |status: u16| StatusCode::from_u16(status).expect("a status");
    match manner {
        Manner::Status(code) => status(code).into_response(),
        Manner::Header(code, name, value) => (status(code), [(name, value)]).into_response(),
        Manner::Hang => std::future::pending().await,
    }
}
