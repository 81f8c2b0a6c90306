//! The ring: seals with the newest key that may, opens with any that it holds.
//!
//! What is sealed, byte by byte: `1` (the version), length of the key's id, the id, 24 bytes of nonce, and the
//! `XChaCha20-Poly1305` ciphertext with its 16-byte tag. Authenticated along with the text are the header
//! (version and id) and the caller's associated data, so nothing can be moved from one ticket or key to another.
//! A random nonce of 24 bytes never repeats in practice, however many are drawn; no counter has to be kept.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use jiff::Timestamp;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::key_file::{EntryState, KeyFile, Material, is_id};
use super::{KeyRingError, OpenError};

/// How often a running process is to call [`KeyRing::reload`].
pub const RELOAD_EVERY: Duration = Duration::from_secs(10);

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;

/// A key for another purpose than sealing; wiped when dropped.
pub type DerivedKey = Zeroizing<[u8; 32]>;

/// A shared handle on the keys of a file: clones see the same keys, also after a reload.
#[derive(Clone)]
pub struct KeyRing(Arc<Inner>);

struct Inner {
    file: PathBuf,
    keys: RwLock<Arc<Keys>>,
}

type Keys = BTreeMap<String, Key>;

struct Key {
    material: Material,
    seals_from: Timestamp,
}

impl KeyRing {
    /// Reads the file. At least one key must be in it.
    pub fn load(file: &Path) -> Result<Self, KeyRingError> {
        let keys = RwLock::new(Arc::new(read(file)?));
        Ok(Self(Arc::new(Inner { file: file.to_owned(), keys })))
    }

    /// Reads the file again. After an error the keys stay as they were.
    pub fn reload(&self) -> Result<(), KeyRingError> {
        let keys = Arc::new(read(&self.0.file)?);
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Seals with the newest key whose `seals_from` has passed. Opens again only with the same `associated` data:
    /// what it is and what it belongs to, for instance the ticket's id.
    ///
    /// Fails only with [`KeyRingError::TooLong`].
    pub fn seal(&self, plain: &[u8], associated: &[u8], now: Timestamp) -> Result<Vec<u8>, KeyRingError> {
        let keys = self.keys();
        let (id, key) =
            sealing(&keys, now).ok_or_else(|| KeyRingError::Empty { file: self.0.file.clone() })?;
        let mut sealed = header(id);
        let aad = [&sealed, associated].concat();
        let nonce = XNonce::generate();
        let ciphertext = cipher(key)
            .encrypt(&nonce, Payload { msg: plain, aad: &aad })
            .map_err(|_| KeyRingError::TooLong)?;
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    /// Opens what [`seal`](Self::seal) made with the same `associated` data.
    pub fn open(&self, sealed: &[u8], associated: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (id, body) = split(sealed).ok_or(OpenError::Broken)?;
        let (nonce, ciphertext) = body.split_at_checked(NONCE_BYTES).ok_or(OpenError::Broken)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| OpenError::Broken)?;
        let keys = self.keys();
        let key = keys.get(id).ok_or_else(|| OpenError::KeyMissing(id.to_owned()))?;
        let aad = [&header(id), associated].concat();
        cipher(key)
            .decrypt(&nonce, Payload { msg: ciphertext, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| OpenError::Broken)
    }

    /// A key for another purpose than sealing, with the id of the one it is derived from: HMAC-SHA-256 of the purpose
    /// under the key that seals now. It comes and goes with that key.
    ///
    /// Fails only with [`KeyRingError::Empty`].
    pub fn derive(&self, purpose: &str, now: Timestamp) -> Result<(String, DerivedKey), KeyRingError> {
        let keys = self.keys();
        let (id, key) =
            sealing(&keys, now).ok_or_else(|| KeyRingError::Empty { file: self.0.file.clone() })?;
        Ok((id.to_owned(), derived(key, purpose)))
    }

    /// The same from the key of this id, if the ring holds it.
    pub fn derive_again(&self, id: &str, purpose: &str) -> Option<DerivedKey> {
        self.keys().get(id).map(|key| derived(key, purpose))
    }

    /// The id of the key that sealed this, whether the ring holds it or not; `None` if it has not the form of
    /// something sealed. The id is not authenticated until it is opened.
    pub fn key_id_of(sealed: &[u8]) -> Option<&str> {
        split(sealed).map(|(id, _)| id)
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.0.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys();
        let ids: Vec<_> = keys.keys().collect();
        f.debug_struct("KeyRing").field("file", &self.0.file).field("keys", &ids).finish()
    }
}

fn read(file: &Path) -> Result<Keys, KeyRingError> {
    let keys: Keys = KeyFile::read(file)?
        .keys
        .into_iter()
        .filter_map(|entry| match entry.state {
            EntryState::Live(material) => Some((entry.id, Key { material, seals_from: entry.seals_from })),
            EntryState::Retired(_) => None,
        })
        .collect();
    if keys.is_empty() { Err(KeyRingError::Empty { file: file.to_owned() }) } else { Ok(keys) }
}

/// The newest key that may seal; by id if two are equally new, so that all processes choose the same one.
///
/// If none may yet, the clock here is behind the one that wrote the file: then the key that will be first, which
/// all others use already.
fn sealing(keys: &Keys, now: Timestamp) -> Option<(&str, &Key)> {
    let order = |(id, key): &(&String, &Key)| (key.seals_from, (*id).clone());
    keys.iter()
        .filter(|(_, key)| key.seals_from <= now)
        .max_by_key(order)
        .or_else(|| keys.iter().min_by_key(order))
        .map(|(id, key)| (id.as_str(), key))
}

fn derived(key: &Key, purpose: &str) -> DerivedKey {
    keyed_hash(&key.material, &[purpose.as_bytes()])
}

/// HMAC-SHA-256 of the parts, one after the other.
pub fn keyed_hash(key: &DerivedKey, parts: &[&[u8]]) -> DerivedKey {
    // One block of SHA-256, which is how HMAC fills up a shorter key (RFC 2104, section 2).
    let mut block = Zeroizing::new([0_u8; 64]);
    block[..key.len()].copy_from_slice(&**key);
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new((&*block).into());
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&*key.material).into())
}

