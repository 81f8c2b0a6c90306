//! What can be asked for, and which points it reaches.

use rolecall_shared::failpoints::Failpoint;
use serde_json::{Value, json};

/// An operation; a kind with grants in its database takes a step more than others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    CreateRole,
    CreateReader,
    ResetPassword,
    SetSearchPath,
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::CreateRole => "create",
            Self::CreateReader => "reader",
            Self::ResetPassword => "reset",
            Self::SetSearchPath => "path",
        }
    }

    /// The job on a role, without its target.
    pub(crate) fn job(self, role: &str) -> Value {
        match self {
            Self::CreateRole => json!({ "operation": "create_role", "kind": "devqa", "username": role }),
            Self::CreateReader => json!({ "operation": "create_role", "kind": "readonly", "username": role }),
            Self::ResetPassword => json!({ "operation": "reset_password", "username": role }),
            Self::SetSearchPath => {
                json!({ "operation": "set_search_path", "username": role, "schemas": ["app", "public"] })
            }
        }
    }

    pub(crate) fn outcome(self) -> &'static str {
        match self {
            Self::CreateRole | Self::CreateReader => "created",
            Self::ResetPassword => "password_reset",
            Self::SetSearchPath => "search_path_set",
        }
    }

    /// Whether the role must be there before.
    pub(crate) fn needs_role(self) -> bool {
        matches!(self, Self::ResetPassword | Self::SetSearchPath)
    }

    pub(crate) fn makes_secret(self) -> bool {
        self != Self::SetSearchPath
    }

    pub(crate) fn reaches(self, point: Failpoint) -> bool {
        match point {
            Failpoint::BeforeSecrets
            | Failpoint::AfterSecrets
            | Failpoint::BeforeTake
            | Failpoint::AfterTake
            | Failpoint::AfterDrop => self.makes_secret(),
            Failpoint::BeforeGrants | Failpoint::AmidGrants | Failpoint::AfterGrants => {
                self == Self::CreateReader
            }
            // A command's; see `tests/tests/dead.rs`.
            // Nor is anybody told of these jobs; see `tests/tests/webhooks/crashes.rs`.
            Failpoint::AfterReplay
            | Failpoint::BeforeArchiveName
            | Failpoint::AfterArchiveName
            | Failpoint::AfterArchiveRow
            | Failpoint::BeforeSend
            | Failpoint::AfterSend => false,
            Failpoint::BeforeAccept
            | Failpoint::AfterAccept
            | Failpoint::AfterConfirm
            | Failpoint::AfterEnqueue
            | Failpoint::AfterRing
            | Failpoint::AfterLock
            | Failpoint::BeforeClaim
            | Failpoint::AfterClaim
            | Failpoint::AfterBegin
            | Failpoint::BeforeCommit
            | Failpoint::AfterCommit
            | Failpoint::BeforeControl
            | Failpoint::AfterControl
            | Failpoint::BeforeTickets
            | Failpoint::AfterTickets
            | Failpoint::BeforeAck
            | Failpoint::AfterAck
            | Failpoint::BeforeRelease
            | Failpoint::AfterRelease
            | Failpoint::BeforeBell => true,
        }
    }
}
