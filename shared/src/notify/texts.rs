//! What is said where a rule has no template of its own.

use crate::domain::webhook::PING;
use crate::domain::{Template, TemplateFault};

/// For an event that this release does not know.
const OTHER: &str = "{event} at {time}: {role} on {env}/{database}, host {host}.";

fn text(event: &str) -> &'static str {
    match event {
        "ticket.succeeded" => "{operation} of {role} on {env}/{database} is done: {outcome}. {ticket_url}",
        "ticket.failed" => "{operation} of {role} on {env}/{database} failed: {code}. {ticket_url}",
        "ticket.cancelled" => "{operation} of {role} on {env}/{database} was cancelled. {ticket_url}",
        "ticket.expired" => {
            "{operation} of {role} on {env}/{database} did not run before its deadline. {ticket_url}"
        }
        "secret.taken" => "The password of {role} on {env}/{database} was taken by {account}. {ticket_url}",
        "secret.expired" => {
            "Nobody took the password of {role} on {env}/{database} in time; it is gone. {ticket_url}"
        }
        "host.paused" => "{host} was paused by {account}. Its jobs wait.",
        "host.resumed" => "{host} was resumed by {account}.",
        "host.unreachable" => "{host} cannot be worked on: {code}. Its jobs wait.",
        "host.recovered" => "{host} can be worked on again.",
        PING => "This is a test message of Rolecall.",
        _ => OTHER,
    }
}

fn subject(event: &str) -> &'static str {
    match event.split_once('.') {
        Some(("host", _)) => "[Rolecall] {event}: {host}",
        Some(("ticket" | "secret", _)) => "[Rolecall] {event}: {role} on {env}/{database}",
        _ => "[Rolecall] {event}",
    }
}

/// The text of an event.
pub(super) fn default_text(event: &str) -> Result<Template, TemplateFault> {
    Template::parse(text(event))
}

/// The subject of an event's mail.
pub(super) fn default_subject(event: &str) -> Result<Template, TemplateFault> {
    Template::parse(subject(event))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::EventName;

    #[test]
    fn every_event_has_a_text_of_its_own() {
        let told = EventName::TOLD.iter().map(|event| event.as_str());
        for event in told.chain([PING]) {
            assert_ne!(default_text(event).unwrap().as_str(), OTHER, "{event}");
            assert!(default_subject(event).is_ok());
        }
        assert_eq!(default_text("something.new").unwrap().as_str(), OTHER);
    }
}
