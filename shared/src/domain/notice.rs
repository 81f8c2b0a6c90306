//! Of which events somebody can be told.

use super::EventName;

/// Reads what a rule lists: a name, all that begin with a word (`host.*`), or all (`*`).
pub fn told_events(text: &str) -> Result<Vec<EventName>, String> {
    let fits = |event: &EventName| match text.strip_suffix(".*") {
        Some(word) => event.as_str().split('.').next() == Some(word),
        None => text == "*" || text == event.as_str(),
    };
    let found: Vec<_> = EventName::TOLD.iter().copied().filter(fits).collect();
    if found.is_empty() {
        let known: Vec<_> = EventName::TOLD.iter().map(|event| event.as_str()).collect();
        return Err(format!("is no event that somebody can be told of; known are {}", known.join(", ")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_families_are_read() {
        assert_eq!(told_events("ticket.failed").unwrap(), [EventName::TicketFailed]);
        assert_eq!(told_events("secret.*").unwrap(), [EventName::SecretTaken, EventName::SecretExpired]);
        assert_eq!(told_events("*").unwrap(), EventName::TOLD);
        for text in ["", "ticket", "ticket.", "tick*", "*.failed", "login.failed", ".*", "TICKET.*"] {
            let fault = told_events(text).unwrap_err();
            assert!(fault.contains("host.paused, host.resumed"), "{text}: {fault}");
        }
    }
}
