//! Identifiers.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// One id from the HTTP door to the AMQP message id, the mark on the role and the audit row.
///
/// A UUID in its canonical text form (36 characters, lower case, hyphens).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TicketId(Uuid);

impl TicketId {
    /// A fresh id: UUID version 7 with the given time, so that ids sort by submission.
    pub fn new(now: Timestamp) -> Self {
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
        Self(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos)))
    }

    /// The id that an `Idempotency-Key` stands for: UUID version 8 over SHA-256(owner, key).
    ///
    /// The same owner and key always meet the same ticket, even after the ticket store was lost.
    pub fn derived(owner: &str, key: &str) -> Self {
        let mut digest = Sha256::new();
        digest.update(u64::try_from(owner.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(owner.as_bytes());
        digest.update(key.as_bytes());
        let digest = digest.finalize();
        let mut bytes = [0_u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// The id of the job that does a failed one again: the same however often that is asked for.
    ///
    /// No `Idempotency-Key` derives it: no account has an empty name.
    pub fn of_replay(failed: Self) -> Self {
        Self::derived("", &format!("replay of {failed}"))
    }

    /// When a fresh id was made, to the millisecond; none of a derived one.
    pub fn made_at(self) -> Option<Timestamp> {
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanos).ok()?).ok()
    }

    /// The UUID itself, for binding to SQL parameters.
    pub fn as_uuid(self) -> Uuid {
        self.0
    }

    /// Wraps a UUID read back from a store of ours.
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.hyphenated())
    }
}

/// The text is not a UUID in its canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a ticket id")]
pub struct NotATicketId;

impl FromStr for TicketId {
    type Err = NotATicketId;

    /// Only the canonical form is read, so that one ticket has one spelling in every log and URL.
    fn from_str(text: &str) -> Result<Self, NotATicketId> {
        let id = Self(Uuid::try_parse(text).map_err(|_| NotATicketId)?);
        if id.to_string() == text { Ok(id) } else { Err(NotATicketId) }
    }
}

/// Who holds a running ticket: one per batch of a lane. Every change of a ticket names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimId(Uuid);

impl ClaimId {
    /// A fresh, random claim.
    pub fn new() -> Self {
        Self(Uuid::new_v4())
    }
}

impl Default for ClaimId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.hyphenated())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_is_an_id() {
        let id = TicketId::new(Timestamp::from_second(1_700_000_000).unwrap());
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.made_at().map(Timestamp::as_second), Some(1_700_000_000));
        for other in [
            id.to_string().to_uppercase(),
            id.as_uuid().simple().to_string(),
            format!("{{{id}}}"),
            format!("{id} "),
            String::new(),
            "1 OR 1=1".into(),
        ] {
            assert_eq!(other.parse::<TicketId>(), Err(NotATicketId), "{other:?}");
        }
    }

    #[test]
    fn a_derived_id_depends_on_owner_and_key_and_on_where_one_ends() {
        let id = TicketId::derived("ci", "deploy-4711");
        assert_eq!(id, TicketId::derived("ci", "deploy-4711"));
        assert_ne!(id, TicketId::derived("cid", "eploy-4711"));
        assert_ne!(id, TicketId::derived("ci", "deploy-4712"));
        assert_eq!(id.as_uuid().get_version_num(), 8);
        assert_eq!(id.made_at(), None);
    }
}
