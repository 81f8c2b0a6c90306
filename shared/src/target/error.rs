//! What went wrong on a target, as the lane acts on it.

use std::fmt;
use std::time::Duration;

use crate::domain::Code;

use super::judge::{self, Phase, Trouble};

/// What kind of trouble it is; judged by phase, SQLSTATE and kind of error in one table (`judge.rs`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The job fails at once; later jobs go on.
    Permanent {
        /// The stable code of the failure.
        code: Code,
        /// For callers: a fixed text, the SQLSTATE and the server's primary message if it is harmless.
        detail: String,
    },
    /// The object is there already (42710, 23505): on a create, probe again.
    Exists,
    /// Two changes met (40001, 40P01, "tuple concurrently updated"): again in place, a bounded number of times.
    TryAgain,
    /// The host is in trouble: the batch goes back, the host's jobs wait.
    Host {
        /// For callers and `waiting_reason`.
        cause: String,
    },
    /// The log-in is refused: its jobs wait until the target is changed.
    Login {
        /// For callers and `waiting_reason`.
        cause: String,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Permanent { code, detail } => write!(f, "{}: {detail}", code.as_str()),
            Self::Exists => f.write_str("the object exists already"),
            Self::TryAgain => f.write_str("two changes met"),
            Self::Host { cause } => write!(f, "the host is in trouble: {cause}"),
            Self::Login { cause } => write!(f, "the log-in is refused: {cause}"),
        }
    }
}

/// A target did not do what was asked.
///
/// Its `Debug` text leaves the source out: a server's detail and context may repeat parts of a statement.
#[derive(thiserror::Error)]
#[error("{verdict}")]
pub struct TargetError {
    /// What to do about it.
    pub verdict: Verdict,
    /// The server's SQLSTATE, if the server said something.
    pub sqlstate: Option<String>,
    /// A COMMIT was sent and its answer is not known: the transaction may be committed. Only the mark on the role
    /// (or running the job again) tells. `false` means it is certainly not committed.
    pub commit_unknown: bool,
    /// The driver's error, for the log; left out when it quotes a verifier.
    #[source]
    pub source: Option<tokio_postgres::Error>,
}

impl fmt::Debug for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetError")
            .field("verdict", &self.verdict)
            .field("sqlstate", &self.sqlstate)
            .field("commit_unknown", &self.commit_unknown)
            .finish_non_exhaustive()
    }
}

impl TargetError {
    /// The host is in trouble, as its lane found and not the driver.
    pub fn host(cause: impl Into<String>) -> Self {
        Self::of(Verdict::Host { cause: cause.into() })
    }

    /// Judges an error of the driver.
    pub(super) fn from_driver(phase: Phase, error: tokio_postgres::Error) -> Self {
        let trouble = judge::classify(&error);
        let verdict = judge::judge(phase, &trouble);
        // An ERROR in answer to COMMIT means rolled back. A FATAL may come after the commit record is written (a
        // backend that is ended while it waits for a synchronous standby), so it proves nothing.
        let answered = matches!(trouble, Trouble::Server { fatal: false, .. });
        Self {
            verdict,
            sqlstate: error.code().map(|code| code.code().to_owned()),
            commit_unknown: phase == Phase::Commit && !answered,
            source: judge::may_be_logged(&error).then_some(error),
        }
    }

    /// An answer has a column that cannot be read. The session is in order.
    pub(super) fn unreadable(error: tokio_postgres::Error) -> Self {
        let detail =
            "The target's server answers with something that cannot be read; its texts may not be UTF-8.";
        Self { source: Some(error), ..Self::permanent(Code::TargetError, detail) }
    }

    /// The session was closed before anything was sent: nothing has happened.
    pub(super) fn closed_before_sending(phase: Phase) -> Self {
        Self::of(judge::judge(phase, &Trouble::Closed))
    }

    /// No answer in time; the statement was sent.
    pub(super) fn timed_out(phase: Phase, limit: Duration) -> Self {
        let verdict = judge::judge(phase, &Trouble::TimedOut { limit });
        Self { commit_unknown: phase == Phase::Commit, ..Self::of(verdict) }
    }

    pub(super) fn permanent(code: Code, detail: impl Into<String>) -> Self {
        Self::of(Verdict::Permanent { code, detail: detail.into() })
    }

    pub(super) fn login(cause: impl Into<String>) -> Self {
        Self::of(Verdict::Login { cause: cause.into() })
    }

    fn of(verdict: Verdict) -> Self {
        Self { verdict, sqlstate: None, commit_unknown: false, source: None }
    }
}
