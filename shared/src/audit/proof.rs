//! That one row stands under a checkpoint: the row, its path to the root of its block, and the blocks from there to the
//! one that was signed. To be checked by anybody who has the public key.

use serde::{Deserialize, Serialize};

use super::block::Header;
use super::checkpoint::Checkpoint;
use super::entry::Entry;
use super::merkle::{Hash, leaf, path, root_from};
use super::note::{NoteFault, PublicKey};

/// The form of the file.
const VERSION: u32 = 1;

/// As it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    #[serde(rename = "rolecall_audit_proof")]
    version: u32,
    /// The row as it is hashed.
    row: String,
    /// What it needs to make the root of its block, from the bottom up.
    path: Vec<Hash>,
    /// From its block to the one of the checkpoint.
    blocks: Vec<Header>,
    /// The signed note.
    checkpoint: String,
}

/// Why a proof proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProofFault {
    /// Another form than this program knows.
    #[error("it is not a proof in the form that this program knows")]
    Form,
    /// The checkpoint is not to be believed.
    #[error("its checkpoint: {0}")]
    Checkpoint(#[from] NoteFault),
    /// The row is not under its block's root.
    #[error("the row is not one of its block")]
    Row,
    /// The blocks do not lead to the one that was signed.
    #[error("its blocks do not lead to the one that was signed")]
    Blocks,
}

impl Proof {
    /// `leaves` are those of the first of the blocks, in which the row stands at `index`.
    pub fn new(row: String, index: usize, leaves: &[Hash], blocks: Vec<Header>, checkpoint: String) -> Self {
        Self { version: VERSION, row, path: path(leaves, index), blocks, checkpoint }
    }

    /// The row and the checkpoint it stands under, if everything fits.
    pub fn check(&self, keys: &[PublicKey]) -> Result<(Entry, Checkpoint), ProofFault> {
        if self.version != VERSION || keys.is_empty() {
            return Err(ProofFault::Form);
        }
        let opened = Checkpoint::open(&self.checkpoint, keys)?;
        if let Some(fault) = opened.fault {
            return Err(fault.into());
        }
        let entry = Entry::parse(&self.row).map_err(|_| ProofFault::Form)?;
        self.check_row(entry.seq)?;
        let mut previous = None;
        for header in &self.blocks {
            if previous.is_some_and(|previous| previous != header.previous) {
                return Err(ProofFault::Blocks);
            }
            previous = Some(header.hash());
        }
        let last = self.blocks.last().ok_or(ProofFault::Blocks)?;
        let checkpoint = opened.checkpoint;
        let signed = (checkpoint.block, checkpoint.rows, checkpoint.hash);
        if signed == (last.number, last.last(), last.hash()) {
            Ok((entry, checkpoint))
        } else {
            Err(ProofFault::Blocks)
        }
    }

    fn check_row(&self, seq: i64) -> Result<(), ProofFault> {
        let block = self.blocks.first().ok_or(ProofFault::Blocks)?;
        let index = seq.checked_sub(block.first).and_then(|index| usize::try_from(index).ok());
        let (Some(index), Ok(count)) = (index, usize::try_from(block.count)) else {
            return Err(ProofFault::Row);
        };
        match root_from(leaf(self.row.as_bytes()), index, count, &self.path) {
            Some(root) if root == block.root => Ok(()),
            Some(_) | None => Err(ProofFault::Row),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::SigningKey;
    use super::super::entry::example;
    use super::*;

    fn proof(key: &SigningKey) -> Proof {
        let rows: Vec<_> = (1..=7).map(|seq| example(seq).to_text()).collect();
        let leaves: Vec<_> = rows.iter().map(|row| leaf(row.as_bytes())).collect();
        let at = jiff::Timestamp::UNIX_EPOCH;
        let first = Header::after((0, 0, Hash::ZERO), &leaves, at);
        let next = Header::after((1, 7, first.hash()), &leaves[..2], at);
        let checkpoint = Checkpoint { number: 1, rows: next.last(), block: 2, hash: next.hash(), at };
        Proof::new(rows[4].clone(), 4, &leaves, vec![first, next], checkpoint.sign(key))
    }

    #[test]
    fn a_proof_holds_and_no_other_row_has_it() {
        let key = SigningKey::generate("audit").unwrap();
        let (proof, keys) = (proof(&key), [key.public().clone()]);
        let (entry, checkpoint) = proof.check(&keys).unwrap();
        assert_eq!((entry.seq, checkpoint.rows), (5, 9));
        let read: Proof = serde_json::from_str(&serde_json::to_string(&proof).unwrap()).unwrap();
        assert_eq!(read, proof);

        let with = |change: fn(&mut Proof)| {
            let mut proof = proof.clone();
            change(&mut proof);
            proof.check(&keys).unwrap_err().to_string()
        };
        for (fault, part) in [
            (with(|proof| proof.row = proof.row.replace("ci", "me")), "not one of its block"),
            (with(|proof| proof.row = proof.row.replace(":5,", ":6,")), "not one of its block"),
            (with(|proof| proof.row = proof.row.replace(":5,", ":0,")), "not one of its block"),
            (with(|proof| proof.path.truncate(1)), "not one of its block"),
            (with(|proof| proof.blocks.truncate(1)), "do not lead"),
            (with(|proof| proof.blocks.clear()), "do not lead"),
            (with(|proof| proof.blocks[1].previous = Hash::ZERO), "do not lead"),
            (with(|proof| proof.checkpoint = proof.checkpoint.replacen('9', "8", 1)), "does not fit"),
            (with(|proof| proof.version = 2), "not a proof"),
        ] {
            assert!(fault.contains(part), "{fault}");
        }
        assert!(proof.check(&[]).is_err(), "nothing to check it with");
        let other = SigningKey::generate("audit").unwrap();
        assert!(proof.check(&[other.public().clone()]).is_err());
    }
}
