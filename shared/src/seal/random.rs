//! The one source of randomness for secrets: the operating system's generator.

use chacha20poly1305::aead::Generate;
use zeroize::Zeroizing;

/// `N` random bytes for a secret (a password, a key, a token), wiped when dropped.
///
/// # Panics
/// When the operating system has no generator. Nothing here is worth making with a weaker one.
pub fn random_bytes<const N: usize>() -> Zeroizing<[u8; N]> {
    Zeroizing::new(Generate::generate())
}