fn header(id: &str) -> Vec<u8> {
    let length = u8::try_from(id.len()).unwrap_or(u8::MAX);
    [&[VERSION, length], id.as_bytes()].concat()
}

/// The key's id and what comes after the header.
fn split(sealed: &[u8]) -> Option<(&str, &[u8])> {
    let (&[version, length], rest) = sealed.split_first_chunk()?;
    let (id, body) = rest.split_at_checked(usize::from(length))?;
    if version != VERSION || !is_id(id) {
        return None;
    }
    Some((str::from_utf8(id).ok()?, body))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::super::{SEALS_AFTER, add_key, retire_key};
    use super::*;

    const PLAIN: &[u8] = b"correct horse battery";
    const TICKET: &[u8] = b"ticket 1";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn ring() -> (TempDir, PathBuf, KeyRing) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.toml");
        add_key(&file, at(0), SEALS_AFTER).unwrap();
        let ring = KeyRing::load(&file).unwrap();
        (folder, file, ring)
    }

    #[test]
    fn keys_for_other_purposes_come_from_the_one_that_seals() {
        let (_folder, _file, ring) = ring();
        let (id, key) = ring.derive("sessions", at(0)).unwrap();
        assert_eq!(ring.derive_again(&id, "sessions"), Some(key.clone()));
        assert_ne!(ring.derive_again(&id, "other"), Some(key));
        assert_eq!(ring.derive_again("unknown", "sessions"), None);
    }

    #[test]
    fn what_was_sealed_opens_and_looks_different_each_time() {
        let (_folder, _, ring) = ring();
        for plain in [PLAIN, b"", &[0; 10_000]] {
            let sealed = ring.seal(plain, TICKET, at(0)).unwrap();
            assert_eq!(sealed.len(), 2 + 2 + 24 + plain.len() + 16);
            assert_eq!(ring.open(&sealed, TICKET).unwrap().as_slice(), plain);
            assert_ne!(sealed, ring.seal(plain, TICKET, at(0)).unwrap());
        }
    }

    #[test]
    fn no_changed_byte_goes_unnoticed() {
        let (_folder, file, ring) = ring();
        // A second key, so that the id of a key that exists is among the changes: "k1" to "k2".
        add_key(&file, at(0), SEALS_AFTER).unwrap();
        ring.reload().unwrap();
        let sealed = ring.seal(PLAIN, TICKET, at(0)).unwrap();
        for index in 0..sealed.len() {
            for change in 1..=u8::MAX {
                let mut changed = sealed.clone();
                changed[index] ^= change;
                let result = ring.open(&changed, TICKET);
                // Only the key's name, or its length, may make the name of one that is missing.
                let renamed = (1..4).contains(&index) && matches!(result, Err(OpenError::KeyMissing(_)));
                assert!(renamed || matches!(result, Err(OpenError::Broken)), "byte {index} ^ {change}");
            }
        }
    }

    #[test]
    fn nothing_cut_or_lengthened_opens() {
        let (_folder, _, ring) = ring();
        let sealed = ring.seal(PLAIN, TICKET, at(0)).unwrap();
        for length in 0..sealed.len() {
            assert_eq!(ring.open(&sealed[..length], TICKET).unwrap_err(), OpenError::Broken, "{length}");
        }
        assert_eq!(ring.open(&[&*sealed, &[0]].concat(), TICKET).unwrap_err(), OpenError::Broken);
    }

    #[test]
    fn it_opens_for_its_own_purpose_only() {
        let (_folder, _, ring) = ring();
        let sealed = ring.seal(PLAIN, TICKET, at(0)).unwrap();
        for other in [&b""[..], b"ticket 2", b"ticket 1 ", b"icket 1"] {
            assert_eq!(ring.open(&sealed, other).unwrap_err(), OpenError::Broken);
        }
    }

    #[test]
    fn a_key_of_another_ring_is_missing_and_one_of_the_same_name_does_not_fit() {
        let (_folder, file, one) = ring();
        let (_other_folder, _, other) = ring();
        let sealed = one.seal(PLAIN, TICKET, at(0)).unwrap();
        assert_eq!(other.open(&sealed, TICKET).unwrap_err(), OpenError::Broken);
        add_key(&file, at(0), SEALS_AFTER).unwrap();
        one.reload().unwrap();
        let sealed = one.seal(PLAIN, TICKET, at(60)).unwrap();
        assert_eq!(KeyRing::key_id_of(&sealed), Some("k2"));
        assert_eq!(other.open(&sealed, TICKET).unwrap_err(), OpenError::KeyMissing("k2".into()));
    }

    #[test]
    fn a_new_key_is_known_before_it_seals_and_the_old_one_opens_until_it_is_retired() {
        let (_folder, file, ring) = ring();
        let clone = ring.clone();
        add_key(&file, at(100), SEALS_AFTER).unwrap();
        let id_at = |second| {
            let sealed = ring.seal(PLAIN, TICKET, at(second)).unwrap();
            KeyRing::key_id_of(&sealed).unwrap().to_owned()
        };
        assert_eq!(id_at(160), "k1", "not read yet");
        clone.reload().unwrap();
        assert_eq!((id_at(159).as_str(), id_at(160).as_str()), ("k1", "k2"));
        assert_eq!(id_at(-60), "k1", "a clock that is behind");
        let old = ring.seal(PLAIN, TICKET, at(0)).unwrap();
        assert_eq!(ring.open(&old, TICKET).unwrap().as_slice(), PLAIN);
        retire_key(&file, "k1", at(160)).unwrap();
        ring.reload().unwrap();
        assert_eq!(clone.open(&old, TICKET).unwrap_err(), OpenError::KeyMissing("k1".into()));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_refused_with_what_to_do_and_the_keys_stay() {
        let (folder, file, ring) = ring();
        let sealed = ring.seal(PLAIN, TICKET, at(0)).unwrap();
        let still_opens = || assert!(ring.open(&sealed, TICKET).is_ok());
        for mode in [0o604, 0o602, 0o601, 0o644, 0o666] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let error = ring.reload().unwrap_err();
            assert!(error.to_string().ends_with(&format!("`chmod o= {}`", file.display())), "{error}");
        }
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        ring.reload().unwrap();
        for (content, expected) in [
            ("", "holds no key; make one with `rolecall keys add`"),
            ("[[keys]]", "is not valid: line 1 does not have the form of a key file"),
            ("\0", "is not valid: line 1 does not have the form of a key file"),
        ] {
            fs::write(&file, content).unwrap();
            assert!(ring.reload().unwrap_err().to_string().ends_with(expected));
            still_opens();
        }
        fs::write(&file, [0xff]).unwrap();
        assert!(ring.reload().unwrap_err().to_string().contains("cannot be read: "));
        fs::remove_file(&file).unwrap();
        let error = ring.reload().unwrap_err();
        assert!(error.to_string().ends_with("does not exist; make one with `rolecall keys add`"));
        let error = KeyRing::load(folder.path()).unwrap_err();
        assert!(error.to_string().contains("cannot be read: "), "a folder: {error}");
        still_opens();
    }

    #[test]
    fn debug_shows_names_only() {
        let (_folder, file, ring) = ring();
        let text = fs::read_to_string(&file).unwrap();
        let key = text.lines().find_map(|line| line.strip_prefix("key = ")).unwrap().trim_matches('"');
        let shown = format!("{ring:?} {ring:#?}");
        assert!(shown.contains("k1") && !shown.contains(key) && !shown.contains("material"), "{shown}");
    }

    #[test]
    fn it_can_be_shared_between_threads() {
        fn shared<T: Send + Sync + Clone>() {}
        shared::<KeyRing>();
    }
}
