//! The keys of an issuer: which of them fits a token, and how long they are believed.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use rolecall_shared::config::OidcIssuer;
use rolecall_shared::domain::{Clock, SignatureAlgorithm};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OwnedMutexGuard;
use tokio_util::task::TaskTracker;

use super::refusal::{Reason, Refusal};
use super::source;
use super::token::Token;

/// Keys are looked for again after so long, even if nobody misses one: an issuer may have withdrawn one.
const REFRESH: SignedDuration = SignedDuration::from_hours(1);
/// An issuer is asked no more often: strangers can make up key ids.
const APART: SignedDuration = SignedDuration::from_mins(1);

/// A key as it stands in a set (RFC 7517); only what is looked at.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// What a key can verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Rsa,
    P256,
    P384,
    Ed25519,
}

#[derive(Clone)]
struct PublicKey {
    id: Option<String>,
    family: Family,
    /// If the set says so, the only algorithm for this key.
    only: Option<String>,
    key: DecodingKey,
}

/// The keys of an issuer that can verify a signature.
#[derive(Clone)]
pub(super) struct KeySet(Vec<PublicKey>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// Keys of unknown kinds are left out (RFC 7517, section 5), and so are secrets (`oct`) and keys to encrypt with.
    pub(super) fn parse(document: &Value) -> Result<Self, String> {
        let document = Document::deserialize(document)
            .map_err(|_| "there is no key set where it should be".to_owned())?;
        let keys: Vec<_> = document.keys.into_iter().filter_map(public_key).collect();
        if keys.is_empty() { Err("the key set has no key for signatures".to_owned()) } else { Ok(Self(keys)) }
    }

    /// The keys a token may mean. Without a `kid` that is the only key there is.
    fn meant_by(&self, key_id: Option<&str>) -> Vec<&PublicKey> {
        match (key_id, self.0.as_slice()) {
            (None, [only]) => vec![only],
            (None, _) => Vec::new(),
            (Some(_), keys) => keys.iter().filter(|key| key.id.as_deref() == key_id).collect(),
        }
    }
}

fn public_key(value: Value) -> Option<PublicKey> {
    let jwk = Jwk::deserialize(value).ok()?;
    let is_for_signatures = jwk.r#use.as_deref().is_none_or(|usage| usage == "sig")
        && jwk.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    if !is_for_signatures {
        return None;
    }
    let family = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => Family::Rsa,
        ("EC", Some("P-256")) => Family::P256,
        ("EC", Some("P-384")) => Family::P384,
        ("OKP", Some("Ed25519")) => Family::Ed25519,
        _ => return None,
    };
    let key = match family {
        Family::Rsa => DecodingKey::from_rsa_components(&jwk.n?, &jwk.e?),
        Family::P256 | Family::P384 => DecodingKey::from_ec_components(&jwk.x?, &jwk.y?),
        Family::Ed25519 => DecodingKey::from_ed_components(&jwk.x?),
    };
    Some(PublicKey { id: jwk.kid, family, only: jwk.alg, key: key.ok()? })
}

impl PublicKey {
    fn fits(&self, algorithm: SignatureAlgorithm) -> bool {
        let (family, _) = of(algorithm);
        family == self.family && self.only.as_deref().is_none_or(|only| only == algorithm.as_str())
    }

    fn verifies(&self, token: &Token<'_>, algorithm: SignatureAlgorithm) -> bool {
        let (_, algorithm) = of(algorithm);
        crypto::verify(token.signature, token.message, &self.key, algorithm).unwrap_or(false)
    }
}

fn of(algorithm: SignatureAlgorithm) -> (Family, Algorithm) {
    match algorithm {
        SignatureAlgorithm::Rs256 => (Family::Rsa, Algorithm::RS256),
        SignatureAlgorithm::Rs384 => (Family::Rsa, Algorithm::RS384),
        SignatureAlgorithm::Rs512 => (Family::Rsa, Algorithm::RS512),
        SignatureAlgorithm::Ps256 => (Family::Rsa, Algorithm::PS256),
        SignatureAlgorithm::Ps384 => (Family::Rsa, Algorithm::PS384),
        SignatureAlgorithm::Ps512 => (Family::Rsa, Algorithm::PS512),
        SignatureAlgorithm::Es256 => (Family::P256, Algorithm::ES256),
        SignatureAlgorithm::Es384 => (Family::P384, Algorithm::ES384),
        SignatureAlgorithm::EdDsa => (Family::Ed25519, Algorithm::EdDSA),
    }
}

/// What is known of an issuer's keys.
#[derive(Default, Clone)]
struct Known {
    set: Option<Arc<KeySet>>,
    fetched_at: Option<Timestamp>,
    tried_at: Option<Timestamp>,
    /// Why the last try brought nothing.
    trouble: Option<String>,
}

