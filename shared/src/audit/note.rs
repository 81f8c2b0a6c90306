//! Signed notes (<https://c2sp.org/signed-note>) with Ed25519: a text, an empty line, and lines of signatures.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::seal::random_bytes;

/// The algorithm byte of Ed25519.
const ED25519_KEY: u8 = 1;
const PRIVATE: &str = "PRIVATE+KEY+";
/// What a line of a signature begins with: an em dash and a space.
const SIGNATURE: &str = "\u{2014} ";
const MAX_NAME_BYTES: usize = 100;

/// What is wrong with a key's text. Says nothing of the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// A name with a space or a plus, none, or a long one.
    #[error("a key's name is 1 to 100 bytes without spaces and plus signs")]
    Name,
    /// Not the form of a key.
    #[error("it is not a key in the form of a signed note (NAME+HASH+BASE64)")]
    Form,
}

/// Why a note is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteFault {
    /// Not the form of a signed note.
    #[error("it is not a signed note")]
    Form,
    /// None of the keys that were given.
    #[error("no key that was given has signed it; the signature names {0}")]
    UnknownKey(String),
    /// The signature does not fit.
    #[error("the signature of {0} does not fit the text")]
    Signature(String),
}

/// A private key, with its name.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    seed: Zeroizing<[u8; 32]>,
    public: PublicKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A fresh key from the operating system's generator.
    pub fn generate(name: &str) -> Result<Self, InvalidKey> {
        Self::new(name, random_bytes())
    }

    fn new(name: &str, seed: Zeroizing<[u8; 32]>) -> Result<Self, InvalidKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).map_err(|_| InvalidKey::Form)?;
        let public = PublicKey::new(name, pair.public_key().as_ref())?;
        Ok(Self { pair, seed, public })
    }

    /// Reads `PRIVATE+KEY+NAME+HASH+BASE64`.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let (name, id, key) = parts(text.trim().strip_prefix(PRIVATE).ok_or(InvalidKey::Form)?)?;
        let key = Zeroizing::new(key);
        let seed = <[u8; 32]>::try_from(&key[..]).map_err(|_| InvalidKey::Form)?;
        let this = Self::new(name, Zeroizing::new(seed))?;
        if this.public.id == id { Ok(this) } else { Err(InvalidKey::Form) }
    }

    /// The text that [`parse`](Self::parse) reads.
    pub fn to_text(&self) -> Zeroizing<String> {
        let key = Zeroizing::new([&[ED25519_KEY], &self.seed[..]].concat());
        let key = Zeroizing::new(STANDARD.encode(&*key));
        Zeroizing::new(format!("{PRIVATE}{}+{}+{}", self.public.name, hex(self.public.id), *key))
    }

    /// The other half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The text as a note. It must end with a line feed and hold no empty line.
    pub(super) fn sign(&self, text: &str) -> String {
        let signature = self.pair.sign(text.as_bytes());
        let signed = STANDARD.encode([&self.public.id[..], signature.as_ref()].concat());
        format!("{text}\n{SIGNATURE}{} {signed}\n", self.public.name)
    }
}

/// A public key, with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    id: [u8; 4],
    key: [u8; 32],
}

impl PublicKey {
    fn new(name: &str, key: &[u8]) -> Result<Self, InvalidKey> {
        let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
        if !(1..=MAX_NAME_BYTES).contains(&name.len()) || !name.chars().all(is_plain) {
            return Err(InvalidKey::Name);
        }
        let key: [u8; 32] = key.try_into().map_err(|_| InvalidKey::Form)?;
        let mut digest = Sha256::new();
        digest.update(name);
        digest.update([b'\n', ED25519_KEY]);
        digest.update(key);
        let [a, b, c, d, ..]: [u8; 32] = digest.finalize().into();
        Ok(Self { name: name.to_owned(), id: [a, b, c, d], key })
    }

    /// Reads `NAME+HASH+BASE64`.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let (name, id, key) = parts(text.trim())?;
        let this = Self::new(name, &key)?;
        if this.id == id { Ok(this) } else { Err(InvalidKey::Form) }
    }

    /// Its name: the first line of every checkpoint it signs.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([&[ED25519_KEY], &self.key[..]].concat());
        write!(f, "{}+{}+{key}", self.name, hex(self.id))
    }
}

/// The text of a note that one of the keys has signed, with that key.
pub(super) fn open<'a>(note: &'a str, keys: &[PublicKey]) -> Result<&'a str, NoteFault> {
    let (text, signatures) = split(note)?;
    let mut named = Vec::new();
    for line in signatures.lines() {
        let (name, signed) =
            line.strip_prefix(SIGNATURE).and_then(|line| line.split_once(' ')).ok_or(NoteFault::Form)?;
        let signed = STANDARD.decode(signed).map_err(|_| NoteFault::Form)?;
        let (id, signature) = signed.split_first_chunk::<4>().ok_or(NoteFault::Form)?;
        named.push(name);
        let Some(key) = keys.iter().find(|key| key.name == name && key.id == *id) else { continue };
        return UnparsedPublicKey::new(&ED25519, &key.key)
            .verify(text.as_bytes(), signature)
            .map(|()| text)
            .map_err(|_| NoteFault::Signature(name.to_owned()));
    }
    Err(NoteFault::UnknownKey(named.join(", ")))
}

