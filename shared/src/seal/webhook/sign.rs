//! What a sender adds to a webhook.

use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

use super::WebhookKey;

const MAX_ID_BYTES: usize = 128;

/// The id of a message: the same for every try, so that a receiver can tell that it has seen it.
///
/// 1 to 128 characters of `A-Za-z0-9_-`. Above all no full stop: with one, parts of id and timestamp could change
/// places under one signature.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageId(String);

impl MessageId {
    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        let fits = (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(is_plain);
        fits.then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Uuid> for MessageId {
    /// `msg_` and 32 hexadecimal digits.
    fn from(id: Uuid) -> Self {
        Self(format!("msg_{}", id.simple()))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The three headers of a signed webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHeaders {
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`: seconds since 1970, of this try and not of the event.
    pub timestamp: String,
    /// `webhook-signature`: one signature per key, separated by spaces.
    pub signature: String,
}

impl SignedHeaders {
    /// `webhook-id`.
    pub const ID: &str = "webhook-id";
    /// `webhook-timestamp`.
    pub const TIMESTAMP: &str = "webhook-timestamp";
    /// `webhook-signature`.
    pub const SIGNATURE: &str = "webhook-signature";

    /// Names and values.
    pub fn pairs(&self) -> [(&'static str, &str); 3] {
        [(Self::ID, &self.id), (Self::TIMESTAMP, &self.timestamp), (Self::SIGNATURE, &self.signature)]
    }
}

/// Signs a body, as it is sent byte for byte, with every key: while keys are being changed that is the new and the old
/// one, and each receiver finds a signature of the key it has. Without a key the signature is empty, which no receiver
/// takes.
pub fn sign_webhook<'a>(
    keys: impl IntoIterator<Item = &'a WebhookKey>,
    id: &MessageId,
    at: Timestamp,
    body: &[u8],
) -> SignedHeaders {
    let (id, timestamp) = (id.as_str().to_owned(), at.as_second().to_string());
    let content = content(&id, &timestamp, body);
    let signatures: Vec<_> = keys.into_iter().map(|key| key.sign(&content)).collect();
    SignedHeaders { id, timestamp, signature: signatures.join(" ") }
}

/// What is signed.
pub(super) fn content(id: &str, timestamp: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat()
}
