//! Signatures of webhooks after Standard Webhooks 1.0.0 (<https://www.standardwebhooks.com>).
//!
//! Owns: keys and their texts (`keys`), the three headers that a sender adds (`sign`), and the check that a receiver
//! makes of them (`verify`). Sends and receives nothing; never prints a key: keys that sign have no `Debug` text and
//! are wiped when dropped.
//!
//! What is signed is `<webhook-id>.<webhook-timestamp>.<body>`, so neither of the first two may hold a full stop.
//!
//! Tested in `tests` beside these files with the vectors that the specification's own libraries publish, and by those
//! libraries in the suite `webhook_signatures` of the crate `rolecall-tests`.

mod keys;
mod sign;
#[cfg(test)]
mod tests;
mod verify;

pub use keys::{InvalidWebhookKey, VerifyingKey, WebhookKey, WebhookScheme};
pub use sign::{MessageId, SignedHeaders, sign_webhook};
pub use verify::{ReceivedWebhook, WEBHOOK_TOLERANCE, WebhookFault, verify_webhook};
