//! What was found, and what to do about it.

use std::fmt;

use rolecall_shared::domain::Failure;
use serde_json::{Value, json};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Well,
    /// It cannot be seen from here.
    Unseen,
    /// Rolecall works, and a promise is in danger, or a kind of job will fail.
    Warning,
    /// Rolecall does not work.
    Fault,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::Unseen => "unseen",
            Self::Warning => "warning",
            Self::Fault => "fault",
        }
    }
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub level: Level,
    /// Which server, or which part.
    subject: String,
    /// How it is.
    what: String,
    /// What to type, or to do, next.
    next: Option<String>,
}

impl Finding {
    pub fn well(subject: impl Into<String>, what: impl fmt::Display) -> Self {
        Self { level: Level::Well, subject: subject.into(), what: what.to_string(), next: None }
    }

    pub fn unseen(subject: impl Into<String>, what: impl fmt::Display, next: impl Into<String>) -> Self {
        Self::with_next(Level::Unseen, subject, what, next)
    }

    pub fn warning(subject: impl Into<String>, what: impl fmt::Display, next: impl Into<String>) -> Self {
        Self::with_next(Level::Warning, subject, what, next)
    }

    pub fn fault(subject: impl Into<String>, what: impl fmt::Display, next: impl Into<String>) -> Self {
        Self::with_next(Level::Fault, subject, what, next)
    }

    /// A fault with its inner cause: whoever types this command is the operator, who needs it.
    pub fn failure(subject: impl Into<String>, failure: &Failure, next: impl Into<String>) -> Self {
        let what = match failure.cause_chain() {
            Some(cause) => format!("{} ({cause})", failure.detail()),
            None => failure.detail().to_owned(),
        };
        Self::fault(subject, what, next)
    }

    fn with_next(
        level: Level,
        subject: impl Into<String>,
        what: impl fmt::Display,
        next: impl Into<String>,
    ) -> Self {
        Self { level, subject: subject.into(), what: what.to_string(), next: Some(next.into()) }
    }

    pub fn json(&self) -> Value {
        json!({ "level": self.level.as_str(), "subject": self.subject, "what": self.what, "next": self.next })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<8} {}: {}", self.level.as_str(), self.subject, self.what)?;
        match &self.next {
            Some(next) => writeln!(f, "         next: {next}"),
            None => Ok(()),
        }
    }
}
