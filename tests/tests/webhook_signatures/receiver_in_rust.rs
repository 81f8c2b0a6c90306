//! `WEBHOOK_KEYS="whsec_…"`, two of them while keys change.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

pub type Keys = Arc<Vec<Hmac<Sha256>>>;

pub fn keys(texts: &str) -> Option<Keys> {
    let key = |text: &str| {
        let bytes = STANDARD.decode(text.strip_prefix("whsec_")?).ok()?;
        Hmac::new_from_slice(&bytes).ok()
    };
    texts.split_whitespace().map(key).collect::<Option<Vec<_>>>().map(Arc::new)
}

fn verified(keys: &Keys, headers: &HeaderMap, body: &[u8]) -> Option<()> {
    let header = |name| headers.get(name)?.to_str().ok();
    let (id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    if timestamp.parse::<u64>().ok()?.abs_diff(now) > 300 || id.contains('.') {
        return None;
    }
    let signed = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let signatures = header("webhook-signature")?.split(' ').filter_map(|one| one.strip_prefix("v1,"));
    let mut signatures = signatures.filter_map(|one| STANDARD.decode(one).ok());
    // Compares in constant time.
    let fits =
        |one: &[u8]| keys.iter().any(|key| key.clone().chain_update(&signed).verify_slice(one).is_ok());
    signatures.any(|one| fits(&one)).then_some(())
}

async fn receive(State(keys): State<Keys>, headers: HeaderMap, body: Bytes) -> StatusCode {
    if verified(&keys, &headers, &body).is_none() {
        return StatusCode::UNAUTHORIZED;
    }
    // Here: what is to be done, once for each id.
    println!("{:?} {}", headers["webhook-id"], String::from_utf8_lossy(&body).escape_debug());
    StatusCode::OK
}

pub fn app(keys: Keys) -> Router {
    Router::new().route("/", post(receive)).with_state(keys)
}

#[tokio::main]
async fn main() {
    let keys = std::env::var("WEBHOOK_KEYS").ok().and_then(|texts| keys(&texts));
    let keys = keys.expect("WEBHOOK_KEYS holds keys that begin with whsec_");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await.expect("a free port");
    axum::serve(listener, app(keys)).await.expect("it goes on for ever");
}
