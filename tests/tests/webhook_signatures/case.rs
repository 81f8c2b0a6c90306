//! Signed webhooks, and what has been done to them.

use jiff::{SignedDuration, Timestamp};
use rolecall_shared::domain::{Clock as _, SystemClock};
use rolecall_shared::seal::{MessageId, SignedHeaders, WebhookKey, WebhookScheme, sign_webhook};
use uuid::Uuid;

/// With everything in it that a receiver could trip over: full stops, spaces, other scripts.
pub const BODY: &str =
    r#"{"type": "ticket.succeeded", "timestamp": "2026-11-28T09:00:00Z", "data": {"note": "a. b 'é' 日本"}}"#;

/// A webhook as a receiver sees it.
#[derive(Debug, Clone)]
pub struct Webhook {
    pub headers: SignedHeaders,
    pub body: String,
}

impl Webhook {
    pub fn signed(keys: &[&WebhookKey]) -> Self {
        Self::signed_at(keys, SystemClock.now())
    }

    pub fn signed_at(keys: &[&WebhookKey], at: Timestamp) -> Self {
        let id = MessageId::from(Uuid::from_u128(0x1234_5678));
        Self { headers: sign_webhook(keys.iter().copied(), &id, at, BODY.as_bytes()), body: BODY.to_owned() }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// The keys of a receiver, those before them, and somebody else's.
pub struct Keys {
    pub hmac: WebhookKey,
    pub old_hmac: WebhookKey,
    pub ed25519: WebhookKey,
    pub old_ed25519: WebhookKey,
    pub others: [WebhookKey; 2],
}

impl Keys {
    pub fn generate() -> Self {
        let [hmac, old_hmac, other] = [(); 3].map(|()| WebhookKey::generate(WebhookScheme::HmacSha256));
        let [ed25519, old_ed25519, other_ed25519] =
            [(); 3].map(|()| WebhookKey::generate(WebhookScheme::Ed25519));
        Self { hmac, old_hmac, ed25519, old_ed25519, others: [other, other_ed25519] }
    }

    /// What a receiver with `hmac` or `ed25519` has to take, each with what it shows.
    pub fn good(&self) -> Vec<(&'static str, Webhook)> {
        let now = SystemClock.now();
        let minutes = |minutes: i64| now + SignedDuration::from_secs(minutes * 60);
        let both = [&self.hmac, &self.ed25519];
        vec![
            ("a header that holds both", Webhook::signed(&both)),
            (
                "a header while keys change",
                Webhook::signed(&[&self.ed25519, &self.hmac, &self.old_ed25519, &self.old_hmac]),
            ),
            (
                "the new key's signature last",
                Webhook::signed(&[&self.old_hmac, &self.old_ed25519, both[0], both[1]]),
            ),
            (
                "signatures of kinds to come",
                Webhook::signed(&both).with(|webhook| {
                    webhook.headers.signature = format!("v2,AAAA {} v1b,x", webhook.headers.signature);
                }),
            ),
            ("four minutes old", Webhook::signed_at(&both, minutes(-4))),
            ("four minutes ahead", Webhook::signed_at(&both, minutes(4))),
        ]
    }

    /// What it must refuse.
    pub fn bad(&self) -> Vec<(&'static str, Webhook)> {
        let now = SystemClock.now();
        let minutes = |minutes: i64| now + SignedDuration::from_secs(minutes * 60);
        let both = [&self.hmac, &self.ed25519];
        let changed = |change: fn(&mut Webhook)| Webhook::signed(&both).with(change);
        vec![
            ("somebody else's keys", Webhook::signed(&[&self.others[0], &self.others[1]])),
            ("the keys of yesterday alone", Webhook::signed(&[&self.old_hmac, &self.old_ed25519])),
            ("six minutes old", Webhook::signed_at(&both, minutes(-6))),
            ("six minutes ahead", Webhook::signed_at(&both, minutes(6))),
            ("another body", changed(|webhook| webhook.body = webhook.body.replacen('a', "b", 1))),
            ("a space more", changed(|webhook| webhook.body.push(' '))),
            ("another id", changed(|webhook| webhook.headers.id.push('0'))),
            (
                "another second",
                changed(|webhook| {
                    let seconds: i64 = webhook.headers.timestamp.parse().expect("seconds");
                    webhook.headers.timestamp = (seconds + 1).to_string();
                }),
            ),
            ("a full stop in the id", cut_elsewhere(&both)),
            ("a timestamp that is none", changed(|webhook| webhook.headers.timestamp = "now".into())),
            (
                "signatures without their kind",
                changed(|webhook| {
                    webhook.headers.signature =
                        webhook.headers.signature.replace("v1,", "").replace("v1a,", "");
                }),
            ),
            ("cut signatures", changed(|webhook| webhook.headers.signature.truncate(20))),
            ("empty signatures", changed(|webhook| webhook.headers.signature = "v1, v1a,".into())),
            ("no signature", changed(|webhook| webhook.headers.signature.clear())),
        ]
    }
}

/// The same signed text in other parts: the body began with a timestamp, and the id now ends with one.
fn cut_elsewhere(keys: &[&WebhookKey]) -> Webhook {
    let (id, now) = (MessageId::from(Uuid::from_u128(1)), SystemClock.now());
    let body = format!("{}.{BODY}", now.as_second());
    let mut headers = sign_webhook(keys.iter().copied(), &id, now, body.as_bytes());
    headers.id = format!("{id}.{}", headers.timestamp);
    Webhook { headers, body: BODY.to_owned() }
}
