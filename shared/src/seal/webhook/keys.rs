//! Keys of webhooks, and their texts.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::seal::random_bytes;

const SYMMETRIC: &str = "whsec_";
const PRIVATE: &str = "whsk_";
const PUBLIC: &str = "whpk_";
/// "Random. At least 24 bytes (192 bits, 512 maximum)" (Standard Webhooks, "Signature scheme").
const SYMMETRIC_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// How a webhook is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WebhookScheme {
    /// HMAC-SHA256: who can verify can sign as well.
    HmacSha256,
    /// Ed25519: the receiver has the public key only.
    Ed25519,
}

impl WebhookScheme {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::HmacSha256, Self::Ed25519];

    /// What a signature of this scheme begins with in the header, before the comma.
    pub fn version(self) -> &'static str {
        match self {
            Self::HmacSha256 => "v1",
            Self::Ed25519 => "v1a",
        }
    }

    /// Its name where people choose one.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl FromStr for WebhookScheme {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str() == text).ok_or(())
    }
}

/// What is wrong with the text of a key. Repeats nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWebhookKey {
    /// Another beginning, or none.
    #[error("a webhook's key begins with whsec_, or with whsk_ or whpk_ for Ed25519")]
    Prefix,
    /// The private key where the public one belongs.
    #[error("this is the private key (whsk_), which the sender alone has; the receiver's begins with whpk_")]
    Private,
    /// The public key where one that signs belongs.
    #[error("this is a public key (whpk_), which cannot sign; the sender's begins with whsk_")]
    Public,
    /// Not standard base64 with padding.
    #[error("what follows the prefix of a webhook's key is base64 with padding")]
    Base64,
    /// Too few bytes, or too many.
    #[error("a key that begins with whsec_ has 24 to 64 bytes, one that begins with whsk_ or whpk_ has 32")]
    Length,
}

/// A key that signs.
pub struct WebhookKey(Signer);

enum Signer {
    Hmac(Zeroizing<Vec<u8>>),
    Ed25519 { seed: Zeroizing<[u8; 32]>, pair: Ed25519KeyPair },
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookKey")
    }
}

impl WebhookKey {
    /// A fresh key of 256 random bits.
    ///
    /// # Panics
    /// When the operating system has no generator.
    #[expect(clippy::expect_used, reason = "any 32 bytes are an Ed25519 seed (RFC 8032, section 5.1.5)")]
    pub fn generate(scheme: WebhookScheme) -> Self {
        let bytes = random_bytes::<32>();
        match scheme {
            WebhookScheme::HmacSha256 => Self(Signer::Hmac(Zeroizing::new(bytes.to_vec()))),
            WebhookScheme::Ed25519 => Self::ed25519(bytes).expect("32 bytes are a seed"),
        }
    }

