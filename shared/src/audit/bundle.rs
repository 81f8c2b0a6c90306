//! A whole ledger as a file that can be checked without the database: lines of JSON.
//!
//! First `{"rolecall_audit":1}`, then the checkpoints, then each block with the hashes of its rows, and after it the rows
//! as they are hashed; at last what there is of each, so that a file that was cut is known for one.

use serde::{Deserialize, Serialize};

use super::block::Header;
use super::merkle::Hash;

/// A row is known by how it begins: the first field of its canonical form.
const ROW: &str = "{\"account\":";

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The first one.
    Begin,
    /// A signed note.
    Checkpoint(String),
    /// A block, its hash, and the hashes of its rows.
    Block(Header, Hash, Vec<Hash>),
    /// A row, as it is hashed.
    Row(String),
    /// The last one: rows, blocks.
    End(i64, i64),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, untagged)]
enum Form {
    Begin { rolecall_audit: u32 },
    Checkpoint { checkpoint: String },
    Block { block: Header, hash: Hash, leaves: Vec<Hash> },
    End { rows: i64, blocks: i64 },
}

/// The line is none of a bundle.
#[derive(Debug, thiserror::Error)]
#[error("it is not a line of a bundle of this version")]
pub(super) struct BundleFault;

impl Line {
    /// The text, with its line feed.
    pub fn to_text(self) -> String {
        let form = match self {
            Self::Row(row) => return row + "\n",
            Self::Begin => Form::Begin { rolecall_audit: 1 },
            Self::Checkpoint(checkpoint) => Form::Checkpoint { checkpoint },
            Self::Block(block, hash, leaves) => Form::Block { block, hash, leaves },
            Self::End(rows, blocks) => Form::End { rows, blocks },
        };
        // Texts and numbers: nothing of which serialising could fail.
        serde_json::to_string(&form).unwrap_or_default() + "\n"
    }
}

/// Reads a line. What begins like a row is one; whether it is one of the ledger, its hash says.
pub(super) fn read_line(text: &str) -> Result<Line, BundleFault> {
    let text = text.trim_end_matches('\n');
    if text.starts_with(ROW) {
        return Ok(Line::Row(text.to_owned()));
    }
    match serde_json::from_str(text).map_err(|_| BundleFault)? {
        Form::Begin { rolecall_audit: 1 } => Ok(Line::Begin),
        Form::Begin { .. } => Err(BundleFault),
        Form::Checkpoint { checkpoint } => Ok(Line::Checkpoint(checkpoint)),
        Form::Block { block, hash, leaves } => Ok(Line::Block(block, hash, leaves)),
        Form::End { rows, blocks } => Ok(Line::End(rows, blocks)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::example;
    use super::super::merkle::leaf;
    use super::*;

    #[test]
    fn every_line_reads_back() {
        let row = example(1).to_text();
        let leaves = vec![leaf(row.as_bytes())];
        let header = Header::after((0, 0, Hash::ZERO), &leaves, jiff::Timestamp::UNIX_EPOCH);
        let hash = header.hash();
        for line in [
            Line::Begin,
            Line::Checkpoint("a\n1\n".into()),
            Line::Block(header, hash, leaves),
            Line::Row(row),
            Line::End(1, 1),
        ] {
            let text = line.clone().to_text();
            assert_eq!(text.matches('\n').count(), 1, "{text}");
            assert_eq!(read_line(&text).unwrap(), line);
        }
        for other in ["", "{}", "{\"rolecall_audit\":2}", "[]", "{\"rows\":1,\"blocks\":1,\"more\":1}"] {
            assert!(read_line(other).is_err(), "{other}");
        }
    }
}
