//! A job: everything from which a lost ticket can be rebuilt.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::webhook::Callback;
use super::{HostKey, Operation, Rights, TargetKey, TicketId};

/// Who asked, for ownership and audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The account's name.
    pub account: String,
    /// Who owns what this caller makes: the account, and for federated callers also the bound subject.
    pub owner: String,
    /// The caller's network address, if there is one.
    pub address: Option<String>,
    /// By which proof, such as `basic` or `api_token ID`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
}

/// One operation on one target, as it was accepted. Immutable; its ticket moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The ticket that stands for it.
    pub ticket: TicketId,
    /// What to do.
    pub operation: Operation,
    /// Where.
    pub target: TargetKey,
    /// The host of the target when the job was accepted.
    pub host: HostKey,
    /// Who asked.
    pub actor: Actor,
    /// SHA-256 (hex) over the request as it was understood; tells a retry from another request with the same
    /// `Idempotency-Key`.
    pub fingerprint: String,
    /// When it was accepted.
    pub submitted_at: Timestamp,
    /// When it expires if it has not run.
    pub deadline_at: Timestamp,
    /// The caller's own labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// What the submitter may do where it depends on the role: its kind, and through which target it was made. Without
    /// any it is everything.
    #[serde(default, skip_serializing_if = "Rights::are_all")]
    pub rights: Rights,
    /// Who is told of its end besides those who hear of it anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
    /// The failed ticket that an operator had done again by this job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<TicketId>,
}
