//! A block: rows that follow each other, under one root, chained to the block before.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::entry::canonical;
use super::merkle::{Hash, root};

/// The most rows of a block.
pub const MAX_EVENTS: usize = 500;

/// A block's hash has a prefix of its own, beside those of leaves and nodes.
const BLOCK: u8 = 2;

/// What is hashed of a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// From 1, without gaps.
    pub number: i64,
    /// The number of its first row.
    pub first: i64,
    /// How many rows it has, 1 to [`MAX_EVENTS`].
    pub count: i64,
    /// The root over its rows.
    pub root: Hash,
    /// The hash of the block before; zeros before the first one.
    pub previous: Hash,
    /// When it was closed, by the clock of the control database.
    pub closed_at: Timestamp,
}

impl Header {
    /// The block after one with this number, last row and hash.
    pub fn after((number, last, hash): (i64, i64, Hash), leaves: &[Hash], closed_at: Timestamp) -> Self {
        Self {
            number: number + 1,
            first: last + 1,
            count: i64::try_from(leaves.len()).unwrap_or(i64::MAX),
            root: root(leaves),
            previous: hash,
            closed_at,
        }
    }

    /// The number of its last row.
    pub fn last(&self) -> i64 {
        self.first.saturating_add(self.count) - 1
    }

    /// Its hash: SHA-256 of the byte 2 and the header as canonical JSON.
    pub fn hash(&self) -> Hash {
        Hash::of(&[&[BLOCK], canonical(self).as_bytes()])
    }
}
