//! Webex: the messages API, as a bot (<https://developer.webex.com/docs/api/v1/messages/create-a-message>).
//!
//! It answers 200 with the message, 401 for a token it does not know, 404 for a room the bot is not in, and 429 with
//! `Retry-After`.

use serde_json::{Value, json};

/// The longest text; the API takes 7,439 bytes, and a character may be four of them.
pub(super) const MAX_CHARS: usize = 1_850;

/// A message for a room.
pub(super) fn body(room: &str, text: &str) -> Value {
    json!({ "roomId": room, "markdown": text })
}
