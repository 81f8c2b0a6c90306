//! The key file: TOML with one `[[keys]]` table per key, kept whole through every crash.
//!
//! ```toml
//! [[keys]]
//! id = "k1"
//! key = "<32 bytes in base64>"
//! seals_from = "2026-01-01T00:00:00Z"
//! ```
//!
//! A retired key keeps its table, with `retired_at` and without `key`, so that its id is never used again.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::KeyRingError;
use super::replace::{lock_folder, replace};

/// The bytes of a key.
pub(super) type Material = Zeroizing<[u8; 32]>;

/// The longest key id, in bytes; its length stands in one byte of everything sealed.
pub(super) const MAX_ID_BYTES: usize = 32;

/// The largest key file that is read, in bytes: thousands of keys.
const MAX_FILE_BYTES: u64 = 1 << 20;

const HEADER: &str = "\
# Keys that seal secrets. Whoever reads this file can open them.\n\
# Written by `rolecall keys add` and `rolecall keys retire`.\n\n";

/// A key file as it stands.
#[derive(Default)]
pub(super) struct KeyFile {
    /// In the order of the file: the order in which they were made.
    pub(super) keys: Vec<Entry>,
}

/// One key.
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) seals_from: Timestamp,
    pub(super) state: EntryState,
}

pub(super) enum EntryState {
    Live(Material),
    Retired(Timestamp),
}

/// As it is written.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileForm {
    #[serde(default)]
    keys: Vec<EntryForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryForm {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    seals_from: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retired_at: Option<String>,
}

impl KeyFile {
    /// Reads and checks the file.
    pub(super) fn read(file: &Path) -> Result<Self, KeyRingError> {
        let unreadable = |reason| KeyRingError::Unreadable { file: file.to_owned(), reason };
        let malformed = |fault| KeyRingError::Malformed { file: file.to_owned(), fault };
        let handle = File::open(file).map_err(|reason| {
            if reason.kind() == io::ErrorKind::NotFound {
                KeyRingError::Missing { file: file.to_owned() }
            } else {
                unreadable(reason)
            }
        })?;
        // Asked of the open file, so that the one that is checked is the one that is read. The group may read:
        // that is how orchestrators mount secrets for a process that is not root.
        let metadata = handle.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(unreadable(io::ErrorKind::IsADirectory.into()));
        }
        if metadata.mode() & 0o007 != 0 {
            return Err(KeyRingError::Exposed { file: file.to_owned() });
        }
        if metadata.len() > MAX_FILE_BYTES {
            return Err(malformed(format!("it is larger than {MAX_FILE_BYTES} bytes")));
        }
        let mut text = Zeroizing::new(String::new());
        handle.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(unreadable)?;
        Self::parse(&text).map_err(malformed)
    }

    /// Faults are phrased here and not by the TOML parser, whose messages quote the line: it may be a key.
    fn parse(text: &str) -> Result<Self, String> {
        let form: FileForm = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
            format!("line {} does not have the form of a key file", before.matches('\n').count() + 1)
        })?;
        let mut keys: Vec<Entry> = Vec::with_capacity(form.keys.len());
        for (index, form) in form.keys.into_iter().enumerate() {
            if !is_id(form.id.as_bytes()) {
                return Err(format!(
                    "the id of key {} is not 1 to {MAX_ID_BYTES} letters, digits, dashes and underscores",
                    index + 1
                ));
            }
            if keys.iter().any(|key| key.id == form.id) {
                return Err(format!("the id {} stands there twice", form.id));
            }
            keys.push(form.into_entry()?);
        }
        Ok(Self { keys })
    }

    /// Changes the file as a whole, or not at all.
    ///
    /// Changes from several processes take turns by a lock on the folder, held from the reading to the end.
    pub(super) fn change<T>(
        file: &Path,
        change: impl FnOnce(&mut Self) -> Result<T, KeyRingError>,
    ) -> Result<T, KeyRingError> {
        let unwritable = |reason| KeyRingError::Unwritable { file: file.to_owned(), reason };
        // Behind a symbolic link it is the file that is replaced, not the link.
        let place = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let folder = lock_folder(&place).map_err(unwritable)?;
        let mut keys = match Self::read(&place) {
            Err(KeyRingError::Missing { .. }) => Self::default(),
            found => found?,
        };
        let answer = change(&mut keys)?;
        let text = keys.to_toml().map_err(unwritable)?;
        replace(&place, text.as_bytes()).map_err(unwritable)?;
        // The rename itself must survive a power cut before anything is sealed with the new key.
        folder.sync_all().map_err(unwritable)?;
        Ok(answer)
    }

    fn to_toml(&self) -> Result<Zeroizing<String>, io::Error> {
        let form = FileForm { keys: self.keys.iter().map(EntryForm::from_entry).collect() };
        let body = Zeroizing::new(toml::to_string(&form).map_err(|_| io::ErrorKind::InvalidData)?);
        Ok(Zeroizing::new(format!("{HEADER}{}", *body)))
    }
}

