//! Sessions: JWTs (RFC 7519) that we sign and that only we read.
//!
//! HS256 and nothing else, whatever a header says. The key is derived from the key that seals at the moment, so it is
//! rotated with that one and every process has it; `kid` is that key's id.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rolecall_shared::domain::Failure;
use rolecall_shared::seal::{DerivedKey, KeyRing, keyed_hash};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

const PURPOSE: &str = "rolecall session 1";
const ISSUER: &str = "rolecall";
const AUDIENCE: &str = "rolecall-api";

/// What a session says. Rights are not in it: they are those of the account when it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    /// The account.
    pub(crate) sub: String,
    /// Who owns what is made with it.
    pub(crate) owner: String,
    /// When it was opened, and when it ends, in seconds since 1970.
    iat: i64,
    exp: i64,
    pub(crate) jti: Uuid,
    /// The account's generation: see the control database.
    generation: String,
    /// What opened it: `basic`, or `oidc` and the issuer's name.
    pub(crate) opened_by: String,
}

impl Claims {
    /// When it ends.
    pub(crate) fn expires_at(&self) -> Timestamp {
        Timestamp::from_second(self.exp).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// A session as it is handed out.
pub(crate) struct Opened {
    pub(crate) token: Zeroizing<String>,
    pub(crate) id: Uuid,
    pub(crate) expires_at: Timestamp,
}

/// For whom a session is opened.
pub(crate) struct For<'a> {
    pub(crate) account: &'a str,
    pub(crate) owner: &'a str,
    pub(crate) generation: Generation<'a>,
    pub(crate) opened_by: &'a str,
}

/// What a session is good as long as: it ends when this is another one.
#[derive(Clone, Copy)]
pub(crate) enum Generation<'a> {
    /// That of the account in the control database.
    Stored(Uuid),
    /// The password of the account in the configuration. Only a keyed hash of it is in the session.
    Password(&'a SecretString),
}

impl Generation<'_> {
    fn text(self, key: &DerivedKey) -> String {
        match self {
            Self::Stored(id) => id.to_string(),
            Self::Password(password) => {
                let hash = keyed_hash(key, &[b"generation", password.expose_secret().as_bytes()]);
                URL_SAFE_NO_PAD.encode(*hash)
            }
        }
    }
}

/// A session that was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) claims: Claims,
    kid: String,
}

/// Opens sessions and reads them.
pub(crate) struct Sessions {
    keys: KeyRing,
    lifetime: SignedDuration,
}

impl Sessions {
    pub(crate) fn new(keys: KeyRing, lifetime: std::time::Duration) -> Self {
        Self { keys, lifetime: SignedDuration::try_from(lifetime).unwrap_or(SignedDuration::ZERO) }
    }