/// The text of a note, whoever has signed it.
pub(super) fn text_of(note: &str) -> Result<&str, NoteFault> {
    split(note).map(|(text, _)| text)
}

fn split(note: &str) -> Result<(&str, &str), NoteFault> {
    let at = note.find("\n\n").ok_or(NoteFault::Form)?;
    let (text, signatures) = (&note[..=at], &note[at + 2..]);
    if signatures.ends_with('\n') { Ok((text, signatures)) } else { Err(NoteFault::Form) }
}

/// The notes of a file in which one stands after the other. What is no note at its end (a line that was cut by a
/// crash) comes as the last one.
pub fn split_notes(file: &str) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = String::new();
    for line in file.split_inclusive('\n') {
        let begins_another = note.lines().last().is_some_and(|last| last.starts_with(SIGNATURE));
        if begins_another && !line.starts_with(SIGNATURE) {
            notes.push(std::mem::take(&mut note));
        }
        if !note.is_empty() || line.trim() != "" {
            note.push_str(line);
        }
    }
    if !note.is_empty() {
        notes.push(note);
    }
    notes
}

fn parts(text: &str) -> Result<(&str, [u8; 4], Vec<u8>), InvalidKey> {
    // Base64 may hold a plus; a name may not.
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(InvalidKey::Form);
    };
    let id = u32::from_str_radix(id, 16).ok().filter(|_| id.len() == 8).ok_or(InvalidKey::Form)?;
    let key = Zeroizing::new(STANDARD.decode(key).map_err(|_| InvalidKey::Form)?);
    match key.split_first() {
        Some((&ED25519_KEY, key)) => Ok((name, id.to_be_bytes(), key.to_vec())),
        Some(_) | None => Err(InvalidKey::Form),
    }
}

fn hex(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the note of the documentation of Go's `golang.org/x/mod/sumdb/note`, which the specification
    /// describes.
    const PRIVATE_KEY: &str =
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const PUBLIC_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const TEXT: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const SIGNED: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn keys_and_notes_are_those_of_other_programs() {
        let key = SigningKey::parse(PRIVATE_KEY).unwrap();
        assert_eq!(key.public().to_string(), PUBLIC_KEY);
        assert_eq!(key.to_text().as_str(), PRIVATE_KEY);
        assert_eq!(PublicKey::parse(PUBLIC_KEY).as_ref(), Ok(key.public()));
        assert_eq!(key.sign(TEXT), format!("{TEXT}\n{SIGNED}"));
    }

    #[test]
    fn a_note_opens_with_its_key_and_as_it_was_signed_only() {
        let key = SigningKey::generate("audit.example.com").unwrap();
        let other = SigningKey::generate("audit.example.com").unwrap();
        let note = key.sign("one\ntwo\n");
        let keys = [other.public().clone(), key.public().clone()];
        assert_eq!(open(&note, &keys).unwrap(), "one\ntwo\n");
        assert!(
            matches!(open(&note, &keys[..1]), Err(NoteFault::UnknownKey(name)) if name == "audit.example.com")
        );
        assert!(matches!(open(&note.replace("two", "six"), &keys), Err(NoteFault::Signature(_))));
        for broken in ["", "one", "one\n\n", &note[..note.len() - 1], &note.replace('\u{2014}', "-")] {
            assert!(open(broken, &keys).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn keys_that_are_none_are_refused_without_repeating_them() {
        for text in [
            "",
            "PRIVATE+KEY+",
            &PRIVATE_KEY[..60],
            &PRIVATE_KEY.replace("c74f", "c74e"),
            "PRIVATE+KEY+a+b+c",
        ] {
            assert!(SigningKey::parse(text).is_err(), "{text}");
        }
        for name in ["", "a b", "a+b", "a\nb", &"x".repeat(101)] {
            assert_eq!(SigningKey::generate(name).err(), Some(InvalidKey::Name));
        }
        assert!(!format!("{:?}", SigningKey::parse(PRIVATE_KEY)).contains("AYEKF"));
        assert!(PublicKey::parse(PRIVATE_KEY).is_err());
    }

    #[test]
    fn a_file_of_notes_comes_apart() {
        let key = SigningKey::generate("a").unwrap();
        let notes = [key.sign("1\n"), key.sign("2\n2\n"), key.sign("3\n")];
        assert_eq!(split_notes(&notes.concat()), notes);
        assert_eq!(split_notes(&notes.join("\n")), notes);
        let cut = format!("{}{}", notes[0], &notes[1][..3]);
        assert_eq!(split_notes(&cut), [notes[0].clone(), notes[1][..3].to_owned()]);
        assert!(split_notes("").is_empty());
    }
}