    fn ed25519(seed: Zeroizing<[u8; 32]>) -> Result<Self, InvalidWebhookKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).map_err(|_| InvalidWebhookKey::Length)?;
        Ok(Self(Signer::Ed25519 { seed, pair }))
    }

    /// Reads `whsec_…` or `whsk_…`.
    pub fn parse(text: &str) -> Result<Self, InvalidWebhookKey> {
        if let Some(rest) = text.strip_prefix(SYMMETRIC) {
            return Ok(Self(Signer::Hmac(symmetric(rest)?)));
        }
        if text.starts_with(PUBLIC) {
            return Err(InvalidWebhookKey::Public);
        }
        let bytes = decode(text.strip_prefix(PRIVATE).ok_or(InvalidWebhookKey::Prefix)?)?;
        let seed = <[u8; 32]>::try_from(&bytes[..]).map_err(|_| InvalidWebhookKey::Length)?;
        Self::ed25519(Zeroizing::new(seed))
    }

    /// The text that [`parse`](Self::parse) reads.
    pub fn to_text(&self) -> Zeroizing<String> {
        match &self.0 {
            Signer::Hmac(bytes) => encode(SYMMETRIC, bytes),
            Signer::Ed25519 { seed, .. } => encode(PRIVATE, &seed[..]),
        }
    }

    /// How it signs.
    pub fn scheme(&self) -> WebhookScheme {
        match &self.0 {
            Signer::Hmac(_) => WebhookScheme::HmacSha256,
            Signer::Ed25519 { .. } => WebhookScheme::Ed25519,
        }
    }

    /// What the receiver needs: for HMAC the same key, for Ed25519 the public half.
    pub fn verifying(&self) -> VerifyingKey {
        match &self.0 {
            Signer::Hmac(bytes) => VerifyingKey(Check::Hmac(bytes.clone())),
            Signer::Ed25519 { pair, .. } => {
                let mut key = [0; 32];
                key.copy_from_slice(pair.public_key().as_ref());
                VerifyingKey(Check::Ed25519(key))
            }
        }
    }

    /// `v1,…` or `v1a,…`.
    pub(super) fn sign(&self, content: &[u8]) -> String {
        let signature = match &self.0 {
            Signer::Hmac(bytes) => {
                STANDARD.encode(keyed(bytes).chain_update(content).finalize().into_bytes())
            }
            Signer::Ed25519 { pair, .. } => STANDARD.encode(pair.sign(content)),
        };
        format!("{},{signature}", self.scheme().version())
    }
}

/// A key that verifies. That of HMAC is secret too, so there is no `Debug` text.
pub struct VerifyingKey(Check);

enum Check {
    Hmac(Zeroizing<Vec<u8>>),
    Ed25519([u8; 32]),
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKey")
    }
}

impl VerifyingKey {
    /// Reads `whsec_…` or `whpk_…`.
    pub fn parse(text: &str) -> Result<Self, InvalidWebhookKey> {
        if let Some(rest) = text.strip_prefix(SYMMETRIC) {
            return Ok(Self(Check::Hmac(symmetric(rest)?)));
        }
        if text.starts_with(PRIVATE) {
            return Err(InvalidWebhookKey::Private);
        }
        let bytes = decode(text.strip_prefix(PUBLIC).ok_or(InvalidWebhookKey::Prefix)?)?;
        let key = <[u8; 32]>::try_from(&bytes[..]).map_err(|_| InvalidWebhookKey::Length)?;
        Ok(Self(Check::Ed25519(key)))
    }

    /// The text that [`parse`](Self::parse) reads: what a receiver is given.
    pub fn to_text(&self) -> Zeroizing<String> {
        match &self.0 {
            Check::Hmac(bytes) => encode(SYMMETRIC, bytes),
            Check::Ed25519(key) => encode(PUBLIC, key),
        }
    }

    /// What it verifies.
    pub fn scheme(&self) -> WebhookScheme {
        match &self.0 {
            Check::Hmac(_) => WebhookScheme::HmacSha256,
            Check::Ed25519(_) => WebhookScheme::Ed25519,
        }
    }

    /// Whether the signature, without its version, is this key's. Takes the same time for every wrong one.
    pub(super) fn fits(&self, content: &[u8], signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature) else { return false };
        match &self.0 {
            Check::Hmac(bytes) => keyed(bytes).chain_update(content).verify_slice(&signature).is_ok(),
            Check::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(content, &signature).is_ok(),
        }
    }
}

fn symmetric(rest: &str) -> Result<Zeroizing<Vec<u8>>, InvalidWebhookKey> {
    let bytes = decode(rest)?;
    if SYMMETRIC_BYTES.contains(&bytes.len()) { Ok(bytes) } else { Err(InvalidWebhookKey::Length) }
}

fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, InvalidWebhookKey> {
    STANDARD.decode(text).map(Zeroizing::new).map_err(|_| InvalidWebhookKey::Base64)
}

fn encode(prefix: &str, bytes: &[u8]) -> Zeroizing<String> {
    // Sized beforehand: a text that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + bytes.len().div_ceil(3) * 4));
    text.push_str(prefix);
    STANDARD.encode_string(bytes, &mut text);
    text
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104, section 2)")]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}
