//! The one table from an error to a [`Verdict`] ("`PostgreSQL` Error Codes", appendix A of its manual).

use std::error::Error as _;
use std::io;
use std::time::Duration;

use tokio_postgres::error::Severity;

use crate::domain::Code;

use super::Verdict;

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Opening a session: name look-up, TCP, TLS, authentication, start of the session.
    Connect,
    /// A statement or a query.
    Statement,
    /// A COMMIT, alone or at the end of a script.
    Commit,
}

/// The kind of an error, without the driver's types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The server answered with an error.
    Server {
        sqlstate: String,
        message: String,
        /// FATAL or PANIC: the session is gone.
        fatal: bool,
    },
    /// TLS was tried and refused by one side: certificate, protocol version, or no TLS on the server.
    Tls(String),
    /// The driver refuses to authenticate: a method it does not know, or a server that cannot prove itself.
    Authentication(String),
    /// Name look-up, TCP, a stream that broke, or an answer that is not `PostgreSQL`'s.
    Network(String),
    /// The session is closed.
    Closed,
    /// No answer in time.
    TimedOut { limit: Duration },
    /// A fault of ours: a parameter or column that does not fit.
    Driver(String),
}

/// How a verifier begins: the only secret in a statement of ours.
const VERIFIER: &str = "SCRAM-SHA-256$";

/// Over this the server's message is cut, in characters.
const MAX_MESSAGE: usize = 300;

/// What to do about it.
pub(super) fn judge(phase: Phase, trouble: &Trouble) -> Verdict {
    match trouble {
        Trouble::Server { sqlstate, message, fatal } => match phase {
            Phase::Connect => refused_connect(sqlstate, message),
            Phase::Statement | Phase::Commit => refused_statement(sqlstate, message, *fatal),
        },
        Trouble::Tls(text) => Verdict::Login { cause: format!("TLS failed: {text}") },
        Trouble::Authentication(text) => Verdict::Login { cause: format!("authentication failed: {text}") },
        Trouble::Network(text) => Verdict::Host { cause: text.clone() },
        Trouble::Closed => Verdict::Host { cause: "the connection is closed".to_owned() },
        Trouble::TimedOut { limit } => {
            Verdict::Host { cause: format!("no answer within {} ms", limit.as_millis()) }
        }
        Trouble::Driver(_) => Verdict::Permanent {
            code: Code::Internal,
            detail: "Something went wrong on our side; the log has the reason.".to_owned(),
        },
    }
}

fn refused_connect(sqlstate: &str, message: &str) -> Verdict {
    match sqlstate {
        // Invalid authorization; no CONNECT on the database.
        code if code.starts_with("28") || code == "42501" => {
            Verdict::Login { cause: with_message("the server refuses the log-in", sqlstate, message) }
        }
        "3D000" => missing_database(sqlstate, message),
        // A pooler's answer to our session settings; `check` says what to do.
        "08P01" if message.contains("startup parameter") => Verdict::Host {
            cause: with_message(
                "something before the server refuses our session settings; a transaction pooler cannot be a \
                 target, register the server itself",
                sqlstate,
                message,
            ),
        },
        // Whatever keeps a session from starting is no job's fault.
        _ => host(sqlstate, message),
    }
}

fn refused_statement(sqlstate: &str, message: &str, fatal: bool) -> Verdict {
    match sqlstate {
        // lock_timeout; statement_timeout or a cancel; shutdown and crash; idle timeouts; a standby or a database
        // frozen for writes.
        "55P03" | "57014" | "57P01" | "57P02" | "57P03" | "57P04" | "57P05" | "25P03" | "25P04" | "25006" => {
            host(sqlstate, message)
        }
        // Connection exceptions; out of disk, memory, connections.
        code if code.starts_with("08") || code.starts_with("53") => host(sqlstate, message),
        "40001" | "40P01" => Verdict::TryAgain,
        // Two sessions changed one catalog row (`simple_heap_update`, `simple_heap_delete`). These texts are
        // `elog`s, which are never translated; any other XX000 is a real internal error.
        "XX000" if matches!(message, "tuple concurrently updated" | "tuple concurrently deleted") => {
            Verdict::TryAgain
        }
        "42710" | "23505" => Verdict::Exists,
        "42501" => Verdict::Permanent {
            code: Code::PermissionDenied,
            detail: with_message("The target's server refuses: our role lacks a right", sqlstate, message),
        },
        "3D000" => missing_database(sqlstate, message),
        _ if fatal => host(sqlstate, message),
        _ => Verdict::Permanent {
            code: Code::StatementRefused,
            detail: with_message("The target's server refuses the statement", sqlstate, message),
        },
    }
}

