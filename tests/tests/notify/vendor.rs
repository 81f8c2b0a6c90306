//! Small servers that take what Slack, Webex and Microsoft Teams take, refuse what they refuse, and answer as they do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vendor {
    Slack,
    Webex,
    /// An incoming webhook of the older kind.
    Teams,
    /// A workflow.
    TeamsWorkflow,
}

/// What it does besides checking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Says that it was asked too often.
    Busy,
    /// The room is gone.
    Gone,
}

/// A message that was taken.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

#[derive(Debug)]
struct Inner {
    vendor: Vendor,
    mood: Mutex<Mood>,
    said: Mutex<Vec<Said>>,
}

/// A running server; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    address: SocketAddr,
    inner: Arc<Inner>,
    _task: AbortOnDropHandle<()>,
}

/// The bot's token that Webex knows.
pub(crate) const WEBEX_TOKEN: &str = "OTI-bot-token-of-webex";
/// The room that Webex knows.
pub(crate) const WEBEX_ROOM: &str = "Y2lzY29zcGFyazovL3VzL1JPT00vdGVzdA";

impl Room {
    pub(crate) async fn open(vendor: Vendor) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let inner = Arc::new(Inner { vendor, mood: Mutex::new(Mood::Well), said: Mutex::default() });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        #[expect(clippy::disallowed_methods, reason = "ends with the room")]
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { address, inner, _task: AbortOnDropHandle::new(task) }
    }

    /// Where messages are posted, with what opens it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.address, path(self.inner.vendor))
    }

    pub(crate) fn is(&self, mood: Mood) {
        *self.inner.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// What was taken so far.
    pub(crate) fn said(&self) -> Vec<Said> {
        self.inner.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The text of the only message.
    pub(crate) fn text(&self) -> String {
        let said = self.said();
        assert_eq!(said.len(), 1, "{said:?}");
        text(self.inner.vendor, &said[0].body)
    }

    /// The texts of all.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.said().iter().map(|said| text(self.inner.vendor, &said.body)).collect()
    }
}

fn path(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Slack => "/services/T00000000/B00000000/slack-token-in-the-path",
        Vendor::Webex => "/v1/messages",
        Vendor::Teams => "/webhookb2/a@b/IncomingWebhook/teams-token-in-the-path/c",
        Vendor::TeamsWorkflow => "/workflows/1/triggers/manual/paths/invoke?sig=teams-signature-in-the-query",
    }
}

fn text(vendor: Vendor, body: &Value) -> String {
    let text = match vendor {
        Vendor::Slack => &body["text"],
        Vendor::Webex => &body["markdown"],
        Vendor::Teams | Vendor::TeamsWorkflow => &body["attachments"][0]["content"]["body"][0]["text"],
    };
    text.as_str().expect("a text").to_owned()
}

async fn answer(
    State(inner): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let is_json =
        headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let parsed: Option<Value> = serde_json::from_slice(&body).ok().filter(|_| is_json);
    let is_there = method == Method::POST && uri == path(inner.vendor);
    let mood = *inner.mood.lock().unwrap_or_else(PoisonError::into_inner);
    let answer = match inner.vendor {
        Vendor::Slack => slack(is_there, mood, parsed.as_ref()),
        Vendor::Webex => webex(is_there, mood, parsed.as_ref(), &headers),
        Vendor::Teams => teams(is_there, mood, parsed.as_ref()),
        Vendor::TeamsWorkflow => workflow(is_there, mood, parsed.as_ref()),
    };
    match answer {
        Ok(answer) => {
            let said = Said { headers, body: parsed.unwrap_or_default() };
            inner.said.lock().unwrap_or_else(PoisonError::into_inner).push(said);
            answer
        }
        Err(refusal) => *refusal,
    }
}

/// As documented under "Handling errors" of incoming webhooks, and under "Rate limits".
fn slack(is_there: bool, mood: Mood, body: Option<&Value>) -> Result<Response, Box<Response>> {
    let refuse = |status: StatusCode, word: &'static str| Err(Box::new((status, word).into_response()));
    match mood {
        _ if !is_there => return refuse(StatusCode::NOT_FOUND, "no_service"),
        Mood::Busy => {
            let answer = (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "30")], "rate_limited");
            return Err(Box::new(answer.into_response()));
        }
        Mood::Gone => return refuse(StatusCode::GONE, "channel_is_archived"),
        Mood::Well => {}
    }
    let Some(body) = body.and_then(Value::as_object) else {
        return refuse(StatusCode::BAD_REQUEST, "invalid_payload");
    };
    match body.get("text").and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok("ok".into_response()),
        Some(_) | None => refuse(StatusCode::BAD_REQUEST, "no_text"),
    }
}

