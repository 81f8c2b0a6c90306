//! What a job does. A closed set: adding a variant makes the compiler list every place that must know it.

use serde::{Deserialize, Serialize};

use super::{KindName, RoleName, SchemaName};

/// One operation on one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    /// Makes a role of a kind, with a generated password.
    CreateRole {
        /// Which profile applies.
        kind: KindName,
        /// The name, already made from the fields that the kind asks for.
        role: RoleName,
    },
    /// Gives an existing role a new generated password.
    ResetPassword {
        /// Whose.
        role: RoleName,
    },
    /// Sets the `search_path` of an existing role in the target's database.
    SetSearchPath {
        /// Whose.
        role: RoleName,
        /// In order; 1 to [`Operation::MAX_SCHEMAS`] entries.
        schemas: Vec<SchemaName>,
    },
}

impl Operation {
    /// The most entries a `search_path` may have here.
    pub const MAX_SCHEMAS: usize = 32;

    /// The names of all operations, as they are written in requests.
    pub const NAMES: [&'static str; 3] = ["create_role", "reset_password", "set_search_path"];

    /// The name as it is written in requests, messages and audit rows.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CreateRole { .. } => Self::NAMES[0],
            Self::ResetPassword { .. } => Self::NAMES[1],
            Self::SetSearchPath { .. } => Self::NAMES[2],
        }
    }

    /// The role it is about.
    pub fn role(&self) -> &RoleName {
        match self {
            Self::CreateRole { role, .. }
            | Self::ResetPassword { role }
            | Self::SetSearchPath { role, .. } => role,
        }
    }

    /// The kind that was asked for; operations on existing roles have none of their own.
    pub fn kind(&self) -> Option<&KindName> {
        match self {
            Self::CreateRole { kind, .. } => Some(kind),
            Self::ResetPassword { .. } | Self::SetSearchPath { .. } => None,
        }
    }

    /// Whether success comes with a password.
    pub fn makes_secret(&self) -> bool {
        match self {
            Self::CreateRole { .. } | Self::ResetPassword { .. } => true,
            Self::SetSearchPath { .. } => false,
        }
    }
}
