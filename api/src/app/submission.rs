//! A job as a caller submits it, parsed: what every dialect hands to the intake.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rolecall_shared::config;
use rolecall_shared::domain::webhook::Callback;
use rolecall_shared::domain::{Code, KindName, Profile};
use rolecall_shared::domain::{Env, Failure, Job, Operation, Profiles, Target, TargetKey, TicketId};
use rolecall_shared::outbound::{Policy, Refusal};
use sha2::{Digest, Sha256};
use url::Url;
use uuid::Uuid;

use crate::auth::Caller;

/// An `Idempotency-Key`: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(String);

/// Not a key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 255 visible ASCII characters")]
pub(crate) struct NotAKey;

impl IdempotencyKey {
    pub(crate) fn parse(text: &str) -> Result<Self, NotAKey> {
        let visible = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if visible { Ok(Self(text.to_owned())) } else { Err(NotAKey) }
    }
}

/// What is asked, in the words of the domain.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    pub(crate) operation: Operation,
    pub(crate) target: TargetKey,
    /// How long the job may wait; none is the configured default.
    pub(crate) deadline: Option<SignedDuration>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) key: Option<IdempotencyKey>,
    /// Where its end is told.
    pub(crate) callback: Option<AskedCallback>,
}

/// Where the end of a job is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AskedCallback {
    /// A webhook of the caller's.
    Endpoint(Uuid),
    /// A URL on a host that the operator lists.
    Url(Url),
}

/// Not a callback.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotACallback {
    #[error("must be the id of a webhook of yours, or a URL: {0}")]
    Refused(Refusal),
    #[error("is on a host that jobs may not name; register a webhook and give its id, or ask the operator")]
    Host,
}

impl AskedCallback {
    pub(crate) fn parse(text: &str, settings: &config::Settings) -> Result<Self, NotACallback> {
        if let Ok(id) = Uuid::try_parse(text) {
            return Ok(Self::Endpoint(id));
        }
        let url = Policy::new(&settings.outbound).parse_url(text).map_err(NotACallback::Refused)?;
        let is_listed = settings.webhooks.callback_hosts.iter().any(|host| host.allows(&url));
        if is_listed { Ok(Self::Url(url)) } else { Err(NotACallback::Host) }
    }

    fn as_text(&self) -> String {
        match self {
            Self::Endpoint(id) => id.to_string(),
            Self::Url(url) => url.to_string(),
        }
    }
}

impl Submission {
    /// The id of the ticket: derived from the key if there is one, fresh otherwise.
    pub(crate) fn ticket_id(&self, caller: &Caller, now: Timestamp) -> TicketId {
        match &self.key {
            Some(key) => TicketId::derived(&caller.owner, &key.0),
            None => TicketId::new(now),
        }
    }

    /// SHA-256 (hex) over the canonical JSON of the request as it was understood: the same request in another
    /// spelling (order of fields, `15m` or `900`) is the same, anything else is not.
    pub(crate) fn fingerprint(&self) -> String {
        // `serde_json` keeps objects in the order of their keys, which is what makes this canonical.
        let mut canonical = serde_json::json!({
            "operation": self.operation,
            "target": self.target,
            "deadline_ms": self.deadline.map(|d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)),
            "metadata": self.metadata,
        });
        // Not there where there is none, as before there were any.
        if let Some(callback) = &self.callback {
            canonical["callback"] = serde_json::json!(callback.as_text());
        }
        let mut hex = String::with_capacity(64);
        for byte in Sha256::digest(canonical.to_string().as_bytes()) {
            hex.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
            hex.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        }
        hex
    }

    /// What this request of this owner is known by where it may join one that was made before.
    pub(crate) fn name_for_joining(&self, caller: &Caller) -> String {
        TicketId::derived(&caller.owner, &self.fingerprint()).to_string()
    }

    /// The job for a registered target, under a ticket id.
    pub(crate) fn into_job(
        self,
        caller: &Caller,
        ticket: TicketId,
        target: &Target,
        callback: Option<Callback>,
        settings: &config::Tickets,
        now: Timestamp,
    ) -> Job {
        let default = SignedDuration::try_from(settings.deadline).unwrap_or(SignedDuration::MAX);
        let deadline_at = now.saturating_add(self.deadline.unwrap_or(default)).unwrap_or(Timestamp::MAX);
        let rights = caller.rights.for_jobs_in(&self.target.env);
        Job {
            ticket,
            fingerprint: self.fingerprint(),
            operation: self.operation,
            target: self.target,
            host: target.host.clone(),
            actor: caller.actor(),
            submitted_at: now,
            deadline_at,
            metadata: self.metadata,
            rights,
            callback,
            replay_of: None,
        }
    }
}

