//! A checkpoint: the signed word on how far the ledger goes, and what it looks like up to there.
//!
//! The text of the note, line by line: the key's name, the number of rows, the hash of the last block (base64), then
//! `checkpoint N`, `block N` and `at TIME`.

use jiff::Timestamp;

use super::merkle::Hash;
use super::note::{self, NoteFault, PublicKey, SigningKey};

/// What is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// From 1, without gaps.
    pub number: i64,
    /// How many rows the ledger has.
    pub rows: i64,
    /// Its last block; 0 while there is none.
    pub block: i64,
    /// The hash of that block.
    pub hash: Hash,
    /// When it was signed, by the clock of the process that did it.
    pub at: Timestamp,
}

/// A note that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// Why not to believe it.
    pub fault: Option<NoteFault>,
}

impl Checkpoint {
    /// The note.
    pub fn sign(&self, key: &SigningKey) -> String {
        key.sign(&self.text(key.public().name()))
    }

    /// Reads a note and checks its signature. Without any key, the signature is left unchecked.
    pub fn open(note: &str, keys: &[PublicKey]) -> Result<Opened, NoteFault> {
        let (checkpoint, name) = Self::parse(note::text_of(note)?).ok_or(NoteFault::Form)?;
        if keys.is_empty() {
            return Ok(Opened { checkpoint, fault: None });
        }
        let fault = match note::open(note, keys) {
            // What was read must be what was signed, to the letter.
            Ok(text) if text == checkpoint.text(name) => None,
            Ok(_) => Some(NoteFault::Form),
            Err(fault) => Some(fault),
        };
        Ok(Opened { checkpoint, fault })
    }

    fn text(&self, name: &str) -> String {
        let Self { number, rows, block, hash, at } = self;
        format!("{name}\n{rows}\n{hash}\ncheckpoint {number}\nblock {block}\nat {at}\n")
    }

    fn parse(text: &str) -> Option<(Self, &str)> {
        let mut lines = text.lines();
        let name = lines.next()?;
        let rows = lines.next()?.parse().ok()?;
        let hash = Hash::parse(lines.next()?)?;
        let number = lines.next()?.strip_prefix("checkpoint ")?.parse().ok()?;
        let block = lines.next()?.strip_prefix("block ")?.parse().ok()?;
        let at = lines.next()?.strip_prefix("at ")?.parse().ok()?;
        Some((Self { number, rows, block, hash, at }, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            number: 3,
            rows: 1_200,
            block: 17,
            hash: Hash::ZERO,
            at: "2026-11-28T08:00:00.5Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_checkpoint_reads_back() {
        let key = SigningKey::generate("audit").unwrap();
        let note = checkpoint().sign(&key);
        let zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let text = format!("audit\n1200\n{zeros}\ncheckpoint 3\nblock 17\nat 2026-11-28T08:00:00.5Z\n\n");
        assert!(note.starts_with(&text), "{note}");
        let opened = Checkpoint::open(&note, &[key.public().clone()]).unwrap();
        assert_eq!(opened, Opened { checkpoint: checkpoint(), fault: None });
        let changed = note.replace("1200", "1300");
        let opened = Checkpoint::open(&changed, &[key.public().clone()]).unwrap();
        assert_eq!((opened.checkpoint.rows, opened.fault.is_some()), (1_300, true));
        assert_eq!(Checkpoint::open(&changed, &[]).unwrap().fault, None, "nothing to check it with");
        assert_eq!(Checkpoint::open("audit\n1\n\n", &[]), Err(NoteFault::Form));
    }
}
