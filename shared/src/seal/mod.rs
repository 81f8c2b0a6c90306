//! Generated passwords, SCRAM verifiers, the AEAD key ring that seals secrets, and the signatures of webhooks.
//!
//! Owns everything that is drawn at random or kept secret by a key. Never logs, prints or serialises a secret:
//! its types have no `Debug` text and its errors name files, lines and key ids only. Reads the key file and the
//! operating system's generator, nothing else; the time is passed in.
//!
//! Tested beside each file; that PostgreSQL takes the verifiers, by real log-ins in the end-to-end suites.

mod api_token;
mod endpoint_keys;
mod error;
mod key_file;
mod keys;
mod password;
mod random;
mod replace;
mod ring;
mod verifier;
mod webhook;

use crate::domain::TicketId;

pub use api_token::ApiTokenText;
pub use endpoint_keys::EndpointKeys;
pub use error::{KeyRingError, OpenError};
pub use keys::{KeyState, SEALS_AFTER, add_key, list_keys, retire_key};
pub use password::Password;
pub use random::random_bytes;
pub use ring::{DerivedKey, KeyRing, RELOAD_EVERY, keyed_hash};
pub use verifier::Verifier;
pub use webhook::{
    InvalidWebhookKey, MessageId, ReceivedWebhook, SignedHeaders, VerifyingKey, WEBHOOK_TOLERANCE,
    WebhookFault, WebhookKey, WebhookScheme, sign_webhook, verify_webhook,
};

/// What a ticket's sealed password is bound to: taken out of one ticket and put into another, it does not open.
pub fn ticket_secret_context(ticket: TicketId) -> Vec<u8> {
    format!("ticket:{ticket}").into_bytes()
}