/// As documented under "Create a Message" and "Errors".
fn webex(
    is_there: bool,
    mood: Mood,
    body: Option<&Value>,
    headers: &HeaderMap,
) -> Result<Response, Box<Response>> {
    let refuse = |status: StatusCode, why: &str| {
        let body = json!({ "message": why, "errors": [{ "description": why }], "trackingId": "ROUTER_1" });
        Box::new((status, axum::Json(body)).into_response())
    };
    let bearer = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if bearer != format!("Bearer {WEBEX_TOKEN}") {
        let why = "The request requires a valid access token set in the Authorization request header.";
        return Err(refuse(StatusCode::UNAUTHORIZED, why));
    }
    if !is_there {
        return Err(refuse(StatusCode::NOT_FOUND, "The requested resource could not be found."));
    }
    if mood == Mood::Busy {
        let mut answer = refuse(StatusCode::TOO_MANY_REQUESTS, "Too many requests.");
        answer.headers_mut().insert("retry-after", "15".parse().expect("a value"));
        return Err(answer);
    }
    let field = |name: &str| body.and_then(|body| body[name].as_str()).unwrap_or_default();
    if mood == Mood::Gone || field("roomId") != WEBEX_ROOM {
        return Err(refuse(StatusCode::NOT_FOUND, "Could not find a room with provided ID."));
    }
    let markdown = field("markdown");
    if markdown.is_empty() || markdown.len() > 7_439 {
        return Err(refuse(StatusCode::BAD_REQUEST, "Message length limited to 7439 bytes"));
    }
    Ok(axum::Json(json!({ "id": "Y2lz", "roomId": WEBEX_ROOM, "markdown": markdown })).into_response())
}

/// Whether it is a message with one Adaptive Card that shows a text.
fn is_card(body: Option<&Value>) -> bool {
    let Some(body) = body else { return false };
    let attachment = &body["attachments"][0];
    let card = &attachment["content"];
    body["type"] == "message"
        && attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
        && card["type"] == "AdaptiveCard"
        && card["version"].is_string()
        && card["body"][0]["type"] == "TextBlock"
        && card["body"][0]["text"].as_str().is_some_and(|text| !text.is_empty())
        && body.to_string().len() <= 28 * 1024
}

/// The older kind: `1`, and troubles of Teams behind it in the body of a 200.
fn teams(is_there: bool, mood: Mood, body: Option<&Value>) -> Result<Response, Box<Response>> {
    let behind = |status: u16| {
        format!(
            "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error {status} with \
             ContextId MS-CV=1,tcid=2,server=X."
        )
    };
    match mood {
        _ if !is_there => Err(Box::new((StatusCode::NOT_FOUND, "Invalid webhook URL").into_response())),
        Mood::Busy => Err(Box::new(behind(429).into_response())),
        Mood::Gone => Err(Box::new(behind(404).into_response())),
        Mood::Well if is_card(body) => Ok("1".into_response()),
        Mood::Well => {
            Err(Box::new((StatusCode::BAD_REQUEST, "Summary or Text is required.").into_response()))
        }
    }
}

fn workflow(is_there: bool, mood: Mood, body: Option<&Value>) -> Result<Response, Box<Response>> {
    let refuse = |status: StatusCode, code: &str| {
        let body = json!({ "error": { "code": code, "message": code } });
        Err(Box::new((status, axum::Json(body)).into_response()))
    };
    match mood {
        _ if !is_there => refuse(StatusCode::UNAUTHORIZED, "DirectApiAuthorizationRequired"),
        Mood::Busy => refuse(StatusCode::TOO_MANY_REQUESTS, "WorkflowTriggerIsThrottled"),
        Mood::Gone => refuse(StatusCode::NOT_FOUND, "WorkflowNotFound"),
        Mood::Well if is_card(body) => Ok(StatusCode::ACCEPTED.into_response()),
        Mood::Well => refuse(StatusCode::BAD_REQUEST, "TriggerInputSchemaMismatch"),
    }
}
