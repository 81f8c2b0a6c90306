//! SCRAM-SHA-256 verifiers (RFC 5802, RFC 7677), so that a password itself never travels in DDL.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Password, random_bytes};

/// A SCRAM-SHA-256 verifier as PostgreSQL stores it (`SCRAM-SHA-256$4096:salt$stored:server`).
///
/// Whoever has it can try passwords against it, so it has no `Debug` text and is wiped on drop.
#[derive(Clone)]
pub struct Verifier(Zeroizing<String>);

impl Verifier {
    /// Makes a verifier with a random salt. Takes about 1 ms per 4096 iterations: call it off the async threads.
    ///
    /// `iterations` below 1 is taken as 1. 4096 is the least RFC 7677 recommends; a password of
    /// [`Password::generate`] gains nothing from more, nor loses from fewer, because 128 random bits cannot be
    /// searched at any speed.
    ///
    /// Client and server prepare a password with `SASLprep` before they hash it. For ASCII that changes nothing
    /// (what it prohibits there, control characters, PostgreSQL hashes as it is), so a generated password needs
    /// no preparation. Any other password, which can only come from configuration, gets its verifier from
    /// `postgres-protocol`, which prepares, and which always makes 4096 iterations.
    pub fn make(password: &Password, iterations: u32) -> Self {
        let password = password.expose();
        if password.is_ascii() {
            Self::with_salt(password.as_bytes(), random_bytes::<16>().as_slice(), iterations.max(1))
        } else {
            Self(Zeroizing::new(postgres_protocol::password::scram_sha_256(password.as_bytes())))
        }
    }

    /// RFC 5802, section 3: `StoredKey` and `ServerKey`.
    pub(crate) fn with_salt(password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let salted = salted_password(password, salt, iterations);
        let client_key = Zeroizing::new(hmac(salted.as_slice(), b"Client Key"));
        let stored_key = Sha256::digest(client_key.as_slice());
        let server_key = hmac(salted.as_slice(), b"Server Key");
        Self(Zeroizing::new(format!(
            "SCRAM-SHA-256${iterations}:{}${}:{}",
            STANDARD.encode(salt),
            STANDARD.encode(stored_key),
            STANDARD.encode(server_key)
        )))
    }

    /// The text that PostgreSQL takes as a `PASSWORD` and stores unchanged. Only ASCII, no quotes, no backslash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

/// `Hi` of RFC 5802, section 2.2: PBKDF2 with HMAC-SHA-256 and one block of output.
fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> Zeroizing<[u8; 32]> {
    // The key is hashed once; a clone of its state starts every further round.
    let keyed = keyed(password);
    let first = keyed.clone().chain_update(salt).chain_update(1_u32.to_be_bytes());
    let mut block = Zeroizing::new(<[u8; 32]>::from(first.finalize().into_bytes()));
    let mut result = block.clone();
    for _ in 1..iterations {
        *block = keyed.clone().chain_update(block.as_slice()).finalize().into_bytes().into();
        for (sum, byte) in result.iter_mut().zip(block.iter()) {
            *sum ^= byte;
        }
    }
    result
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    keyed(key).chain_update(message).finalize().into_bytes().into()
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104, section 2)")]
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::from_string(Zeroizing::new(text.to_owned()))
    }

    /// Iterations and salt of a verifier.
    fn parts(verifier: &str) -> (u32, Vec<u8>) {
        let (iterations, rest) = verifier.strip_prefix("SCRAM-SHA-256$").unwrap().split_once(':').unwrap();
        let (salt, _) = rest.split_once('$').unwrap();
        (iterations.parse().unwrap(), STANDARD.decode(salt).unwrap())
    }

    #[test]
    fn equals_what_postgres_protocol_makes_with_the_same_salt() {
        for text in ["x", "V3ry-l0ng_and_plain-22ch", "with space ' \" \\ and \t tab", &"p".repeat(200)] {
            let theirs = postgres_protocol::password::scram_sha_256(text.as_bytes());
            let (iterations, salt) = parts(&theirs);
            let ours = Verifier::with_salt(text.as_bytes(), &salt, iterations);
            assert_eq!((iterations, ours.as_str()), (4096, theirs.as_str()), "{text:?}");
        }
    }

    /// The exchange of RFC 7677, section 3, shows its salt and proofs; these keys reproduce its server signature.
    #[test]
    fn equals_the_example_of_the_rfc() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Verifier::with_salt(b"pencil", &salt, 4096);
        let server_key = verifier.as_str().rsplit_once(':').unwrap().1;
        let exchange = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
            c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signature = hmac(&STANDARD.decode(server_key).unwrap(), exchange.as_bytes());
        assert_eq!(STANDARD.encode(signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn the_number_of_iterations_is_kept_and_counts() {
        let salt = [7; 16];
        let made: Vec<_> =
            [1, 2, 4095, 4096].map(|n| Verifier::with_salt(b"x", &salt, n).as_str().to_owned()).into();
        for (i, verifier) in made.iter().enumerate() {
            assert_eq!(parts(verifier).0, [1, 2, 4095, 4096][i]);
            let keys = |text: &str| text.rsplit_once('$').unwrap().1.to_owned();
            assert!(made[..i].iter().all(|other| keys(other) != keys(verifier)));
        }
        assert_eq!(parts(Verifier::make(&password("x"), 0).as_str()).0, 1);
    }

    #[test]
    fn every_verifier_has_its_own_salt_and_no_debug_text() {
        let make = || Verifier::make(&password("x"), 1);
        assert_ne!(make().as_str(), make().as_str());
        assert_eq!(parts(make().as_str()).1.len(), 16);
        assert_eq!(format!("{:?}", make()), "Verifier");
    }

    #[test]
    fn a_password_beyond_ascii_is_prepared() {
        // SASLprep (RFC 4013) turns the Roman numeral nine into "IX".
        let verifier = Verifier::make(&password("\u{2168}"), 1);
        let (iterations, salt) = parts(verifier.as_str());
        assert_eq!(iterations, 4096);
        assert_eq!(verifier.as_str(), Verifier::with_salt(b"IX", &salt, 4096).as_str());
    }
}
