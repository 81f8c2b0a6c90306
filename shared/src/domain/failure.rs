//! One failure type: a stable code a program can act on, a public text for people, and an internal cause that is
//! logged once where it is handled and never leaves the process.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::TicketId;

/// What a caller can do about a failure. Each dialect maps these once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The request cannot be read.
    Malformed,
    /// The request is read and breaks a rule.
    Invalid,
    /// Nobody we know.
    Unauthenticated,
    /// Somebody who may not.
    Forbidden,
    /// No such thing, or none this caller may see.
    NotFound,
    /// The method is not offered here.
    MethodNotAllowed,
    /// The thing is not in the state the request needs.
    Conflict,
    /// It was there and is not any more.
    Gone,
    /// A precondition of the request does not hold.
    PreconditionFailed,
    /// Too large.
    TooLarge,
    /// Not a media type we read.
    UnsupportedMediaType,
    /// Over a limit; try later.
    TooMany,
    /// A target did not do its part.
    BadGateway,
    /// One of our own servers is away; try later.
    Unavailable,
    /// Our fault.
    Internal,
}

macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident = $text:literal, $class:ident;)+) => {
        /// The stable codes of failures, as callers see them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[$meta])* #[serde(rename = $text)] $name,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code as it is written in answers, audit rows and metrics.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What a caller can do about it.
            pub fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)+ }
            }
        }
    };
}

