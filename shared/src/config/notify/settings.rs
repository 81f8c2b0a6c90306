//! Channels and rules as everybody else sees them. No `Debug` text holds a secret.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::domain::{Env, EventName, KindName, Template};

/// Who hears of what, and where: section `notify`.
#[derive(Debug, Clone, Default)]
pub struct Notify {
    /// In the order of their names.
    pub channels: Vec<NotifyChannel>,
    /// In the order of their names. Each names channels that exist.
    pub rules: Vec<NotifyRule>,
}

/// A place where messages can be sent.
#[derive(Debug, Clone)]
pub struct NotifyChannel {
    /// The operator's name for it: `[a-z][a-z0-9-]*`.
    pub name: String,
    /// Whether it may be at a private address, and plain HTTP.
    pub is_trusted: bool,
    /// What is there.
    pub place: Place,
}

/// What is at the other end of a channel.
#[derive(Debug, Clone)]
pub enum Place {
    /// An incoming webhook of Slack.
    Slack {
        /// Holds its token.
        url: SecretString,
    },
    /// A room of Webex.
    Webex {
        /// Where messages are posted.
        api_url: String,
        /// The bot's.
        token: SecretString,
        /// `roomId`.
        room: String,
    },
    /// An incoming webhook or workflow of Microsoft Teams.
    Teams {
        /// Holds its token.
        url: SecretString,
    },
    /// Somebody's mail.
    Email(Box<Mail>),
    /// Any receiver of JSON.
    Webhook {
        /// May hold a token.
        url: SecretString,
        /// For `Authorization: Bearer`.
        token: Option<SecretString>,
        /// `whsec_…`, known to be one.
        signing_secret: Option<SecretString>,
    },
}

impl Place {
    /// The word of `type`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Slack { .. } => "slack",
            Self::Webex { .. } => "webex",
            Self::Teams { .. } => "teams",
            Self::Email(_) => "email",
            Self::Webhook { .. } => "webhook",
        }
    }
}

/// A mail server, and who writes to whom.
#[derive(Debug, Clone)]
pub struct Mail {
    /// By the name of its certificate.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: MailTls,
    /// Who logs in, with which password.
    pub login: Option<(String, SecretString)>,
    /// Whom to trust in place of the system's authorities.
    pub ca_file: Option<PathBuf>,
    /// Known to be a mailbox.
    pub from: String,
    /// Known to be mailboxes; at least one.
    pub to: Vec<String>,
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// Plain at first, and must become TLS (RFC 3207).
    StartTls,
    /// From the first byte (RFC 8314).
    Implicit,
    /// Not at all; the server is on this machine.
    None,
}

/// Which events become messages in which channels.
#[derive(Debug, Clone)]
pub struct NotifyRule {
    /// The operator's name for it: `[a-z][a-z0-9-]*`.
    pub name: String,
    /// At least one, each of those that are told.
    pub events: Vec<EventName>,
    /// Empty: all, also events of no environment.
    pub envs: Vec<Env>,
    /// Empty: all, also events of no kind.
    pub kinds: Vec<KindName>,
    /// Names of channels; at least one.
    pub channels: Vec<String>,
    /// In place of the event's own text.
    pub template: Option<Template>,
    /// In place of the event's own subject.
    pub subject: Option<Template>,
}

impl NotifyRule {
    /// Whether it tells of such an event. `envs` are those of its target, or of a host's targets; `kind` is that of its
    /// role, if it has one. What is really told is decided in the control database, by the same rule.
    pub fn hears(&self, event: EventName, envs: &[Env], kind: Option<&KindName>) -> Result<(), &'static str> {
        if !self.events.contains(&event) {
            return Err("the event is not among its events");
        }
        if !self.envs.is_empty() && !envs.iter().any(|env| self.envs.contains(env)) {
            return Err("the environment is not among its envs");
        }
        if !self.kinds.is_empty() && !kind.is_some_and(|kind| self.kinds.contains(kind)) {
            return Err("the kind is not among its kinds");
        }
        Ok(())
    }
}

impl NotifyChannel {
    /// Where it leads, without anything that opens it.
    pub fn shown(&self) -> String {
        let origin = |url: &str| {
            Url::parse(url).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
        };
        match &self.place {
            Place::Slack { url } | Place::Teams { url } | Place::Webhook { url, .. } => {
                origin(url.expose_secret())
            }
            Place::Webex { api_url, room, .. } => format!("{}, room {room}", origin(api_url)),
            Place::Email(mail) => format!("{}:{}, to {}", mail.host, mail.port, mail.to.join(", ")),
        }
    }
}
