//! What the operator does with keys: add, list, retire.
//!
//! Rotation without a gap: a new key is in the file for [`SEALS_AFTER`] before anything is sealed with it, and
//! every process reads the file anew each [`RELOAD_EVERY`](super::RELOAD_EVERY), so whoever meets a seal has its
//! key. This supposes that the clocks of the machines agree to some tens of seconds; if they do not, a process
//! can meet a seal whose key it reads only moments later, and answers `seal_key_missing` until then.

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::key_file::{Entry, EntryState, KeyFile};
use super::{KeyRingError, random_bytes};

/// How long a new key is known before it seals; several times [`RELOAD_EVERY`](super::RELOAD_EVERY).
pub const SEALS_AFTER: Duration = Duration::from_mins(1);

/// What may be shown of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// Its name in the file and in everything it sealed.
    pub id: String,
    /// From when on it seals, as long as no newer key does.
    pub seals_from: Timestamp,
    /// Since when it is gone.
    pub retired_at: Option<Timestamp>,
}

impl From<&Entry> for KeyState {
    fn from(entry: &Entry) -> Self {
        let retired_at = match entry.state {
            EntryState::Live(_) => None,
            EntryState::Retired(at) => Some(at),
        };
        Self { id: entry.id.clone(), seals_from: entry.seals_from, retired_at }
    }
}

/// Adds a key from the operating system's generator; makes the file (mode 0600) and its folder if need be.
///
/// The first key seals at once, a later one after `delay` (usually [`SEALS_AFTER`]). Ids are `k1`, `k2` … and
/// never used again.
pub fn add_key(file: &Path, now: Timestamp, delay: Duration) -> Result<KeyState, KeyRingError> {
    KeyFile::change(file, |keys| {
        let first = !keys.keys.iter().any(|key| matches!(key.state, EntryState::Live(_)));
        let delay = if first { Duration::ZERO } else { delay };
        let entry = Entry {
            id: next_id(&keys.keys),
            seals_from: SignedDuration::try_from(delay)
                .ok()
                .and_then(|delay| now.checked_add(delay).ok())
                .unwrap_or(Timestamp::MAX),
            state: EntryState::Live(random_bytes()),
        };
        let state = KeyState::from(&entry);
        keys.keys.push(entry);
        Ok(state)
    })
}

/// All keys that ever were in the file, oldest first.
pub fn list_keys(file: &Path) -> Result<Vec<KeyState>, KeyRingError> {
    Ok(KeyFile::read(file)?.keys.iter().map(KeyState::from).collect())
}

/// Takes a key out of use for ever: its bytes are removed from the file, and what it sealed can never be opened
/// again. (Secrets live for hours; log-in passwords of targets are to be sealed anew before:
/// [`KeyRing::key_id_of`](super::KeyRing::key_id_of) tells which key they need.)
///
/// Refused while no other key seals.
pub fn retire_key(file: &Path, id: &str, now: Timestamp) -> Result<KeyState, KeyRingError> {
    if !file.exists() {
        return Err(KeyRingError::Missing { file: file.to_owned() });
    }
    KeyFile::change(file, |keys| {
        let another_seals = keys
            .keys
            .iter()
            .any(|key| key.id != id && key.seals_from <= now && matches!(key.state, EntryState::Live(_)));
        let entry = keys
            .keys
            .iter_mut()
            .find(|key| key.id == id)
            .ok_or_else(|| KeyRingError::NoSuchKey { id: id.to_owned() })?;
        if matches!(entry.state, EntryState::Retired(_)) {
            return Err(KeyRingError::AlreadyRetired { id: id.to_owned() });
        }
        if !another_seals {
            return Err(KeyRingError::LastKey { id: id.to_owned() });
        }
        entry.state = EntryState::Retired(now);
        Ok(KeyState::from(&*entry))
    })
}

fn next_id(keys: &[Entry]) -> String {
    let number = |key: &Entry| key.id.strip_prefix('k').and_then(|n| n.parse::<u32>().ok());
    let last = keys.iter().filter_map(number).max().unwrap_or(0);
    format!("k{}", u64::from(last) + 1)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn mode(file: &Path) -> u32 {
        fs::metadata(file).unwrap().mode() & 0o7777
    }

    fn add(file: &Path, second: i64) -> KeyState {
        add_key(file, at(second), SEALS_AFTER).unwrap()
    }

    #[test]
    fn the_first_key_seals_at_once_and_the_next_a_minute_later() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/b/keys.toml");
        assert_eq!(add(&file, 0), KeyState { id: "k1".into(), seals_from: at(0), retired_at: None });
        assert_eq!(add(&file, 5), KeyState { id: "k2".into(), seals_from: at(65), retired_at: None });
        assert_eq!(list_keys(&file).unwrap().iter().map(|key| &*key.id).collect::<Vec<_>>(), ["k1", "k2"]);
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
        let rest = fs::read_dir(file.parent().unwrap()).unwrap().count();
        assert_eq!(rest, 1, "nothing is left beside the file");
    }

    #[test]
    fn a_key_is_retired_only_when_another_seals() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.toml");
        assert!(matches!(retire_key(&file, "k1", at(0)), Err(KeyRingError::Missing { .. })));
        add(&file, 0);
        let key = fs::read_to_string(&file).unwrap();
        let key = key.lines().find(|line| line.starts_with("key = ")).unwrap();
        assert!(matches!(retire_key(&file, "k1", at(1)), Err(KeyRingError::LastKey { .. })));
        add(&file, 0);
        assert!(matches!(retire_key(&file, "k1", at(59)), Err(KeyRingError::LastKey { .. })));
        assert!(matches!(retire_key(&file, "k9", at(60)), Err(KeyRingError::NoSuchKey { .. })));
        assert!(fs::read_to_string(&file).unwrap().contains(key), "refused means unchanged");
        assert_eq!(retire_key(&file, "k1", at(60)).unwrap().retired_at, Some(at(60)));
        assert!(!fs::read_to_string(&file).unwrap().contains(key), "the bytes are gone");
        assert!(matches!(retire_key(&file, "k1", at(61)), Err(KeyRingError::AlreadyRetired { .. })));
        assert!(matches!(retire_key(&file, "k2", at(61)), Err(KeyRingError::LastKey { .. })));
        assert_eq!(add(&file, 61).id, "k3", "an id is never used again");
        assert_eq!(list_keys(&file).unwrap().len(), 3);
    }

    #[test]
    fn mode_and_link_of_an_existing_file_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("real.toml"), folder.path().join("keys.toml"));
        add(&file, 0);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        add(&link, 0);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!((list_keys(&file).unwrap().len(), mode(&file)), (2, 0o640));
    }

    #[test]
    fn a_broken_or_open_file_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.toml");
        add(&file, 0);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();
        let result = add_key(&file, at(1), SEALS_AFTER);
        assert!(matches!(result, Err(KeyRingError::Exposed { .. })));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "half a fi").unwrap();
        let result = add_key(&file, at(1), SEALS_AFTER);
        assert!(matches!(result, Err(KeyRingError::Malformed { .. })));
        assert_eq!(fs::read_to_string(&file).unwrap(), "half a fi");
    }

    #[test]
    fn several_at_once_lose_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keys.toml");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..4).for_each(|_| drop(add(&file, 0))));
            }
        });
        let keys = list_keys(&file).unwrap();
        assert_eq!(keys.len(), 32);
        assert_eq!(keys.iter().filter(|key| key.seals_from == at(0)).count(), 1, "only one was the first");
    }
}
