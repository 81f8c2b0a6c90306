//! `rolecall webhooks listen`: a receiver for trying out. Prints what arrives, and whether it can be believed.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, bail};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use jiff::Timestamp;
use rolecall_shared::domain::{Clock as _, SystemClock};
use rolecall_shared::seal::{
    ReceivedWebhook, SignedHeaders, VerifyingKey, WEBHOOK_TOLERANCE, WebhookFault, verify_webhook,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::args::Listen;
use crate::output::print;

/// Far more than a webhook has.
const MAX_BODY_BYTES: usize = 1_048_576;
/// So many ids are known again.
const REMEMBERED: usize = 1_000;

pub fn run(asked: &Listen) -> anyhow::Result<()> {
    let keys = keys(asked)?;
    let address = SocketAddr::new(asked.address, asked.port);
    super::super::block_on(async {
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}; --port chooses another port"))?;
        tell_address(listener.local_addr()?, keys.len(), asked.json)?;
        let done = CancellationToken::new();
        let desk = Desk {
            keys,
            answer: asked.answer.and_then(|status| StatusCode::from_u16(status).ok()),
            is_json: asked.json,
            left: Mutex::new(asked.count),
            seen: Mutex::default(),
            done: done.clone(),
        };
        let router = Router::new()
            .fallback(receive)
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .with_state(Arc::new(desk));
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let end = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = done.cancelled() => {}
            }
        };
        axum::serve(listener, router).with_graceful_shutdown(end).await.context("cannot listen any more")
    })
}

fn tell_address(address: SocketAddr, keys: usize, is_json: bool) -> anyhow::Result<()> {
    if is_json {
        return print(&json!({ "listening": format!("http://{address}"), "keys": keys }).to_string());
    }
    let verified = match keys {
        0 => "without a key: nothing is verified".to_owned(),
        1 => "with one key".to_owned(),
        more => format!("with {more} keys"),
    };
    print(&format!("listening on http://{address} {verified}"))
}

/// From the command line or the variable, and from the file. No fault repeats a key.
fn keys(asked: &Listen) -> anyhow::Result<Vec<VerifyingKey>> {
    let mut texts: Vec<_> = asked.keys.iter().map(|key| ("--key".to_owned(), key.clone())).collect();
    if let Some(file) = &asked.key_file {
        let name = file.display();
        let read = std::fs::read_to_string(file).with_context(|| format!("cannot read keys from {name}"))?;
        let read = Zeroizing::new(read);
        let lines = read.lines().enumerate().map(|(at, line)| (at, line.trim()));
        let keys = lines.filter(|(_, line)| !line.is_empty());
        texts.extend(keys.map(|(at, line)| (format!("{name}, line {}", at + 1), SecretString::from(line))));
        if texts.is_empty() {
            bail!("{name} holds no key");
        }
    }
    let keys = texts.iter().filter(|(_, text)| !text.expose_secret().is_empty());
    keys.map(|(place, text)| VerifyingKey::parse(text.expose_secret()).with_context(|| place.clone()))
        .collect()
}

/// Where webhooks are taken.
struct Desk {
    keys: Vec<VerifyingKey>,
    answer: Option<StatusCode>,
    is_json: bool,
    left: Mutex<Option<u64>>,
    seen: Mutex<VecDeque<String>>,
    done: CancellationToken,
}

impl Desk {
    /// None without a key.
    fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Option<Result<(), WebhookFault>> {
        let received = ReceivedWebhook {
            id: header(headers, SignedHeaders::ID),
            timestamp: header(headers, SignedHeaders::TIMESTAMP),
            signature: header(headers, SignedHeaders::SIGNATURE),
            body,
        };
        (!self.keys.is_empty()).then(|| verify_webhook(&self.keys, received, now, WEBHOOK_TOLERANCE))
    }

    /// Whether it came before.
    fn is_known(&self, id: &str) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.iter().any(|known| known == id) {
            return true;
        }
        seen.truncate(REMEMBERED - 1);
        seen.push_front(id.to_owned());
        false
    }

    fn count(&self) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.map(|left| left.saturating_sub(1));
        if *left == Some(0) {
            self.done.cancel();
        }
    }
}

/// A header that is no text is as good as none: it verifies nothing.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn receive(
    State(desk): State<Arc<Desk>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    if method != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, "webhooks are sent with POST\n".to_owned());
    }
    let now = SystemClock.now();
    let verdict = desk.verify(&headers, &body, now);
    let id = header(&headers, SignedHeaders::ID);
    // What anybody can send would else push out what came from the sender.
    let is_known = !matches!(verdict, Some(Err(_))) && desk.is_known(id);
    let arrived = Arrived { now, path: uri.path(), id, verdict, is_known, body: &body };
    let text = if desk.is_json { arrived.as_json().to_string() } else { arrived.in_words() };
    // Nobody reads on: there is no reason to go on.
    if print(&text).is_err() {
        desk.done.cancel();
    }
    desk.count();
    match (desk.answer, verdict) {
        (Some(status), _) => (status, String::new()),
        (None, Some(Err(fault))) => (StatusCode::UNAUTHORIZED, format!("{fault}\n")),
        (None, Some(Ok(())) | None) => (StatusCode::OK, String::new()),
    }
}

struct Arrived<'a> {
    now: Timestamp,
    path: &'a str,
    id: &'a str,
    verdict: Option<Result<(), WebhookFault>>,
    is_known: bool,
    body: &'a [u8],
}

impl Arrived<'_> {
    /// The body as JSON, or else as a text.
    fn body(&self) -> Value {
        serde_json::from_slice(self.body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(self.body).into_owned()))
    }

    fn as_json(&self) -> Value {
        let fault = match self.verdict {
            Some(Err(fault)) => json!({ "code": fault.as_str(), "detail": fault.to_string() }),
            Some(Ok(())) | None => Value::Null,
        };
        json!({
            "at": self.now.to_string(),
            "path": self.path,
            "id": self.id,
            "verified": self.verdict.map(|verdict| verdict.is_ok()),
            "fault": fault,
            "seen_before": self.is_known,
            "body": self.body(),
        })
    }

    fn in_words(&self) -> String {
        let verdict = match self.verdict {
            None => "not verified: no key".to_owned(),
            Some(Ok(())) => "verified".to_owned(),
            Some(Err(fault)) => format!("NOT VERIFIED: {fault}"),
        };
        let again = if self.is_known { ", seen before" } else { "" };
        let body = self.body();
        let body = body.as_str().map_or_else(|| format!("{body:#}"), ToOwned::to_owned);
        let mut text = String::new();
        _ = writeln!(text, "{:.0} {} {} {verdict}{again}", self.now, self.path, self.id);
        text.push_str(&body);
        plain(&text)
    }
}

/// What came from elsewhere must not steer a terminal.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_steer_a_terminal_is_shown() {
        assert_eq!(plain("a\u{1b}[2J\u{9b}1m\r\nb\u{e4}"), "a\\u{1b}[2J\\u{9b}1m\\r\nb\u{e4}");
    }

    #[test]
    fn as_many_ids_are_known_again_as_the_limit_says() {
        let desk = Desk {
            keys: Vec::new(),
            answer: None,
            is_json: false,
            left: Mutex::new(None),
            seen: Mutex::default(),
            done: CancellationToken::new(),
        };
        for id in 0..REMEMBERED {
            assert!(!desk.is_known(&id.to_string()));
        }
        assert!(desk.is_known("0"));
        assert!(!desk.is_known("another"));
        assert!(!desk.is_known("0"), "the oldest has made room");
    }
}