codes! {
    /// The body is not JSON, or too deeply nested.
    MalformedJson = "malformed_json", Malformed;
    /// A query parameter or header cannot be read.
    MalformedRequest = "malformed_request", Malformed;
    /// One or more fields break a rule; each is named.
    InvalidRequest = "invalid_request", Invalid;
    /// No such operation.
    UnknownOperation = "unknown_operation", Invalid;
    /// No such kind.
    UnknownKind = "unknown_kind", Invalid;
    /// The kind may not be made in this environment.
    KindNotAllowedInEnv = "kind_not_allowed_in_env", Invalid;
    /// The same `Idempotency-Key` was used for another request.
    IdempotencyKeyReused = "idempotency_key_reused", Invalid;
    /// The body is over the limit.
    BodyTooLarge = "body_too_large", TooLarge;
    /// A batch has no items or too many.
    BatchSize = "batch_size", Invalid;
    /// The body is not `application/json`.
    UnsupportedMediaType = "unsupported_media_type", UnsupportedMediaType;
    /// No credentials, or wrong ones.
    Unauthenticated = "unauthenticated", Unauthenticated;
    /// The account may not do this.
    Forbidden = "forbidden", Forbidden;
    /// No such path.
    NotFound = "not_found", NotFound;
    /// The path does not offer this method.
    MethodNotAllowed = "method_not_allowed", MethodNotAllowed;
    /// No such ticket, or somebody else's.
    TicketNotFound = "ticket_not_found", NotFound;
    /// No such target.
    TargetNotFound = "target_not_found", NotFound;
    /// No such host.
    HostNotFound = "host_not_found", NotFound;
    /// The target is registered and not active.
    TargetInactive = "target_inactive", Conflict;
    /// No such role on the target.
    RoleNotFound = "role_not_found", NotFound;
    /// The role may never be touched through Rolecall.
    RoleProtected = "role_protected", Forbidden;
    /// The role was made through a target of another environment.
    RoleOfAnotherEnv = "role_of_another_env", Forbidden;
    /// The ticket has run or runs: it cannot be cancelled.
    NotCancellable = "not_cancellable", Conflict;
    /// A message that was put aside cannot be done again.
    NotReplayable = "not_replayable", Conflict;
    /// The job has not ended yet.
    NotFinished = "not_finished", Conflict;
    /// The job ended without a password.
    NoSecret = "no_secret", NotFound;
    /// The password was taken before.
    SecretTaken = "secret_taken", Gone;
    /// Nobody took the password in time.
    SecretExpired = "secret_expired", Gone;
    /// The ticket store lost the password.
    SecretLost = "secret_lost", Gone;
    /// The ticket ended so long ago that how it did is not kept any more.
    TicketForgotten = "ticket_forgotten", Gone;
    /// History has no such month.
    PeriodNotFound = "period_not_found", NotFound;
    /// Jobs may still end in this month.
    PeriodNotFinished = "period_not_finished", Conflict;
    /// The file of an archived month cannot be read here.
    HistoryArchiveUnavailable = "history_archive_unavailable", Unavailable;
    /// The file of an archived month is not what was written.
    HistoryArchiveDamaged = "history_archive_damaged", Internal;
    /// The key that seals the password is not in the key ring.
    SealKeyMissing = "seal_key_missing", Unavailable;
    /// Targets of one host state different host settings.
    HostSettingsConflict = "host_settings_conflict", Conflict;
    /// The default log-in is not for this host.
    DefaultLoginNotAllowed = "default_login_not_allowed", Invalid;
    /// There is an account of that name.
    AccountExists = "account_exists", Conflict;
    /// No such account, or none this caller may see.
    AccountNotFound = "account_not_found", NotFound;
    /// No administrator would be left.
    LastAdmin = "last_admin", Forbidden;
    /// No such API token, or none this caller may see.
    TokenNotFound = "token_not_found", NotFound;
    /// The account has as many API tokens as it may have.
    TooManyTokens = "too_many_tokens", Conflict;
    /// No such webhook, or none this caller may see.
    WebhookNotFound = "webhook_not_found", NotFound;
    /// No such delivery of this webhook.
    DeliveryNotFound = "delivery_not_found", NotFound;
    /// The account has as many webhooks as it may have.
    TooManyWebhooks = "too_many_webhooks", Conflict;
    /// The webhook is paused or disabled.
    WebhookNotActive = "webhook_not_active", Conflict;
    /// The identity token opened a session before.
    IdentityTokenUsed = "identity_token_used", Unauthenticated;
    /// The identity token is not one of ours to trust, or no binding is for it.
    IdentityTokenRefused = "identity_token_refused", Unauthenticated;
    /// The issuer of an identity token does not answer, and its keys are not known.
    IdentityKeysUnavailable = "identity_keys_unavailable", Unavailable;
    /// The target has unfinished jobs.
    JobsWaiting = "jobs_waiting", Conflict;
    /// The resource changed since the caller read it.
    RevisionMismatch = "revision_mismatch", PreconditionFailed;
    /// The host has too many waiting jobs.
    HostBacklogFull = "host_backlog_full", TooMany;
    /// The host takes no new jobs until somebody resumes it.
    HostDraining = "host_draining", Unavailable;
    /// Too many requests at once.
    TooManyRequests = "too_many_requests", TooMany;
    /// The target cannot be reached.
    TargetUnreachable = "target_unreachable", BadGateway;
    /// The target refuses our log-in.
    TargetLoginRefused = "target_login_refused", BadGateway;
    /// The target answered a question with an error.
    TargetError = "target_error", BadGateway;
    /// `RabbitMQ` is away or did not confirm.
    BrokerUnavailable = "broker_unavailable", Unavailable;
    /// Redis is away.
    TicketStoreUnavailable = "ticket_store_unavailable", Unavailable;
    /// Redis failed in the middle: the job may or may not run.
    OutcomeUnknown = "outcome_unknown", Unavailable;
    /// The control database is away.
    ControlDatabaseUnavailable = "control_database_unavailable", Unavailable;
    /// Tickets are being rebuilt after a loss.
    TicketNotYetRebuilt = "ticket_not_yet_rebuilt", Unavailable;
    /// The process is stopping.
    Stopping = "stopping", Unavailable;
    /// The deadline passed before the job ran.
    DeadlineExceeded = "deadline_exceeded", Conflict;
    /// The target no longer belongs to the host the job was queued for.
    TargetChanged = "target_changed", Conflict;
    /// The target's server refuses: our role lacks a right.
    PermissionDenied = "permission_denied", BadGateway;
    /// The target's database does not exist.
    DatabaseNotFound = "database_not_found", BadGateway;
    /// The target's server refuses the statement.
    StatementRefused = "statement_refused", BadGateway;
    /// The job was started alone too often without an outcome.
    AttemptsExhausted = "attempts_exhausted", Internal;
    /// Somebody else holds the host's lock.
    HostLockHeld = "host_lock_held", Conflict;
    /// A fault of ours.
    Internal = "internal", Internal;
}

