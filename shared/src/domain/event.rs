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
    /// A host cannot be worked on; its jobs wait.
    HostUnreachable = "host.unreachable";
    /// A host that could not be worked on can be again.
    HostRecovered = "host.recovered";
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
    /// Somebody wants to hear of events.
    WebhookAdded = "webhook.added";
    /// A webhook was changed, paused or resumed.
    WebhookChanged = "webhook.changed";
    /// A webhook got other signing keys.
    WebhookRotated = "webhook.rotated";
    /// A webhook's receiver is gone or fails for too long: nothing is sent there any more.
    WebhookDisabled = "webhook.disabled";
    /// A webhook was removed.
    WebhookRemoved = "webhook.removed";
    /// Events are sent to a webhook once more.
    WebhookReplayed = "webhook.replayed";
    /// Somebody proved who they are and got a session.
    SessionOpened = "session.opened";
    /// A session was ended before its time.
    SessionRevoked = "session.revoked";
    /// Somebody did not prove who they are.
    LoginFailed = "login.failed";
    /// Somebody wanted what they may not.
    AccessDenied = "access.denied";
}

impl EventName {
    /// What webhooks and notifications may tell. The trigger that tells it (`webhook_event_names()` of the control
    /// database) has the same list.
    pub const TOLD: &'static [Self] = &[
        Self::TicketSucceeded,
        Self::TicketFailed,
        Self::TicketCancelled,
        Self::TicketExpired,
        Self::SecretTaken,
        Self::SecretExpired,
        Self::HostPaused,
        Self::HostResumed,
        Self::HostUnreachable,
        Self::HostRecovered,
    ];

    /// One that is told, by its name.
    pub fn told(name: &str) -> Option<Self> {
        Self::TOLD.iter().copied().find(|event| event.as_str() == name)
    }

    /// Whether it is about a host and no ticket.
    pub fn is_of_hosts(self) -> bool {
        self.as_str().starts_with("host.")
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The list is in the migration because the trigger needs it, and here because the door does.
    #[test]
    fn what_is_told_is_what_the_trigger_tells() {
        let sql = include_str!("../../../migrations/V11__webhooks.sql");
        let (_, body) = sql.split_once("CREATE FUNCTION webhook_event_names()").unwrap();
        let (_, list) = body.split_once("ARRAY[").unwrap();
        let (list, _) = list.split_once(']').unwrap();
        let in_sql: Vec<_> = list.split(',').map(|name| name.trim().trim_matches('\'')).collect();
        let here: Vec<_> = EventName::TOLD.iter().map(|name| name.as_str()).collect();
        assert_eq!(in_sql, here);
        assert_eq!(EventName::told("host.paused"), Some(EventName::HostPaused));
        assert_eq!(EventName::told("account.added"), None);
    }
}
