//! `ETag`, `If-Match` and `If-None-Match` (RFC 9110, section 13).

use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use rolecall_shared::domain::ticket::Ticket;
use rolecall_shared::domain::{Code, Failure};

use crate::app::targets::Expected;

/// The entity tag of a ticket, without its quotes. A final ticket is told by its state and by whether its password is
/// still there: the store's count of changes does not outlive the store.
pub(super) fn ticket_tag(ticket: &Ticket, secret_available: bool) -> String {
    if !ticket.state.is_final() {
        return ticket.revision.to_string();
    }
    let secret = if secret_available { "+secret" } else { "" };
    format!("{}{secret}", ticket.state.as_str())
}

/// A weak tag: what is shown beside a ticket (why it waits) changes without it.
pub(super) fn weak(tag: &str) -> HeaderValue {
    HeaderValue::try_from(format!("W/\"{tag}\"")).unwrap_or(HeaderValue::from_static("W/\"\""))
}

/// The strong tag of a target's revision.
pub(super) fn revision(revision: i64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{revision}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The tags a caller has (`If-None-Match`), compared weakly.
#[derive(Debug, Default)]
pub(super) struct Known(Vec<String>);

impl Known {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        Self(tags(headers, &IF_NONE_MATCH))
    }

    pub(super) fn has(&self, tag: &str) -> bool {
        self.0.iter().any(|known| known == tag || known == "*")
    }

    /// The revision of an unfinished ticket among the tags.
    pub(super) fn ticket_revision(&self) -> Option<u64> {
        self.0.iter().find_map(|tag| tag.parse().ok())
    }
}

/// What a caller demands of a target before it is changed.
pub(super) fn expected(headers: &HeaderMap) -> Result<Expected, Failure> {
    let malformed = |detail| Err(Failure::new(Code::MalformedRequest, detail));
    match (tags(headers, &IF_MATCH).as_slice(), tags(headers, &IF_NONE_MATCH).as_slice()) {
        ([], []) => Ok(Expected::Anything),
        ([], [any]) if any == "*" => Ok(Expected::Nothing),
        ([any], []) if any == "*" => Ok(Expected::Something),
        // A tag we never gave, unreadable ones among them, is a revision that is not there: no revision is negative.
        // An unreadable demand must not become none.
        ([tag], []) => Ok(Expected::Revision(tag.parse().ok().filter(|n| *n > 0).unwrap_or(-1))),
        ([], _) => malformed("If-None-Match takes * only when something is changed."),
        (_, []) => malformed("If-Match takes one entity tag."),
        _ => malformed("If-Match and If-None-Match exclude each other."),
    }
}

/// The opaque parts of all tags. None of ours has a comma in it. What cannot be read comes as the empty tag, which is
/// none of ours either.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let texts = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
    texts
        .flat_map(|text| text.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use rolecall_shared::domain::ticket::State;

    use super::*;
    use crate::app::fakes;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_tag_comes_back_as_it_went_out() {
        let mut ticket = fakes::ticket("r1");
        (ticket.state, ticket.revision) = (State::Queued, 7);
        let tag = ticket_tag(&ticket, false);
        let mut sent = HeaderMap::new();
        sent.insert(IF_NONE_MATCH, weak(&tag));
        let known = Known::read(&sent);
        assert!(known.has(&tag) && known.ticket_revision() == Some(7));

        ticket.state = State::Succeeded;
        assert!(!known.has(&ticket_tag(&ticket, true)));
        assert_ne!(ticket_tag(&ticket, true), ticket_tag(&ticket, false));
        assert_eq!(Known::read(&headers(&[(IF_NONE_MATCH, "\"succeeded\"")])).ticket_revision(), None);
    }

    #[test]
    fn demands_are_read_or_refused() {
        let of = |pairs: &[(HeaderName, &'static str)]| expected(&headers(pairs)).map_err(|f| f.code());
        assert_eq!(of(&[]), Ok(Expected::Anything));
        assert_eq!(of(&[(IF_MATCH, "\"3\"")]), Ok(Expected::Revision(3)));
        assert_eq!(of(&[(IF_MATCH, "*")]), Ok(Expected::Something));
        assert_eq!(of(&[(IF_NONE_MATCH, "*")]), Ok(Expected::Nothing));
        // 0 would mean "must not exist" further down; no tag of ours says it.
        assert_eq!(of(&[(IF_MATCH, "\"0\"")]), Ok(Expected::Revision(-1)));
        for tag in ["\"other\"", "\"\"", "", "W/\"\""] {
            assert_eq!(of(&[(IF_MATCH, tag)]), Ok(Expected::Revision(-1)), "{tag}");
        }
        let unreadable = HeaderMap::from_iter([(IF_MATCH, HeaderValue::from_bytes(b"\"\xff\"").unwrap())]);
        assert_eq!(expected(&unreadable).unwrap(), Expected::Revision(-1));
        for pairs in [
            &[(IF_NONE_MATCH, "\"3\"")][..],
            &[(IF_MATCH, "\"3\", \"4\"")],
            &[(IF_MATCH, "\"3\""), (IF_NONE_MATCH, "*")],
        ] {
            assert_eq!(of(pairs), Err(Code::MalformedRequest), "{pairs:?}");
        }
    }
}
