//! Passwords in clear, for as short as possible.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::random_bytes;

/// A generated or configured password. No `Debug` text, no `Serialize`, wiped on drop.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// 22 characters of `A-Za-z0-9_-` from the operating system's generator: 128 bits.
    ///
    /// All of them stand in a URI, a `.pgpass` line and a shell word without quoting. The last one carries two
    /// of the 128 bits.
    pub fn generate() -> Self {
        let mut text = Zeroizing::new(String::with_capacity(22));
        URL_SAFE_NO_PAD.encode_string(random_bytes::<16>().as_slice(), &mut text);
        Self(text)
    }

    /// Takes a password from configuration, a file or an opened seal.
    pub fn from_string(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The password in clear.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn generated_passwords_are_22_plain_characters_and_never_the_same() {
        let passwords: HashSet<_> = (0..1_000).map(|_| Password::generate().expose().to_owned()).collect();
        assert_eq!(passwords.len(), 1_000);
        let mut seen = HashSet::new();
        for password in &passwords {
            assert_eq!(password.len(), 22);
            assert!(password.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')));
            seen.extend(password.bytes());
        }
        assert_eq!(seen.len(), 64, "the whole alphabet is in use");
    }

    #[test]
    fn debug_shows_nothing() {
        let password = Password::from_string(Zeroizing::new("correct horse".to_owned()));
        assert_eq!(format!("{password:?} {password:#?}"), "Password Password");
    }
}
