//! What can go wrong with the control database, and which failure it is for the caller.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::rows::UnreadableRow;
use crate::domain::{Code, Failure};

/// When to come back after the control database was away. A failed-over or restarted server takes seconds.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a call did not do its work.
#[derive(Debug)]
pub(super) enum Error {
    /// No connection could be had; nothing was sent.
    Away(Box<dyn StdError + Send + Sync>),
    /// No answer in time; what was sent may have happened.
    TimedOut,
    /// It answers and takes no changes.
    ReadOnly,
    /// The driver or the server reported it.
    Postgres(tokio_postgres::Error),
    /// A row of ours holds something this program cannot read.
    Row(UnreadableRow),
    /// It was done, and it is not known whether it stands in the audit's ledger.
    NotInLedger(Failure),
    /// The request is refused. The session is in order; its transaction rolls back.
    Refused(Failure),
}

impl Error {
    /// Whether the database was away or did not answer, as opposed to having answered something.
    pub(super) fn is_unavailable(&self) -> bool {
        match self {
            Self::Away(_) | Self::TimedOut | Self::ReadOnly => true,
            Self::Postgres(error) => is_unavailable(error),
            Self::NotInLedger(failure) => failure.code() == Code::ControlDatabaseUnavailable,
            Self::Row(_) | Self::Refused(_) => false,
        }
    }

    /// Whether the database may have done what was asked although it did not say so.
    pub(super) fn may_have_happened(&self) -> bool {
        match self {
            Self::Away(_) | Self::ReadOnly => false,
            Self::TimedOut | Self::Postgres(_) | Self::NotInLedger(_) | Self::Row(_) | Self::Refused(_) => {
                self.is_unavailable()
            }
        }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<UnreadableRow> for Error {
    fn from(error: UnreadableRow) -> Self {
        Self::Row(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Away(cause) => unavailable(cause),
            Error::TimedOut => unavailable("no answer within control.timeout"),
            Error::ReadOnly => read_only("transaction_read_only is on"),
            Error::Postgres(error) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => {
                read_only(described(error))
            }
            Error::Postgres(error) if is_unavailable(&error) => unavailable(described(error)),
            Error::Postgres(error) if is_unstorable_text(&error) => {
                Self::new(Code::InvalidRequest, "A text holds a NUL character, which cannot be stored.")
                    .caused_by(described(error))
            }
            Error::Postgres(error) => Self::internal(described(error)),
            Error::Row(error) => Self::internal(error),
            Error::NotInLedger(failure) | Error::Refused(failure) => failure,
        }
    }
}

/// The control database is away.
pub(super) fn unavailable(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Failure {
    away("The control database does not answer; try again.", cause)
}

/// The control database cannot be written to: what is there is a standby, or a primary that was demoted.
fn read_only(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Failure {
    away("The control database is read-only now; try again.", cause)
}

fn away(detail: &'static str, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Failure {
    Failure::new(Code::ControlDatabaseUnavailable, detail).retry_after(RETRY_AFTER).caused_by(cause)
}

/// Connection trouble, a server that starts, stops, is full or only reads, and what passes when it is tried again.
fn is_unavailable(error: &tokio_postgres::Error) -> bool {
    let Some(state) = error.code() else {
        // The driver says what kind it is by its text only; but a dead connection is closed or has an I/O cause.
        return error.is_closed() || error.source().is_some_and(<dyn StdError>::is::<std::io::Error>);
    };
    // Appendix A of PostgreSQL's manual: 08 connection, 28 authorisation, 3D no such database, 40 rolled back
    // (deadlock, serialisation), 53 resources, 57 operator (statement timeout, shutdown).
    matches!(&state.code()[..2], "08" | "28" | "3D" | "40" | "53" | "57")
        || [
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            SqlState::LOCK_NOT_AVAILABLE,
        ]
        .contains(state)
}

/// PostgreSQL stores every character but U+0000, in `text` and in `jsonb`.
fn is_unstorable_text(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|state| {
        [SqlState::CHARACTER_NOT_IN_REPERTOIRE, SqlState::UNTRANSLATABLE_CHARACTER].contains(state)
    })
}

/// The cause for the log. A server's error is cut down to what holds no data: its DETAIL may repeat whole rows.
pub(super) fn described(error: tokio_postgres::Error) -> Box<dyn StdError + Send + Sync> {
    match error.as_db_error() {
        Some(db) => Box::new(ServerError {
            state: db.code().code().to_owned(),
            message: db.message().to_owned(),
            about: db.constraint().or(db.table()).map(str::to_owned),
        }),
        None => Box::new(error),
    }
}

/// An error of the server without its DETAIL.
#[derive(Debug)]
struct ServerError {
    state: String,
    message: String,
    about: Option<String>,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {}", self.message, self.state)?;
        match &self.about {
            Some(about) => write!(f, ", {about})"),
            None => f.write_str(")"),
        }
    }
}

impl StdError for ServerError {}
