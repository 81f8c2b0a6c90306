//! The form of an archive: lines of JSON, newest first, in blocks.
//!
//! A block is a whole gzip member (RFC 1952, section 2.2) of at most [`ROWS`] lines. Members one behind the other are a
//! gzip file like any other, for `zcat` and its like; and a block can be read without those before it, so that what
//! is asked of a month costs neither its length in time nor in memory.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Settlement;
use crate::domain::ticket::{Ending, State};
use crate::domain::{Job, TicketId};

/// The most lines of a block.
pub(super) const ROWS: usize = 256;

/// The longest text of a block that is read: far more than [`ROWS`] jobs of the largest kind have.
const MOST_TEXT: u64 = 64 << 20;

/// A line. `ticket` and `state` stand in `job` and `ending` too; they are for people and `jq`.
#[derive(Serialize, Deserialize)]
struct Line {
    ticket: TicketId,
    state: State,
    finished_at: Timestamp,
    attempts: u32,
    job: Job,
    ending: Ending,
}

/// The bytes of a block; the same for the same rows.
pub(super) fn pack(rows: &[Settlement]) -> io::Result<Vec<u8>> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    for Settlement { job, ending, finished_at, attempts } in rows {
        let line = Line {
            ticket: job.ticket,
            state: ending.state(),
            finished_at: *finished_at,
            attempts: *attempts,
            job: job.clone(),
            ending: ending.clone(),
        };
        serde_json::to_writer(&mut gzip, &line)?;
        gzip.write_all(b"\n")?;
    }
    gzip.finish()
}

/// The rows of a block.
pub(super) fn unpack(bytes: &[u8]) -> io::Result<Vec<Settlement>> {
    let mut text = Vec::new();
    GzDecoder::new(bytes).take(MOST_TEXT).read_to_end(&mut text)?;
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let Line { finished_at, attempts, job, ending, .. } = serde_json::from_slice(line)?;
            Ok(Settlement { job, ending, finished_at, attempts })
        })
        .collect()
}