fn host(sqlstate: &str, message: &str) -> Verdict {
    Verdict::Host { cause: with_message("the server cannot serve us now", sqlstate, message) }
}

fn missing_database(sqlstate: &str, message: &str) -> Verdict {
    Verdict::Permanent {
        code: Code::DatabaseNotFound,
        detail: with_message("The target's database does not exist", sqlstate, message),
    }
}

fn with_message(fixed: &str, sqlstate: &str, message: &str) -> String {
    match harmless(message) {
        Some(message) => format!("{fixed} ({sqlstate}): {message}"),
        None => format!("{fixed} ({sqlstate})"),
    }
}

/// The server's primary message if it may be shown; it may quote a piece of the statement.
fn harmless(message: &str) -> Option<String> {
    if message.contains(VERIFIER) {
        return None;
    }
    let plain = message.chars().map(|c| if c.is_control() { ' ' } else { c });
    let cut: String = plain.take(MAX_MESSAGE).collect();
    (!cut.is_empty()).then_some(cut)
}

/// Reads the kind from the driver's error. The driver keeps its kinds private; their texts are what it shows, and
/// the tests against real servers notice if one changes.
pub(super) fn classify(error: &tokio_postgres::Error) -> Trouble {
    if let Some(db) = error.as_db_error() {
        let fatal = matches!(db.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
        return Trouble::Server {
            sqlstate: db.code().code().to_owned(),
            message: db.message().to_owned(),
            fatal,
        };
    }
    if error.is_closed() {
        return Trouble::Closed;
    }
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    // A TLS 1.3 server refuses us after the handshake, so a TLS error may come out of a read, too.
    if let Some(tls) = io.and_then(|io| io.get_ref()).and_then(|inner| inner.downcast_ref::<rustls::Error>())
    {
        return Trouble::Tls(tls.to_string());
    }
    let text = error.to_string();
    let cause = error.source().map_or_else(|| text.clone(), ToString::to_string);
    if is_tls_failure(error) {
        return if io.is_some() { Trouble::Network(cause) } else { Trouble::Tls(cause) };
    }
    match text.as_str() {
        "authentication error" => Trouble::Authentication(cause),
        "error communicating with the server" | "error connecting to server" => Trouble::Network(cause),
        "unexpected message from server" | "error parsing response from server" => {
            Trouble::Network(format!("the server does not speak PostgreSQL's protocol ({text})"))
        }
        "timeout waiting for server" => Trouble::Network(text),
        _ => Trouble::Driver(text),
    }
}

/// Whether message, detail and hint of the server quote no verifier.
pub(super) fn may_be_logged(error: &tokio_postgres::Error) -> bool {
    !error.as_db_error().is_some_and(|db| db.to_string().contains(VERIFIER))
}

/// Whether the TLS handshake failed, for whatever reason.
pub(super) fn is_tls_failure(error: &tokio_postgres::Error) -> bool {
    error.to_string() == "error performing TLS handshake"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(phase: Phase, sqlstate: &str, message: &str, fatal: bool) -> Verdict {
        let trouble = Trouble::Server { sqlstate: sqlstate.to_owned(), message: message.to_owned(), fatal };
        judge(phase, &trouble)
    }

    fn word(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Permanent { code, .. } => code.as_str(),
            Verdict::Exists => "exists",
            Verdict::TryAgain => "try_again",
            Verdict::Host { .. } => "host",
            Verdict::Login { .. } => "login",
        }
    }

    #[test]
    fn what_the_server_says_is_judged_by_the_table() {
        // SQLSTATE, at connect, in a statement, at COMMIT.
        let table = [
            ("08000", "host", "host", "host"),
            ("08006", "host", "host", "host"),
            ("08P01", "host", "host", "host"),
            ("53100", "host", "host", "host"),
            ("53200", "host", "host", "host"),
            ("53300", "host", "host", "host"),
            ("53400", "host", "host", "host"),
            ("55P03", "host", "host", "host"),
            ("57014", "host", "host", "host"),
            ("57P01", "host", "host", "host"),
            ("57P02", "host", "host", "host"),
            ("57P03", "host", "host", "host"),
            ("57P04", "host", "host", "host"),
            ("57P05", "host", "host", "host"),
            ("25P03", "host", "host", "host"),
            ("25P04", "host", "host", "host"),
            ("25006", "host", "host", "host"),
            ("28000", "login", "statement_refused", "statement_refused"),
            ("28P01", "login", "statement_refused", "statement_refused"),
            ("42501", "login", "permission_denied", "permission_denied"),
            ("3D000", "database_not_found", "database_not_found", "database_not_found"),
            ("40001", "host", "try_again", "try_again"),
            ("40P01", "host", "try_again", "try_again"),
            ("42710", "host", "exists", "exists"),
            ("23505", "host", "exists", "exists"),
            ("42601", "host", "statement_refused", "statement_refused"),
            ("42704", "host", "statement_refused", "statement_refused"),
            ("42602", "host", "statement_refused", "statement_refused"),
            ("22021", "host", "statement_refused", "statement_refused"),
            ("22P05", "host", "statement_refused", "statement_refused"),
            ("25P02", "host", "statement_refused", "statement_refused"),
            ("0A000", "host", "statement_refused", "statement_refused"),
            ("55000", "host", "statement_refused", "statement_refused"),
            ("57P06", "host", "statement_refused", "statement_refused"),
            ("XX000", "host", "statement_refused", "statement_refused"),
            ("XX001", "host", "statement_refused", "statement_refused"),
        ];
        for (sqlstate, connect, statement, commit) in table {
            for (phase, expected) in
                [(Phase::Connect, connect), (Phase::Statement, statement), (Phase::Commit, commit)]
            {
                let verdict = server(phase, sqlstate, "message", false);
                assert_eq!(word(&verdict), expected, "{sqlstate} in {phase:?}");
            }
        }
    }

    #[test]
    fn of_internal_errors_only_two_named_ones_are_tried_again() {
        for (message, expected) in [
            ("tuple concurrently updated", "try_again"),
            ("tuple concurrently deleted", "try_again"),
            ("tuple concurrently updated by a demon", "statement_refused"),
            ("cache lookup failed for role 1", "statement_refused"),
        ] {
            assert_eq!(word(&server(Phase::Statement, "XX000", message, false)), expected, "{message}");
        }
        assert_eq!(
            word(&server(Phase::Statement, "42601", "tuple concurrently updated", false)),
            "statement_refused"
        );
    }

    #[test]
    fn an_unknown_error_that_ends_the_session_is_the_hosts() {
        assert_eq!(word(&server(Phase::Statement, "XX000", "boom", true)), "host");
        // What is known keeps its verdict.
        assert_eq!(word(&server(Phase::Statement, "42501", "boom", true)), "permission_denied");
    }

    #[test]
    fn what_the_server_does_not_say_is_judged_the_same_in_every_phase() {
        let limit = Duration::from_millis(1500);
        for phase in [Phase::Connect, Phase::Statement, Phase::Commit] {
            for (trouble, expected) in [
                (Trouble::Tls("certificate expired".into()), "login"),
                (Trouble::Authentication("unsupported".into()), "login"),
                (Trouble::Network("Connection refused".into()), "host"),
                (Trouble::Closed, "host"),
                (Trouble::TimedOut { limit }, "host"),
                (Trouble::Driver("column".into()), "internal"),
            ] {
                assert_eq!(word(&judge(phase, &trouble)), expected, "{trouble:?} in {phase:?}");
            }
        }
    }

    #[test]
    fn the_primary_message_is_shown_unless_it_quotes_a_verifier() {
        let shown = |message: &str| match server(Phase::Statement, "42601", message, false) {
            Verdict::Permanent { detail, .. } => detail,
            Verdict::Exists | Verdict::TryAgain | Verdict::Host { .. } | Verdict::Login { .. } => panic!(),
        };
        assert_eq!(
            shown("syntax error at or near \"x\"\n"),
            "The target's server refuses the statement (42601): syntax error at or near \"x\" "
        );
        assert_eq!(
            shown("syntax error at or near \"SCRAM-SHA-256$4096:c2FsdA==$a:b\""),
            "The target's server refuses the statement (42601)"
        );
        assert!(shown(&"é".repeat(1000)).chars().count() < 400);
    }

    #[test]
    fn a_pooler_that_refuses_our_settings_is_named() {
        let verdict = server(Phase::Connect, "08P01", "unsupported startup parameter: options", true);
        assert!(matches!(verdict, Verdict::Host { cause } if cause.contains("pooler")));
    }
}