/// The keys of one issuer, kept.
pub(super) struct Keys {
    issuer: OidcIssuer,
    clock: Arc<dyn Clock>,
    known: Mutex<Known>,
    /// Who asks the issuer. Not the lock above: those whose key is known do not wait for the network.
    flight: Arc<tokio::sync::Mutex<()>>,
    tasks: TaskTracker,
}

impl Keys {
    pub(super) fn new(issuer: OidcIssuer, clock: Arc<dyn Clock>) -> Arc<Self> {
        let (known, flight, tasks) = (Mutex::default(), Arc::default(), TaskTracker::new());
        Arc::new(Self { issuer, clock, known, flight, tasks })
    }

    /// Whose keys they are.
    pub(super) fn issuer(&self) -> &OidcIssuer {
        &self.issuer
    }

    /// Whether the issuer signed this token, with this algorithm.
    pub(super) async fn verify(
        self: &Arc<Self>,
        token: &Token<'_>,
        algorithm: SignatureAlgorithm,
    ) -> Result<(), Refusal> {
        let set = self.find(token.key_id.as_deref()).await?;
        let meant = set.meant_by(token.key_id.as_deref());
        if !meant.iter().any(|key| key.fits(algorithm)) {
            let detail = format!("{} does not fit the key it names", algorithm.as_str());
            return Err(Refusal::new(Reason::AlgorithmNotAllowed, detail));
        }
        if meant.iter().any(|key| key.fits(algorithm) && key.verifies(token, algorithm)) {
            Ok(())
        } else {
            Err(Refusal::new(Reason::BadSignature, "the key it names did not sign it"))
        }
    }

    /// A set that has the key, asking the issuer if that is due.
    async fn find(self: &Arc<Self>, key_id: Option<&str>) -> Result<Arc<KeySet>, Refusal> {
        let has_key = |known: &Known| known.set.clone().filter(|set| !set.meant_by(key_id).is_empty());
        let known = self.known();
        let flight = if let Some(set) = has_key(&known) {
            let is_old = known.fetched_at.is_none_or(|at| self.is_past(at, REFRESH));
            let flight = is_old.then(|| Arc::clone(&self.flight).try_lock_owned().ok()).flatten();
            // Whoever comes while another asks goes on with what there is.
            let Some(flight) = flight else { return Ok(set) };
            flight
        } else {
            let flight = Arc::clone(&self.flight).lock_owned().await;
            // Whoever waited for the flight may find what they need now.
            if let Some(set) = has_key(&self.known()) {
                return Ok(set);
            }
            flight
        };
        let known = self.ask_if_due(flight).await;
        has_key(&known).ok_or_else(|| missing(&known, key_id))
    }

    /// Asks, unless that was done a moment ago. What was known stays if nothing comes.
    ///
    /// A task of its own: a caller who hangs up would else take along the one answer of this minute, and callers who
    /// do so again and again would keep everybody out.
    async fn ask_if_due(self: &Arc<Self>, flight: OwnedMutexGuard<()>) -> Known {
        if self.known().tried_at.is_none_or(|at| self.is_past(at, APART)) {
            self.change(|known| known.tried_at = Some(self.clock.now()));
            let keys = Arc::clone(self);
            let asking = self.tasks.spawn(async move {
                keys.ask().await;
                drop(flight);
            });
            // Fails only when the process ends.
            _ = asking.await;
        }
        self.known()
    }

    async fn ask(&self) {
        match source::read(&self.issuer).await {
            Ok(set) => self.change(|known| {
                known.set = Some(Arc::new(set));
                known.fetched_at = Some(self.clock.now());
                known.trouble = None;
            }),
            Err(trouble) => {
                tracing::warn!(issuer = self.issuer.name, trouble, "the keys of an issuer cannot be read");
                self.change(|known| known.trouble = Some(trouble));
            }
        }
    }

    /// A clock that was set back is no reason to wait for it.
    fn is_past(&self, at: Timestamp, span: SignedDuration) -> bool {
        self.clock.now().duration_since(at).abs() >= span
    }

    fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn missing(known: &Known, key_id: Option<&str>) -> Refusal {
    let Some(set) = &known.set else {
        let trouble = known.trouble.clone().unwrap_or_else(|| "they were not read".to_owned());
        return Refusal::new(Reason::KeysUnavailable, trouble);
    };
    let trouble = known.trouble.as_ref().map_or_else(String::new, |trouble| format!("; {trouble}"));
    let detail = match key_id {
        Some(id) => format!("the issuer has no key `{}`{trouble}", id.escape_debug()),
        None => format!("it has no kid, and the issuer has {} keys{trouble}", set.0.len()),
    };
    Refusal::new(Reason::UnknownKey, detail)
}
