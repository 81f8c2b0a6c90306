//! Why a token is not taken.

use std::fmt;

macro_rules! reasons {
    ($($(#[$meta:meta])* $name:ident = $text:literal;)+) => {
        /// Why a token is not taken. The words are stable: they are in answers and in the audit.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$meta])* $name,)+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

reasons! {
    /// It is no token, or one with something in it that must not be there.
    Malformed = "malformed";
    /// No issuer of the configuration has this `iss`.
    UnknownIssuer = "unknown_issuer";
    /// It is signed in a way the issuer's section does not list, or that does not fit the key.
    AlgorithmNotAllowed = "algorithm_not_allowed";
    /// The issuer has no key of this `kid`.
    UnknownKey = "unknown_key";
    /// The issuer's keys cannot be had, and none are known from before. The only one that may pass by itself.
    KeysUnavailable = "keys_unavailable";
    /// The issuer's key did not sign this.
    BadSignature = "bad_signature";
    /// It was made for somebody else.
    WrongAudience = "wrong_audience";
    /// Its time is over.
    Expired = "expired";
    /// Its time has not come.
    NotYetValid = "not_yet_valid";
    /// It lives longer than `max_age_seconds` allows.
    LivesTooLong = "lives_too_long";
    /// It lacks a claim without which nothing can be decided.
    ClaimMissing = "claim_missing";
    /// It is valid, and no binding matches it.
    NoBinding = "no_binding";
}

/// A token that is not taken: the reason's word, and what a person needs to know. Holds no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Refusal {
    /// For programs.
    pub reason: Reason,
    /// For people.
    pub detail: String,
}

impl Refusal {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
