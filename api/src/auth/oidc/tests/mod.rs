//! Ground to stand on: keys, tokens, an issuer, a clock.

mod fetching;
mod refusals;
mod vendors;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use rolecall_shared::config::{ClaimRule, KeySource, Oidc, OidcBinding, OidcIssuer};
use rolecall_shared::domain::{ClaimPattern, Clock, SignatureAlgorithm};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::{Identity, Reason, Refusal, Verifier};

pub(super) const NOW: i64 = 1_800_000_000;
pub(super) const ISSUER: &str = "https://issuer.example";

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(super) struct TestClock(Mutex<Timestamp>);

impl TestClock {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Timestamp::from_second(NOW).unwrap())))
    }

    pub(super) fn advance(&self, seconds: i64) {
        *self.0.lock().unwrap() += SignedDuration::from_secs(seconds);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

pub(super) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A private key of an issuer.
pub(super) enum Private {
    Rsa(&'static RsaKeyPair),
    Ec(EcdsaKeyPair, &'static str),
    Ed(Ed25519KeyPair),
}

/// Two RSA keys for all tests: making one takes a while.
pub(super) fn rsa(n: usize) -> Private {
    static KEYS: OnceLock<[RsaKeyPair; 2]> = OnceLock::new();
    Private::Rsa(&KEYS.get_or_init(|| [0, 1].map(|_| RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))[n])
}

pub(super) fn p256() -> Private {
    ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256")
}

pub(super) fn p384() -> Private {
    ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384")
}

fn ec(algorithm: &'static EcdsaSigningAlgorithm, curve: &'static str) -> Private {
    Private::Ec(EcdsaKeyPair::generate(algorithm).unwrap(), curve)
}

pub(super) fn ed25519() -> Private {
    Private::Ed(Ed25519KeyPair::generate().unwrap())
}

impl Private {
    /// Its public half as a JWK.
    pub(super) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                let public = pair.public_key();
                let n = b64(public.modulus().big_endian_without_leading_zero());
                let e = b64(public.exponent().big_endian_without_leading_zero());
                json!({ "kty": "RSA", "use": "sig", "kid": kid, "n": n, "e": e })
            }
            Self::Ec(pair, curve) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(pair.public_key().as_ref().len() / 2);
                json!({ "kty": "EC", "crv": curve, "kid": kid, "x": b64(x), "y": b64(y) })
            }
            Self::Ed(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(pair.public_key()) })
            }
        }
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Self::Ec(pair, _) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with this header, in which `alg` stands already.
    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, claims);
        let signature = self.sign(header["alg"].as_str().unwrap_or_default(), message.as_bytes());
        format!("{message}.{}", b64(signature))
    }
}

/// What is signed of a token.
pub(super) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", b64(header.to_string()), b64(claims.to_string()))
}

/// An object with some members put over it; null takes one away.
pub(super) fn with(object: &Value, changes: &Value) -> Value {
    let mut merged: Map<String, Value> = object.as_object().unwrap().clone();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            merged.remove(name);
        } else {
            merged.insert(name.clone(), value.clone());
        }
    }
    Value::Object(merged)
}

pub(super) fn header() -> Value {
    json!({ "alg": "RS256", "typ": "JWT", "kid": "one" })
}

pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": "rolecall", "sub": "repo:acme/app:ref:refs/heads/main", "jti": "4711",
        "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 300, "repository": "acme/app",
    })
}

pub(super) fn binding(name: &str, account: &str, rules: &[(&str, &[&str])]) -> OidcBinding {
    let rule = |(claim, texts): &(&str, &[&str])| ClaimRule {
        claim: (*claim).to_owned(),
        any_of: texts.iter().map(|text| ClaimPattern::parse(claim, text).unwrap()).collect(),
    };
    OidcBinding {
        name: name.to_owned(),
        account: account.to_owned(),
        subject_claim: "sub".to_owned(),
        claims: rules.iter().map(rule).collect(),
    }
}

pub(super) fn issuer(keys: KeySource, bindings: Vec<OidcBinding>) -> OidcIssuer {
    OidcIssuer {
        name: "ci".to_owned(),
        issuer: ISSUER.to_owned(),
        audience: "rolecall".to_owned(),
        algorithms: vec![SignatureAlgorithm::Rs256],
        keys,
        leeway: Duration::from_mins(1),
        max_age: Duration::from_hours(1),
        bindings,
    }
}

/// An issuer whose keys are in a file.
pub(super) struct Ground {
    dir: TempDir,
    pub(super) clock: Arc<TestClock>,
    pub(super) issuer: OidcIssuer,
}

impl Ground {
    /// With the first RSA key, as `one`.
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeySource::File(dir.path().join("jwks.json"));
        let issuer = issuer(keys, vec![binding("deploy", "ci", &[("repository", &["acme/app"])])]);
        let ground = Self { dir, clock: TestClock::new(), issuer };
        ground.publish(&[rsa(0).jwk("one")]);
        ground
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.path().join("jwks.json")
    }

    pub(super) fn publish(&self, keys: &[Value]) {
        std::fs::write(self.path(), json!({ "keys": keys }).to_string()).unwrap();
    }

    pub(super) fn verifier(&self) -> Verifier {
        Verifier::new(&Oidc { issuers: vec![self.issuer.clone()] }, Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    pub(super) async fn identify(&self, token: &str) -> Result<Identity, Refusal> {
        let identified = self.verifier().identify(token).await;
        if let Err(refusal) = &identified {
            let signature = token.rsplit('.').next().filter(|part| part.len() > 20);
            assert!(signature.is_none_or(|part| !refusal.to_string().contains(part)), "{refusal}");
        }
        identified
    }

    /// What becomes of a good token with these members changed.
    pub(super) async fn changed(&self, in_header: Value, in_claims: Value) -> Result<Identity, Reason> {
        let token = rsa(0).token(&with(&header(), &in_header), &with(&claims(), &in_claims));
        self.identify(&token).await.map_err(|refusal| refusal.reason)
    }
}