    pub(crate) fn open(&self, whose: &For<'_>, now: Timestamp) -> Result<Opened, Failure> {
        let (kid, key) = self.keys.derive(PURPOSE, now).map_err(Failure::internal)?;
        let expires_at = now.saturating_add(self.lifetime).unwrap_or(Timestamp::MAX);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: whose.account.to_owned(),
            owner: whose.owner.to_owned(),
            iat: now.as_second(),
            exp: expires_at.as_second(),
            jti: Uuid::new_v4(),
            generation: whose.generation.text(&key),
            opened_by: whose.opened_by.to_owned(),
        };
        let header = Header { kid: Some(kid), ..Header::new(Algorithm::HS256) };
        let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&*key));
        let token = Zeroizing::new(token.map_err(Failure::internal)?);
        Ok(Opened { token, id: claims.jti, expires_at: claims.expires_at() })
    }

    /// Whether the session is of this generation.
    pub(crate) fn is_of(&self, session: &Read, generation: Generation<'_>) -> bool {
        let key = self.keys.derive_again(&session.kid, PURPOSE);
        key.is_some_and(|key| generation.text(&key) == session.claims.generation)
    }

    /// What a session says, if it is one of ours and its time is not over.
    pub(crate) fn read(&self, token: &str, now: Timestamp) -> Option<Read> {
        let kid = jsonwebtoken::decode_header(token).ok()?.kid?;
        let key = self.keys.derive_again(&kid, PURPOSE)?;
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_audience(&[AUDIENCE]);
        rules.set_issuer(&[ISSUER]);
        rules.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        // By our own clock, below.
        rules.validate_exp = false;
        let read = jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_secret(&*key), &rules).ok()?;
        (now < read.claims.expires_at()).then_some(Read { claims: read.claims, kid })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rolecall_shared::seal;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn ring() -> (tempfile::TempDir, KeyRing) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("seal.keys");
        seal::add_key(&file, at(0), Duration::ZERO).unwrap();
        (folder, KeyRing::load(&file).unwrap())
    }

    fn sessions() -> (tempfile::TempDir, Sessions) {
        let (folder, ring) = ring();
        (folder, Sessions::new(ring, Duration::from_mins(10)))
    }

    const CI: For<'_> = For {
        account: "ci",
        owner: "ci",
        generation: Generation::Stored(Uuid::from_u128(7)),
        opened_by: "basic",
    };

    /// A token of anybody's making, signed with our very key.
    fn forged(sessions: &Sessions, header: &Header, change: impl Fn(&mut serde_json::Value)) -> String {
        let opened = sessions.open(&CI, at(0)).unwrap();
        let (_, key) = sessions.keys.derive(PURPOSE, at(0)).unwrap();
        let mut claims = serde_json::to_value(sessions.read(&opened.token, at(1)).unwrap().claims).unwrap();
        change(&mut claims);
        jsonwebtoken::encode(header, &claims, &EncodingKey::from_secret(&*key)).unwrap()
    }

    #[test]
    fn a_session_is_read_until_it_ends() {
        let (_folder, sessions) = sessions();
        let opened = sessions.open(&CI, at(0)).unwrap();
        let claims = sessions.read(&opened.token, at(599)).unwrap().claims;
        assert_eq!((claims.sub.as_str(), claims.jti), ("ci", opened.id));
        assert_eq!(sessions.read(&opened.token, at(600)), None);
        assert_ne!(opened.id, sessions.open(&CI, at(0)).unwrap().id);
    }

    #[test]
    fn it_is_of_the_generation_it_was_opened_in() {
        let (_folder, sessions) = sessions();
        let read = |whose: &For<'_>| {
            let opened = sessions.open(whose, at(0)).unwrap();
            assert!(!opened.token.contains("hunter2"));
            sessions.read(&opened.token, at(1)).unwrap()
        };
        let stored = read(&CI);
        assert!(sessions.is_of(&stored, CI.generation));
        assert!(!sessions.is_of(&stored, Generation::Stored(Uuid::from_u128(8))));
        let (password, other) = (SecretString::from("hunter2"), SecretString::from("hunter3"));
        let bound = read(&For { generation: Generation::Password(&password), ..CI });
        assert!(!format!("{bound:?}").contains("hunter2"));
        assert!(sessions.is_of(&bound, Generation::Password(&password)));
        assert!(!sessions.is_of(&bound, Generation::Password(&other)));
    }

    #[test]
    fn one_of_another_ring_is_none_of_ours() {
        let ((_a, ours), (_b, others)) = (sessions(), sessions());
        assert_eq!(ours.read(&others.open(&CI, at(0)).unwrap().token, at(1)), None);
    }

    #[test]
    fn what_was_tampered_with_is_refused() {
        let (_folder, sessions) = sessions();
        let (kid, _) = sessions.keys.derive(PURPOSE, at(0)).unwrap();
        let header = |algorithm| Header { kid: Some(kid.clone()), ..Header::new(algorithm) };
        let good = forged(&sessions, &header(Algorithm::HS256), |_| {});
        assert!(sessions.read(&good, at(1)).is_some());
        for algorithm in [Algorithm::HS384, Algorithm::HS512] {
            assert_eq!(sessions.read(&forged(&sessions, &header(algorithm), |_| {}), at(1)), None);
        }
        for claim in ["iss", "aud", "sub", "exp", "jti", "iat", "owner", "generation"] {
            let without = forged(&sessions, &header(Algorithm::HS256), |claims| {
                claims.as_object_mut().unwrap().remove(claim);
            });
            assert_eq!(sessions.read(&without, at(1)), None, "{claim}");
        }
        for (claim, value) in [("iss", "other"), ("aud", "other")] {
            let other = forged(&sessions, &header(Algorithm::HS256), |claims| claims[claim] = value.into());
            assert_eq!(sessions.read(&other, at(1)), None, "{claim}");
        }
        // alg: none, with and without a signature.
        let parts: Vec<_> = good.split('.').collect();
        let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1]);
        for text in [none.as_str(), &format!("{none}{}", parts[2]), &good[..good.len() - 4], "a.b.c", ""] {
            assert_eq!(sessions.read(text, at(1)), None, "{text:.20}");
        }
        let nameless = Header { kid: None, ..Header::new(Algorithm::HS256) };
        assert_eq!(sessions.read(&forged(&sessions, &nameless, |_| {}), at(1)), None);
    }
}
