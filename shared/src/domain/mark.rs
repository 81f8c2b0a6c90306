//! The mark on a role: `rolecall:1:<ticket>:<kind>`, set as its comment in the transaction that makes it.

use std::fmt;
use std::str::FromStr;

use super::{KindName, TicketId};

/// The proof that a ticket made a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The ticket that made it.
    pub ticket: TicketId,
    /// As which kind.
    pub kind: KindName,
}

/// Some other comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAMark;

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rolecall:1:{}:{}", self.ticket, self.kind)
    }
}

impl FromStr for Mark {
    type Err = NotAMark;

    fn from_str(text: &str) -> Result<Self, NotAMark> {
        let (ticket, kind) =
            text.strip_prefix("rolecall:1:").and_then(|rest| rest.split_once(':')).ok_or(NotAMark)?;
        Ok(Self {
            ticket: ticket.parse().map_err(|_| NotAMark)?,
            kind: KindName::parse(kind).map_err(|_| NotAMark)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_and_other_comments_are_none() {
        let mark = Mark { ticket: TicketId::derived("a", "b"), kind: KindName::parse("app-k8s").unwrap() };
        assert_eq!(mark.to_string().parse(), Ok(mark.clone()));
        for text in ["", "made by hand", "rolecall:1:x:app", &format!("rolecall:2:{}:app", mark.ticket)] {
            assert_eq!(text.parse::<Mark>(), Err(NotAMark), "{text:?}");
        }
    }
}