/// The profile of a kind in an environment, or [`Code::UnknownKind`] or [`Code::KindNotAllowedInEnv`].
pub(crate) fn profile<'a>(profiles: &'a Profiles, kind: &str) -> Result<(KindName, &'a Profile), Failure> {
    let found = KindName::parse(kind).ok().and_then(|kind| Some((kind.clone(), profiles.find(&kind)?)));
    found.ok_or_else(|| {
        let known: Vec<_> = profiles.list().map(|(kind, _)| kind.as_str()).collect();
        Failure::new(Code::UnknownKind, format!("There is no such kind. Known are: {}.", known.join(", ")))
            .with_context(serde_json::json!({ "known_kinds": known }))
    })
}

/// Whether the kind may be made there.
pub(crate) fn allowed(kind: &KindName, profile: &Profile, env: &Env) -> Result<(), Failure> {
    if profile.allowed_in(env) {
        return Ok(());
    }
    Err(Failure::new(
        Code::KindNotAllowedInEnv,
        format!("Roles of the kind {kind} may not be made in the environment {env}."),
    ))
}

/// A deadline within the configured bounds: over zero, at most `tickets.max_deadline`.
pub(crate) fn deadline(asked: SignedDuration, longest: Duration) -> Result<SignedDuration, String> {
    let longest = SignedDuration::try_from(longest).unwrap_or(SignedDuration::MAX);
    // Milliseconds are what the stores keep.
    if asked < SignedDuration::from_millis(1) {
        Err("must be longer than zero".to_owned())
    } else if asked > longest {
        Err(format!("must be at most {longest:#}"))
    } else {
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::fakes;

    #[test]
    fn keys_are_visible_ascii() {
        for key in ["a", &"k".repeat(255), "deploy-4711", "!~"] {
            assert!(IdempotencyKey::parse(key).is_ok(), "{key:?}");
        }
        for key in ["", &"k".repeat(256), "a b", "a\tb", "a\0", "é"] {
            assert_eq!(IdempotencyKey::parse(key), Err(NotAKey), "{key:?}");
        }
    }

    #[test]
    fn the_fingerprint_knows_every_part_and_nothing_else() {
        let base = fakes::submission("r1");
        assert_eq!(base.fingerprint().len(), 64);
        assert_eq!(base.fingerprint(), fakes::submission("r1").fingerprint());
        let keyed = Submission { key: Some(IdempotencyKey::parse("k").unwrap()), ..base.clone() };
        assert_eq!(base.fingerprint(), keyed.fingerprint());

        let other_env = TargetKey { env: Env::parse("qa").unwrap(), ..base.target.clone() };
        let others = [
            fakes::submission("r2"),
            Submission { target: other_env, ..base.clone() },
            Submission { deadline: Some(SignedDuration::from_secs(900)), ..base.clone() },
            Submission { callback: Some(AskedCallback::Endpoint(Uuid::nil())), ..base.clone() },
            Submission { metadata: BTreeMap::from([("a".to_owned(), "b".to_owned())]), ..base.clone() },
        ];
        for other in others {
            assert_ne!(base.fingerprint(), other.fingerprint(), "{other:?}");
        }
    }

    #[test]
    fn the_fingerprint_does_not_change_between_releases() {
        // A retry may meet a ticket that an older release wrote down.
        assert_eq!(
            fakes::submission("r1").fingerprint(),
            "d657e8c82035d3cb2ba9d57960b281fc294e1258559bdf16ff343d09c7940670"
        );
    }

    #[test]
    fn deadlines_have_both_ends() {
        let longest = Duration::from_mins(1);
        assert!(deadline(SignedDuration::from_secs(60), longest).is_ok());
        assert!(deadline(SignedDuration::from_millis(60_001), longest).is_err());
        assert!(deadline(SignedDuration::ZERO, longest).is_err());
        assert!(deadline(SignedDuration::from_secs(-1), longest).is_err());
        assert!(deadline(SignedDuration::MAX, longest).is_err());
    }
}
