//! What a receiver checks.

use jiff::{SignedDuration, Timestamp};

use super::sign::{MessageId, content};
use super::{VerifyingKey, WebhookScheme};

/// By how much a webhook's timestamp may differ from the receiver's clock; the specification's libraries take the same.
pub const WEBHOOK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// More signatures than a sender has reason to send are not looked at.
const MAX_SIGNATURES: usize = 16;

/// A webhook as it came.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedWebhook<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`.
    pub timestamp: &'a str,
    /// `webhook-signature`.
    pub signature: &'a str,
    /// The body, byte for byte.
    pub body: &'a [u8],
}

/// Why a webhook is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookFault {
    /// Empty, or with characters that an id cannot have.
    #[error("webhook-id is not the id of a message")]
    Id,
    /// Not whole seconds since 1970.
    #[error("webhook-timestamp is not a number of seconds since 1970")]
    Timestamp,
    /// Sent too long ago: it may have been kept, and sent again by somebody else.
    #[error("webhook-timestamp is {0} s in the past; the clocks differ, or this was sent before")]
    Old(i64),
    /// Not sent yet.
    #[error("webhook-timestamp is {0} s in the future; the clocks differ")]
    New(i64),
    /// Signed, but with no scheme for which the receiver has a key.
    #[error("webhook-signature holds no signature of the kind that the key verifies ({0})")]
    OtherScheme(&'static str),
    /// Signed by another key, or changed on its way.
    #[error("no signature fits: another key has signed it, or it was changed on its way")]
    Signature,
}

impl WebhookFault {
    /// A word for machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Id => "bad_id",
            Self::Timestamp => "bad_timestamp",
            Self::Old(_) => "too_old",
            Self::New(_) => "too_new",
            Self::OtherScheme(_) => "other_scheme",
            Self::Signature => "bad_signature",
        }
    }
}

/// Whether one of the keys has signed this, within `tolerance` of now. While keys are being changed a receiver may
/// have two.
pub fn verify_webhook(
    keys: &[VerifyingKey],
    received: ReceivedWebhook<'_>,
    now: Timestamp,
    tolerance: SignedDuration,
) -> Result<(), WebhookFault> {
    let id = MessageId::parse(received.id).ok_or(WebhookFault::Id)?;
    check_age(received.timestamp, now, tolerance)?;
    let content = content(id.as_str(), received.timestamp, received.body);
    let signatures =
        || received.signature.split(' ').take(MAX_SIGNATURES).filter_map(|one| one.split_once(','));
    let of = |scheme: WebhookScheme| signatures().filter(move |(version, _)| *version == scheme.version());
    if keys.iter().any(|key| of(key.scheme()).any(|(_, signature)| key.fits(&content, signature))) {
        return Ok(());
    }
    let looked_for = keys.iter().find(|key| of(key.scheme()).next().is_none());
    match looked_for {
        Some(key) if keys.len() == 1 => Err(WebhookFault::OtherScheme(key.scheme().version())),
        Some(_) | None => Err(WebhookFault::Signature),
    }
}

fn check_age(timestamp: &str, now: Timestamp, tolerance: SignedDuration) -> Result<(), WebhookFault> {
    // `i64::from_str` takes a plus sign too, which is another text under the same signature's time.
    let is_plain = !timestamp.is_empty() && timestamp.bytes().all(|b| b.is_ascii_digit());
    let seconds = timestamp.parse::<i64>().ok().filter(|_| is_plain).ok_or(WebhookFault::Timestamp)?;
    let age = now.as_second().saturating_sub(seconds);
    let most = tolerance.as_secs();
    if age > most {
        return Err(WebhookFault::Old(age));
    }
    if age < -most { Err(WebhookFault::New(age.saturating_neg())) } else { Ok(()) }
}