impl EntryForm {
    fn into_entry(self) -> Result<Entry, String> {
        let id = self.id;
        let time = |field: &str, text: &str| {
            text.parse::<Timestamp>().map_err(|_| format!("{field} of key {id} is not an RFC 3339 time"))
        };
        let seals_from = time("seals_from", &self.seals_from)?;
        let state = match (self.key, self.retired_at) {
            (Some(key), None) => EntryState::Live(
                decode(&Zeroizing::new(key)).ok_or_else(|| format!("key {id} is not 32 bytes in base64"))?,
            ),
            (None, Some(at)) => EntryState::Retired(time("retired_at", &at)?),
            (None, None) => return Err(format!("key {id} has no `key`")),
            (Some(_), Some(_)) => return Err(format!("key {id} has both `key` and `retired_at`")),
        };
        Ok(Entry { id, seals_from, state })
    }

    fn from_entry(entry: &Entry) -> Self {
        let (key, retired_at) = match &entry.state {
            EntryState::Live(material) => (Some(STANDARD.encode(material.as_slice())), None),
            EntryState::Retired(at) => (None, Some(at.to_string())),
        };
        Self { id: entry.id.clone(), key, seals_from: entry.seals_from.to_string(), retired_at }
    }
}

/// Whether these bytes can be a key's id: 1 to [`MAX_ID_BYTES`] of `A-Za-z0-9_-`.
pub(super) fn is_id(bytes: &[u8]) -> bool {
    (1..=MAX_ID_BYTES).contains(&bytes.len())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

fn decode(base64: &str) -> Option<Material> {
    let bytes = Zeroizing::new(STANDARD.decode(base64).ok()?);
    Some(Zeroizing::new(bytes.as_slice().try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn fault(text: &str) -> String {
        KeyFile::parse(text).err().expect("a fault")
    }

    fn entry(lines: &str) -> String {
        format!("[[keys]]\nid = \"k1\"\nseals_from = \"2026-01-01T00:00:00Z\"\n{lines}\n")
    }

    #[test]
    fn a_file_reads_back_as_written() {
        let text = entry(&format!("key = \"{KEY}\""))
            + "[[keys]]\nid = \"k0\"\nseals_from = \"2025-01-01T00:00:00Z\"\nretired_at = \"2026-01-02T03:04:05Z\"\n";
        let file = KeyFile::parse(&text).unwrap();
        let again = KeyFile::parse(&file.to_toml().unwrap()).unwrap();
        for file in [&file, &again] {
            assert_eq!(file.keys.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["k1", "k0"]);
            assert!(matches!(&file.keys[0].state, EntryState::Live(material) if material[31] == 31));
            assert!(
                matches!(file.keys[1].state, EntryState::Retired(at) if at.to_string() == "2026-01-02T03:04:05Z")
            );
            assert_eq!(file.keys[0].seals_from.to_string(), "2026-01-01T00:00:00Z");
        }
    }

    #[test]
    fn every_fault_is_named_and_none_shows_what_stands_there() {
        let live = entry(&format!("key = \"{KEY}\""));
        for (text, expected) in [
            (format!("{live}{live}"), "the id k1 stands there twice"),
            (entry(""), "key k1 has no `key`"),
            (entry("key = \"c2hvcnQ=\""), "key k1 is not 32 bytes in base64"),
            (entry(&format!("key = \"{}\"", &KEY[1..])), "key k1 is not 32 bytes in base64"),
            (entry(&format!("key = \"{KEY}\"\nretired_at = \"2026-01-01T00:00:00Z\"")), "key k1 has both"),
            (entry(&format!("retired_at = \"{KEY}\"")), "retired_at of key k1 is not an RFC 3339 time"),
            (live.replace("2026-", "26-"), "seals_from of key k1 is not an RFC 3339 time"),
            (live.replace("\"k1\"", &format!("\"{KEY}\"")), "the id of key 1 is not"),
            (live.replace("\"k1\"", "\"\""), "the id of key 1 is not"),
            (entry(&format!("key = {KEY}")), "line 4 does not have the form"),
            (entry(&format!("key = \"{KEY}")), "line 4 does not have the form"),
            (entry(&format!("key = [\"{KEY}\"]")), "line 4 does not have the form"),
            (entry(&format!("{KEY} = 1")), "line 4 does not have the form"),
            (format!("key = \"{KEY}\""), "line 1 does not have the form"),
            (format!("[[keys]]\nkey = \"{KEY}\""), "line 1 does not have the form"),
            (KEY.to_owned(), "line 1 does not have the form"),
        ] {
            let fault = fault(&text);
            assert!(fault.starts_with(expected), "{text}\n{fault}");
            assert!(!fault.contains(&KEY[..8]) && !fault.contains(&KEY[8..16]), "{fault}");
        }
    }
}
