//! Which credentials were proven lately, so that a burst does not hash each time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::time::Instant;
use uuid::Uuid;

/// How long a proof counts. A password that was changed or an account that was closed works that much longer.
const LIFETIME: Duration = Duration::from_mins(1);
const CAPACITY: usize = 1024;

/// HMAC-SHA-256 of a user and a password under a key that lives as long as the process: what is kept cannot be
/// tried against a word list by somebody who sees it.
pub(super) type Digest = [u8; 32];

/// Proofs of the last minute.
pub(super) struct Proven {
    key: [u8; 64],
    until: Mutex<HashMap<Digest, Instant>>,
}

impl Proven {
    pub(super) fn new() -> Self {
        // One block of SHA-256; random UUIDs come from the operating system's generator, 122 bits each.
        let mut key = [0_u8; 64];
        for part in key.chunks_exact_mut(16) {
            part.copy_from_slice(Uuid::new_v4().as_bytes());
        }
        Self { key, until: Mutex::default() }
    }

    pub(super) fn digest(&self, user: &str, password: &str) -> Digest {
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        // The length says where the user ends.
        mac.update(&u64::try_from(user.len()).unwrap_or(u64::MAX).to_be_bytes());
        mac.update(user.as_bytes());
        mac.update(password.as_bytes());
        mac.finalize().into_bytes().into()
    }

    pub(super) fn knows(&self, digest: &Digest) -> bool {
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.get(digest).is_some_and(|until| *until > Instant::now())
    }

    pub(super) fn add(&self, digest: Digest) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if until.len() >= CAPACITY {
            until.retain(|_, until| *until > now);
        }
        if until.len() >= CAPACITY {
            until.clear();
        }
        until.insert(digest, now + LIFETIME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_for_these_credentials_in_this_process() {
        let proven = Proven::new();
        proven.add(proven.digest("ci", "secret"));
        assert!(proven.knows(&proven.digest("ci", "secret")));
        assert!(!proven.knows(&proven.digest("ci", "secreT")));
        assert!(!proven.knows(&proven.digest("cis", "ecret")));
        assert_ne!(proven.digest("ci", "secret"), Proven::new().digest("ci", "secret"));
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let proven = Proven::new();
        for n in 0..3 * CAPACITY {
            proven.add(proven.digest("ci", &n.to_string()));
        }
        assert!(proven.until.lock().unwrap().len() <= CAPACITY);
    }
}
