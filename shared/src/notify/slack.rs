//! Slack: an incoming webhook (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>).
//!
//! It answers `200 ok`; what is wrong is a status of its own with a word in the body (`invalid_payload`,
//! `no_service`, `channel_is_archived`), and 429 with `Retry-After`.

use serde_json::{Value, json};

/// The longest text, in characters; Slack cuts what is longer than 40,000.
pub(super) const MAX_CHARS: usize = 8_000;

/// Links are not unfolded: nobody asked a ticket's page into the room.
pub(super) fn body(text: &str) -> Value {
    json!({ "text": text, "mrkdwn": true, "unfurl_links": false, "unfurl_media": false })
}
