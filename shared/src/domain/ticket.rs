//! The ticket: the public face of a job, and the one table of its states.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Code, Job, KindName};

/// Where a ticket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Written down, not yet confirmed by the broker.
    Accepting,
    /// Accepted; waits for its host's lane.
    Queued,
    /// The broker did not confirm in time; never runs.
    Withdrawn,
    /// A lane holds it.
    Running,
    /// Being cancelled or expired: its audit row is written first.
    Closing,
    /// Done.
    Succeeded,
    /// Cannot be done.
    Failed,
    /// Withdrawn by its owner before it ran.
    Cancelled,
    /// Its deadline passed before it ran.
    Expired,
}

impl State {
    /// All states.
    pub const ALL: [Self; 9] = [
        Self::Accepting,
        Self::Queued,
        Self::Withdrawn,
        Self::Running,
        Self::Closing,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
    ];

    /// The name in stores and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepting => "accepting",
            Self::Queued => "queued",
            Self::Withdrawn => "withdrawn",
            Self::Running => "running",
            Self::Closing => "closing",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Reads a name back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// The transition table. Everything not in it is refused by the stores' compare-and-set.
    pub fn can_become(self, next: Self) -> bool {
        use State::{Accepting, Cancelled, Closing, Expired, Failed, Queued, Running, Succeeded, Withdrawn};
        match self {
            Accepting => matches!(next, Queued | Withdrawn),
            Queued => matches!(next, Running | Closing),
            Running => matches!(next, Queued | Succeeded | Failed),
            Closing => matches!(next, Cancelled | Expired),
            // A withdrawn attempt is not remembered: the same idempotency key may try again.
            Withdrawn => matches!(next, Accepting),
            Succeeded | Failed | Cancelled | Expired => false,
        }
    }

    /// Whether nothing follows any more.
    pub fn is_final(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Expired | Self::Withdrawn => true,
            Self::Accepting | Self::Queued | Self::Running | Self::Closing => false,
        }
    }
}

/// What a job that succeeded did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The role was made.
    Created,
    /// A role of that name was there before; nothing was changed and there is no password.
    AlreadyExists,
    /// The role has a new password.
    PasswordReset,
    /// The role's `search_path` is set.
    SearchPathSet,
}

impl Outcome {
    /// The name in answers and audit rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::AlreadyExists => "already_exists",
            Self::PasswordReset => "password_reset",
            Self::SearchPathSet => "search_path_set",
        }
    }

    /// Whether a password goes with it.
    pub fn has_secret(self) -> bool {
        match self {
            Self::Created | Self::PasswordReset => true,
            Self::AlreadyExists | Self::SearchPathSet => false,
        }
    }
}

/// How a ticket ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Ending {
    /// Done.
    Succeeded {
        /// What was done.
        outcome: Outcome,
        /// What could not be granted, in words for people (`readonly` roles).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        missing: Vec<String>,
        /// Until when the password can be taken, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret_expires_at: Option<Timestamp>,
        /// The kind of the role by its mark, of a job that states none and found one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<KindName>,
    },
    /// Cannot be done.
    Failed {
        /// The stable code.
        code: Code,
        /// For people; holds no text of a driver or server beyond its primary message.
        detail: String,
    },
    /// Withdrawn by its owner.
    Cancelled,
    /// Its deadline passed ([`Code::DeadlineExceeded`]).
    Expired,
}

impl Ending {
    /// The kind of the role, where the job does not state it and the role's mark does.
    pub fn kind(&self) -> Option<&KindName> {
        match self {
            Self::Succeeded { kind, .. } => kind.as_ref(),
            Self::Failed { .. } | Self::Cancelled | Self::Expired => None,
        }
    }

    /// Until when the password can be taken, if there is one.
    pub fn secret_expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Succeeded { secret_expires_at, .. } => *secret_expires_at,
            Self::Failed { .. } | Self::Cancelled | Self::Expired => None,
        }
    }

    /// The final state it means.
    pub fn state(&self) -> State {
        match self {
            Self::Succeeded { .. } => State::Succeeded,
            Self::Failed { .. } => State::Failed,
            Self::Cancelled => State::Cancelled,
            Self::Expired => State::Expired,
        }
    }

    /// Whether a password was made for it.
    pub fn has_secret(&self) -> bool {
        match self {
            Self::Succeeded { outcome, .. } => outcome.has_secret(),
            Self::Failed { .. } | Self::Cancelled | Self::Expired => false,
        }
    }

    /// The word for audit rows and metrics: the outcome, the failure's code, or the state.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Succeeded { outcome, .. } => outcome.as_str(),
            Self::Failed { code, .. } => code.as_str(),
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// A ticket as a store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// What was asked.
    pub job: Job,
    /// Where it stands.
    pub state: State,
    /// Counts changes; the `ETag` of the resource.
    pub revision: u64,
    /// Starts that were made alone because an earlier start had no outcome.
    pub attempts: u32,
    /// How it ended; set when the state is final (and not withdrawn).
    pub ending: Option<Ending>,
    /// When it became final.
    pub finished_at: Option<Timestamp>,
    /// Why its message was put aside, if it was.
    pub dead_lettered: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_table_is_the_documented_one() {
        let mut allowed = Vec::new();
        for from in State::ALL {
            for to in State::ALL {
                if from.can_become(to) {
                    allowed.push(format!("{} -> {}", from.as_str(), to.as_str()));
                }
            }
        }
        assert_eq!(
            allowed,
            [
                "accepting -> queued",
                "accepting -> withdrawn",
                "queued -> running",
                "queued -> closing",
                "withdrawn -> accepting",
                "running -> queued",
                "running -> succeeded",
                "running -> failed",
                "closing -> cancelled",
                "closing -> expired",
            ]
        );
    }

    #[test]
    fn names_read_back() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("done"), None);
    }
}
