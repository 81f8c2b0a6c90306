//! An event as a template sees it.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::domain::Placeholder;
use crate::domain::webhook::PING;

/// The longest value, in characters. Names are shorter; what is longer was not meant for a line of text.
const MAX_VALUE_CHARS: usize = 300;
/// What stands for a value that an event does not have.
const NONE: &str = "-";

/// The stored event: ids, states and names.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    event: String,
    time: String,
    data: Value,
}

impl Notice {
    /// Reads the stored bytes of an event (`type`, `timestamp`, `data`). None if they are none.
    pub fn read(body: &str) -> Option<Self> {
        let mut body: Value = serde_json::from_str(body).ok()?;
        let event = body.get("type")?.as_str()?.to_owned();
        let time = body.get("timestamp")?.as_str()?.to_owned();
        let data = body.get_mut("data")?.take();
        data.is_object().then_some(Self { event, time, data })
    }

    /// An event for trying out, of no ticket and no host.
    pub fn ping(at: Timestamp) -> Self {
        Self { event: PING.to_owned(), time: at.to_string(), data: json!({}) }
    }

    /// The event's name.
    pub fn event(&self) -> &str {
        &self.event
    }

    /// The bytes a receiver of JSON gets.
    pub fn body(&self) -> String {
        json!({ "type": self.event, "timestamp": self.time, "data": self.data }).to_string()
    }

    /// What a placeholder stands for, without control characters and not longer than a line. Not escaped.
    pub fn value(&self, placeholder: Placeholder, rule: &str) -> Cow<'_, str> {
        let found = match placeholder {
            Placeholder::Event => Some(self.event.clone()),
            Placeholder::Time => Some(self.time.clone()),
            Placeholder::Rule => Some(rule.to_owned()),
            Placeholder::Env
            | Placeholder::Database
            | Placeholder::Host
            | Placeholder::Kind
            | Placeholder::Role
            | Placeholder::Operation
            | Placeholder::Outcome
            | Placeholder::Code
            | Placeholder::Account
            | Placeholder::Ticket
            | Placeholder::TicketUrl
            | Placeholder::Sequence => text_of(self.data.get(placeholder.as_str())),
        };
        match found.map(|text| on_a_line(&text)) {
            Some(text) if !text.is_empty() => text.into(),
            Some(_) | None => NONE.into(),
        }
    }
}

fn text_of(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Names may hold anything an operator has allowed: what ends a line or turns its direction is left out.
fn on_a_line(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut kept = text.chars().filter(|c| !c.is_control() && !turns(*c));
    let mut line: String = kept.by_ref().take(MAX_VALUE_CHARS).collect();
    if kept.next().is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(data: &Value) -> Notice {
        let body = json!({ "type": "ticket.failed", "timestamp": "2026-11-28T10:00:00Z", "data": data });
        Notice::read(&body.to_string()).unwrap()
    }

    #[test]
    fn values_are_those_of_the_event() {
        let notice = notice(&json!({ "role": "ada", "sequence": 1, "ticket_url": "/api/v2/tickets/7" }));
        let value = |placeholder| notice.value(placeholder, "a-rule").into_owned();
        assert_eq!(value(Placeholder::Event), "ticket.failed");
        assert_eq!(value(Placeholder::Time), "2026-11-28T10:00:00Z");
        assert_eq!(value(Placeholder::Role), "ada");
        assert_eq!(value(Placeholder::Sequence), "1");
        assert_eq!(value(Placeholder::TicketUrl), "/api/v2/tickets/7");
        assert_eq!(value(Placeholder::Rule), "a-rule");
        assert_eq!(value(Placeholder::Host), "-");
    }

    #[test]
    fn a_value_stays_on_its_line() {
        let notice = notice(
            &json!({ "role": "a\r\nBcc: x\u{202e}y\u{0}\u{7f}", "database": "x".repeat(301), "env": "\n" }),
        );
        assert_eq!(notice.value(Placeholder::Role, ""), "aBcc: xy");
        assert_eq!(notice.value(Placeholder::Database, "").chars().count(), 301);
        assert!(notice.value(Placeholder::Database, "").ends_with("x…"));
        assert_eq!(notice.value(Placeholder::Env, ""), "-");
        assert_eq!(self::notice(&json!({ "role": "x".repeat(300) })).value(Placeholder::Role, "").len(), 300);
    }

    #[test]
    fn what_is_no_event_is_none() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"type":"a","timestamp":"b"}"#,
            r#"{"type":1,"timestamp":"b","data":{}}"#,
            r#"{"type":"a","timestamp":"b","data":[]}"#,
        ] {
            assert_eq!(Notice::read(body), None, "{body}");
        }
    }
}