impl Code {
    /// Whether the same request may succeed later without being changed.
    pub fn retryable(self) -> bool {
        match self.class() {
            Class::TooMany | Class::BadGateway | Class::Unavailable => true,
            Class::Malformed
            | Class::Invalid
            | Class::Unauthenticated
            | Class::Forbidden
            | Class::NotFound
            | Class::MethodNotAllowed
            | Class::Conflict
            | Class::Gone
            | Class::PreconditionFailed
            | Class::TooLarge
            | Class::UnsupportedMediaType
            | Class::Internal => false,
        }
    }
}

/// One field of a request and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldFault {
    /// The field's name as it stands in the request.
    pub field: String,
    /// What is wrong and what to do; repeats nothing the caller sent.
    pub detail: String,
}

/// Why something was not done. One word wide, since it stands in the `Err` of almost everything.
#[derive(Debug)]
pub struct Failure(Box<Parts>);

#[derive(Debug)]
struct Parts {
    code: Code,
    detail: String,
    fields: Vec<FieldFault>,
    ticket: Option<TicketId>,
    retry_after: Option<Duration>,
    context: Option<serde_json::Value>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Failure {
    /// A failure with a text for the caller.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            code,
            detail: detail.into(),
            fields: Vec::new(),
            ticket: None,
            retry_after: None,
            context: None,
            cause: None,
        }))
    }

    /// [`Code::InvalidRequest`] for one field.
    pub fn field(field: &str, detail: impl fmt::Display) -> Self {
        Self::fields(vec![FieldFault { field: field.to_owned(), detail: detail.to_string() }])
    }

    /// [`Code::InvalidRequest`] for several fields.
    pub fn fields(fields: Vec<FieldFault>) -> Self {
        let mut failure = Self::new(Code::InvalidRequest, "The request breaks a rule; see `errors`.");
        failure.0.fields = fields;
        failure
    }

    /// A fault of ours; the caller learns nothing of the cause.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(Code::Internal, "Something went wrong on our side; the log has the reason.")
            .caused_by(cause)
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Names the ticket it is about.
    #[must_use]
    pub fn about(mut self, ticket: TicketId) -> Self {
        self.0.ticket = Some(ticket);
        self
    }

    /// Says when a new try makes sense.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// Adds facts for programs (an object); they stand beside `code` in the answer.
    #[must_use]
    pub fn with_context(mut self, context: serde_json::Value) -> Self {
        self.0.context = Some(context);
        self
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The text for the caller.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The fields at fault.
    pub fn field_faults(&self) -> &[FieldFault] {
        &self.0.fields
    }

    /// The ticket it is about.
    pub fn ticket(&self) -> Option<TicketId> {
        self.0.ticket
    }

    /// When a new try makes sense: as set, or one second for everything retryable.
    pub fn retry_delay(&self) -> Option<Duration> {
        self.0.retry_after.or(self.0.code.retryable().then_some(Duration::from_secs(1)))
    }

    /// Facts for programs.
    pub fn context(&self) -> Option<&serde_json::Value> {
        self.0.context.as_ref()
    }

    /// The internal cause with its whole chain in one line, for the log.
    pub fn cause_chain(&self) -> Option<String> {
        let mut error = std::error::Error::source(self);
        let mut parts = Vec::new();
        while let Some(e) = error {
            parts.push(e.to_string());
            error = e.source();
        }
        (!parts.is_empty()).then(|| parts.join(": "))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.0.detail)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_read_back() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(seen.insert(code.as_str()), "{} twice", code.as_str());
            let json = serde_json::to_string(code).unwrap();
            assert_eq!(json, format!("\"{}\"", code.as_str()));
            assert_eq!(serde_json::from_str::<Code>(&json).unwrap(), *code);
        }
    }

    #[test]
    fn the_cause_is_for_the_log_and_not_for_the_caller() {
        let failure = Failure::internal(std::io::Error::other("secret text"));
        assert!(!failure.to_string().contains("secret text") && !failure.detail().contains("secret text"));
        assert_eq!(failure.cause_chain().as_deref(), Some("secret text"));
        assert_eq!(failure.retry_delay(), None);
        assert!(Failure::new(Code::BrokerUnavailable, "").retry_delay().is_some());
    }
}
