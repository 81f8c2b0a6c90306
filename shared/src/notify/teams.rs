//! Microsoft Teams: an incoming webhook, or a workflow of the kind "post to a channel when a webhook request is received"
//! (<https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>).
//!
//! A workflow answers 202. The older kind answers 200 and `1`, and says in the body of a 200 what went wrong.

use serde_json::{Value, json};

/// The longest text; a message may have 28 KB.
pub(super) const MAX_CHARS: usize = 6_000;
/// What the older kind answers when Teams refused the message, the status of Teams behind it.
const REFUSED: &str = "Microsoft Teams endpoint returned HTTP error ";

/// A message with one Adaptive Card.
pub(super) fn body(text: &str) -> Value {
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": [{ "type": "TextBlock", "text": text, "wrap": true }],
            },
        }],
    })
}

/// The status that Teams gave, where the answer was 200 and its body says that the message was refused.
pub(super) fn hidden_refusal(answer: &str) -> Option<u16> {
    let (_, rest) = answer.split_once(REFUSED)?;
    rest.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_in_a_good_answer_is_found() {
        let told = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with \
                    ContextId tcid=1,server=X.";
        assert_eq!(hidden_refusal(told), Some(429));
        for good in ["1", "", "HTTP error 429", "Microsoft Teams endpoint returned HTTP error "] {
            assert_eq!(hidden_refusal(good), None, "{good}");
        }
    }
}
