//! What the audit records.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Actor, HostKey, Job, TargetKey, TicketId, ticket::Ending};

macro_rules! event_names {
    ($($(#[$meta:meta])* $name:ident = $text:literal;)+) => {
        /// What happened, in the past tense.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum EventName {
            $($(#[$meta])* #[serde(rename = $text)] $name,)+
        }

        impl EventName {
            /// Every event.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name in the audit.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

event_names! {
    /// A job ended well.
    TicketSucceeded = "ticket.succeeded";
    /// A job cannot be done.
    TicketFailed = "ticket.failed";
    /// A job was withdrawn by its owner.
    TicketCancelled = "ticket.cancelled";
    /// A job's deadline passed before it ran.
    TicketExpired = "ticket.expired";
    /// A password left.
    SecretTaken = "secret.taken";
    /// Nobody took a password in time.
    SecretExpired = "secret.expired";
    /// A target was registered.
    TargetAdded = "target.added";
    /// A target was changed.
    TargetChanged = "target.changed";
    /// A target was removed.
    TargetRemoved = "target.removed";
    /// A host's jobs were stopped.
    HostPaused = "host.paused";
    /// A host takes no new jobs.
    HostDraining = "host.draining";
    /// A host's jobs go on, and it takes new ones.
    HostResumed = "host.resumed";
    /// A host was added to those the default log-in is for.
    HostTrusted = "host.trusted";
    /// A host is none of those any more.
    HostDistrusted = "host.distrusted";
    /// A message that was put aside was given to its host again.
    DeadReplayed = "dead.replayed";
    /// A message that was put aside was thrown away.
    DeadDropped = "dead.dropped";
    /// A month of history was written to a file.
    HistoryArchived = "history.archived";
    /// A month of history was dropped from the control database.
    HistoryDropped = "history.dropped";
    /// An account was made.
    AccountAdded = "account.added";
    /// An account was changed.
    AccountChanged = "account.changed";
    /// An account was removed.
    AccountRemoved = "account.removed";
    /// An API token was made.
    TokenAdded = "token.added";
    /// An API token was revoked.
    TokenRevoked = "token.revoked";
    /// Somebody proved who they are and got a session.
    SessionOpened = "session.opened";
    /// A session was ended before its time.
    SessionRevoked = "session.revoked";
    /// Somebody did not prove who they are.
    LoginFailed = "login.failed";
    /// Somebody wanted what they may not.
    AccessDenied = "access.denied";
}

/// One row of the audit. Holds no password and nothing that opens one.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What happened.
    pub name: EventName,
    /// When, by the clock of the process that did it.
    pub at: Timestamp,
    /// Whose ticket; with it, an event of one name happens once.
    pub ticket: Option<TicketId>,
    /// Who did it, or asked for it.
    pub actor: Actor,
    /// On which target.
    pub target: Option<TargetKey>,
    /// On which host.
    pub host: Option<HostKey>,
    /// The operation of the job.
    pub operation: Option<String>,
    /// The kind of the role.
    pub kind: Option<String>,
    /// The role.
    pub role: Option<String>,
    /// The outcome, or the code of the failure.
    pub outcome: Option<String>,
    /// More, as an object.
    pub detail: serde_json::Value,
}

impl Event {
    /// An event that is about no job.
    pub fn new(name: EventName, at: Timestamp, actor: Actor) -> Self {
        Self {
            name,
            at,
            ticket: None,
            actor,
            target: None,
            host: None,
            operation: None,
            kind: None,
            role: None,
            outcome: None,
            detail: serde_json::json!({}),
        }
    }

    /// An event about a job, with everything the job says of itself.
    pub fn of_job(name: EventName, at: Timestamp, job: &Job) -> Self {
        Self {
            ticket: Some(job.ticket),
            target: Some(job.target.clone()),
            host: Some(job.host.clone()),
            operation: Some(job.operation.name().to_owned()),
            kind: job.operation.kind().map(ToString::to_string),
            role: Some(job.operation.role().to_string()),
            ..Self::new(name, at, job.actor.clone())
        }
    }

    /// The event that ends a job.
    pub fn of_ending(at: Timestamp, job: &Job, ending: &Ending) -> Self {
        let (name, detail) = match ending {
            Ending::Succeeded { missing, .. } if missing.is_empty() => {
                (EventName::TicketSucceeded, serde_json::json!({}))
            }
            Ending::Succeeded { missing, .. } => {
                (EventName::TicketSucceeded, serde_json::json!({ "missing": missing }))
            }
            Ending::Failed { detail, .. } => {
                (EventName::TicketFailed, serde_json::json!({ "detail": detail }))
            }
            Ending::Cancelled => (EventName::TicketCancelled, serde_json::json!({})),
            Ending::Expired => (EventName::TicketExpired, serde_json::json!({})),
        };
        Self { outcome: Some(ending.word().to_owned()), detail, ..Self::of_job(name, at, job) }
    }
}
