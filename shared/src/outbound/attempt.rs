//! What became of a request.

use std::error::Error;
use std::io;
use std::time::Duration;

use jiff::Timestamp;

use super::guard::Denied;
use super::policy::Refusal;

/// One request, and what became of it. Nothing of the answer's body is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The status of the answer, or why there is none.
    pub result: Result<u16, Trouble>,
    /// From the beginning, the look-up of the name included, to the end of the answer's head or the error.
    pub duration: Duration,
    /// What the answer says of when to come again (`Retry-After`); a time that is past is zero.
    pub retry_after: Option<Duration>,
}

impl Attempt {
    /// Whether the receiver has taken it: any 2xx.
    pub fn is_success(&self) -> bool {
        matches!(self.result, Ok(200..=299))
    }
}

/// Why there is no answer. The texts are for the caller: they hold no address, and nothing of the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It was not tried, because it may not be.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// It was not tried, because it is not known yet where the targets stand.
    #[error("it cannot be checked now: the control database does not say where the targets stand")]
    Unchecked,
    /// The name has no address, or nobody who knows has answered.
    #[error("its name has no address: {0}")]
    Name(String),
    /// Nobody takes the connection.
    #[error("no connection: {0}")]
    Connect(String),
    /// The certificate is not one that is trusted, or there is no TLS at all.
    #[error("no TLS: {0}")]
    Tls(String),
    /// No head of an answer within the time.
    #[error("no answer in time")]
    Timeout,
    /// A connection, but no answer in HTTP.
    #[error("no whole answer: {0}")]
    Answer(String),
    /// A header that HTTP cannot carry.
    #[error("it cannot be sent: {0}")]
    Request(&'static str),
    /// A mail server that did not take a mail, in its own words.
    #[error("the mail server did not take it: {0}")]
    Mail(String),
    /// A notification for a rule or a channel that this process does not know.
    #[error("this worker's configuration has no such rule or channel")]
    Channel,
}

impl Trouble {
    /// A word for machines that does not change.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.as_str(),
            Self::Unchecked => "not_checked",
            Self::Name(_) => "name_not_found",
            Self::Connect(_) => "connect_failed",
            Self::Tls(_) => "tls_failed",
            Self::Timeout => "timed_out",
            Self::Answer(_) => "broken_answer",
            Self::Request(_) => "bad_request",
            Self::Mail(_) => "mail_refused",
            Self::Channel => "channel_unknown",
        }
    }

    pub(super) fn name(error: &io::Error) -> Self {
        Self::Name(error.to_string())
    }

    /// From what reqwest says, whose own types name neither TLS nor what our resolver said.
    pub(super) fn of(error: &reqwest::Error) -> Self {
        let mut last = String::new();
        let mut next: Option<&(dyn Error + 'static)> = error.source();
        while let Some(cause) = next {
            if let Some(Denied(trouble)) = cause.downcast_ref() {
                return trouble.clone();
            }
            if let Some(error) = cause.downcast_ref::<rustls::Error>() {
                return Self::Tls(error.to_string());
            }
            last = cause.to_string();
            // What an I/O error wraps is not its source, but itself.
            let wrapped = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            next = match wrapped {
                Some(wrapped) => Some(wrapped),
                None => cause.source(),
            };
        }
        if error.is_timeout() {
            Self::Timeout
        } else if error.is_connect() {
            Self::Connect(last)
        } else {
            Self::Answer(last)
        }
    }
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.
pub(super) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More than fits is still "very long".
        return Some(Duration::from_secs(value.parse::<u32>().unwrap_or(u32::MAX).into()));
    }
    let at = Timestamp::try_from(httpdate::parse_http_date(value).ok()?).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}
