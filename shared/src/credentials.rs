//! Names and passwords of accounts: checked when they are new; passwords made into argon2id hashes, and checked
//! against them.
//!
//! Never: holds a password longer than the call, or answers faster for an account that does not exist. Tested in
//! this file. Passwords of *roles* are another matter: `seal`.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};

use std::sync::LazyLock;

/// The fewest characters of an account's password.
pub const MIN_PASSWORD_CHARS: usize = 12;

/// The most bytes of an account's password: enough for any passphrase, and no way to keep us hashing.
pub const MAX_PASSWORD_BYTES: usize = 1_024;

/// The most bytes of an account's name.
pub const MAX_ACCOUNT_NAME_BYTES: usize = 64;

/// 19 MiB, two passes, one lane: the first choice of OWASP's Password Storage Cheat Sheet for argon2id.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Why a password is not taken. Its text says what to do and repeats nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// Fewer than [`MIN_PASSWORD_CHARS`].
    #[error("the password has fewer than {MIN_PASSWORD_CHARS} characters")]
    TooShort,
    /// More than [`MAX_PASSWORD_BYTES`].
    #[error("the password is longer than {MAX_PASSWORD_BYTES} bytes")]
    TooLong,
    /// HTTP Basic cannot carry it (RFC 7617, section 2).
    #[error("the password holds control characters")]
    Control,
    /// The hash could not be made: no randomness or no memory.
    #[error("the password could not be hashed")]
    NotHashed,
}

/// Not a name for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an account is named with 1 to {MAX_ACCOUNT_NAME_BYTES} bytes, without spaces, colons and control characters"
)]
pub struct InvalidAccountName;

/// Checks the name of a new account. A colon would end it in HTTP Basic (RFC 7617, section 2); it also keeps the
/// names `cli:…`, under which commands act, out of reach.
pub fn check_account_name(name: &str) -> Result<(), InvalidAccountName> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == ':';
    if (1..=MAX_ACCOUNT_NAME_BYTES).contains(&name.len()) && !name.contains(bad) {
        Ok(())
    } else {
        Err(InvalidAccountName)
    }
}

/// The argon2id hash of a new password, as a PHC string with a salt of its own.
///
/// Takes some 20 ms of one core and 19 MiB: call it off the async threads.
pub fn hash_password(password: &SecretString) -> Result<String, PasswordFault> {
    let text = password.expose_secret();
    if text.chars().count() < MIN_PASSWORD_CHARS {
        return Err(PasswordFault::TooShort);
    }
    if text.len() > MAX_PASSWORD_BYTES {
        return Err(PasswordFault::TooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(PasswordFault::Control);
    }
    hash(text.as_bytes()).ok_or(PasswordFault::NotHashed)
}

/// Whether the password is the one that was hashed. Without a hash (there is no such account) the answer is no,
/// after as long as it would take with one.
///
/// Takes some 20 ms of one core and 19 MiB: call it off the async threads.
pub fn verify_password(password: &SecretString, hash: Option<&str>) -> bool {
    let text = password.expose_secret();
    if text.len() > MAX_PASSWORD_BYTES {
        return false;
    }
    let parsed = hash.and_then(|hash| PasswordHash::new(hash).ok());
    match (parsed, &*NOBODY) {
        // The parameters are those of the hash, so hashes made by older versions stay good.
        (Some(parsed), _) => argon2().verify_password(text.as_bytes(), &parsed).is_ok(),
        (None, Some(nobody)) => {
            _ = std::hint::black_box(argon2().verify_password(text.as_bytes(), nobody));
            false
        }
        (None, None) => false,
    }
}

/// What is compared against when there is no account. Nothing matches it but a text nobody can send.
static NOBODY: LazyLock<Option<PasswordHash>> =
    LazyLock::new(|| hash(b"\0no such account\0").and_then(|text| PasswordHash::new(&text).ok()));

fn hash(text: &[u8]) -> Option<String> {
    argon2().hash_password(text).ok().map(|hash: PasswordHash| hash.to_string())
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or(Params::DEFAULT);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn a_hash_opens_with_its_password_only() {
        let hash = hash_password(&secret("correct horse")).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(verify_password(&secret("correct horse"), Some(&hash)));
        assert!(!verify_password(&secret("correct hors"), Some(&hash)));
        assert!(!verify_password(&secret(""), Some(&hash)));
        assert_ne!(hash, hash_password(&secret("correct horse")).unwrap());
    }

    #[test]
    fn limits_hold_at_the_limit() {
        assert!(hash_password(&secret(&"é".repeat(12))).is_ok());
        assert_eq!(hash_password(&secret(&"é".repeat(11))), Err(PasswordFault::TooShort));
        assert!(hash_password(&secret(&"a".repeat(1_024))).is_ok());
        assert_eq!(hash_password(&secret(&"a".repeat(1_025))), Err(PasswordFault::TooLong));
        assert_eq!(hash_password(&secret("with\0a NUL inside")), Err(PasswordFault::Control));
    }

    #[test]
    fn names_of_accounts_fit_http_basic() {
        for name in ["ci", "ops@corp.example", "Jörg", &"a".repeat(64)] {
            assert!(check_account_name(name).is_ok(), "{name}");
        }
        for name in ["", "a:b", "a b", "a\n", "a\0", &"a".repeat(65)] {
            assert!(check_account_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn nobody_and_nonsense_are_refused() {
        assert!(NOBODY.is_some());
        assert!(!verify_password(&secret("\0no such account\0"), None));
        assert!(!verify_password(&secret("whatever it is"), None));
        assert!(!verify_password(&secret("whatever it is"), Some("not a hash")));
    }

    /// Not a measurement: the work for nobody is that of a real hash, by its parameters.
    #[test]
    fn nobody_costs_what_an_account_costs() {
        let real = PasswordHash::new(&hash_password(&secret("correct horse")).unwrap()).unwrap();
        let nobody = NOBODY.as_ref().unwrap();
        assert_eq!((&nobody.algorithm, &nobody.params), (&real.algorithm, &real.params));
    }
}
