//! The file of an archive, on this machine. Everything here blocks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::archives::{Archive, Block, Place};
use super::{Settlement, block};
use crate::domain::Period;
use crate::failpoints::{Failpoint, reach};

/// A group that is given the folder may read: the api need not be who archives.
const MODE: u32 = 0o640;

/// The name of a month's file.
pub(super) fn name(period: Period) -> String {
    format!("rolecall-history-{period}.ndjson.gz")
}

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// It cannot be read here.
    #[error("{0} cannot be read")]
    Unavailable(PathBuf, #[source] io::Error),
    /// It is not what was written.
    #[error("{0} is damaged: {1}")]
    Damaged(PathBuf, String),
}

/// A file that is being written, under a name that nobody reads: it gets its own when all of it is on the disk. What a
/// crash leaves is begun anew by the next.
pub(super) struct Writer {
    folder: PathBuf,
    name: String,
    partial: PathBuf,
    file: File,
    digest: Sha256,
    length: u64,
    rows: u64,
    blocks: Vec<Block>,
}

/// What was written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) file: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) sha256: Vec<u8>,
    pub(super) blocks: Vec<Block>,
}

impl Writer {
    pub(super) fn create(folder: &Path, period: Period) -> io::Result<Self> {
        let name = name(period);
        let partial = folder.join(format!(".{name}.partial"));
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&partial)?;
        Ok(Self {
            folder: folder.to_owned(),
            name,
            partial,
            file,
            digest: Sha256::new(),
            length: 0,
            rows: 0,
            blocks: Vec::new(),
        })
    }

    /// Adds a block, which is not empty and follows the one before in the order of the list.
    pub(super) fn add(&mut self, rows: &[Settlement]) -> io::Result<()> {
        let Some(newest) = rows.first().map(Place::of) else { return Ok(()) };
        let packed = block::pack(rows)?;
        self.file.write_all(&packed)?;
        self.digest.update(&packed);
        self.blocks.push(Block {
            newest,
            starts_at: self.length,
            bytes: u32::try_from(packed.len()).map_err(io::Error::other)?,
            sha256: Sha256::digest(&packed).to_vec(),
        });
        self.length += packed.len() as u64;
        self.rows += rows.len() as u64;
        Ok(())
    }

    /// Gives it its name. Afterwards it is there whole, also after a power cut.
    pub(super) fn finish(self) -> io::Result<Written> {
        self.file.sync_all()?;
        reach(Failpoint::BeforeArchiveName);
        fs::rename(&self.partial, self.folder.join(&self.name))?;
        File::open(&self.folder)?.sync_all()?;
        reach(Failpoint::AfterArchiveName);
        Ok(Written {
            file: self.name,
            rows: self.rows,
            bytes: self.length,
            sha256: self.digest.finalize().to_vec(),
            blocks: self.blocks,
        })
    }
}

/// The rows of one block.
pub(super) fn read_block(path: &Path, block: &Block) -> Result<Vec<Settlement>, Fault> {
    let unavailable = |error| Fault::Unavailable(path.to_owned(), error);
    let damaged = |what: String| Fault::Damaged(path.to_owned(), what);
    let mut file = File::open(path).map_err(unavailable)?;
    file.seek(SeekFrom::Start(block.starts_at)).map_err(unavailable)?;
    let mut bytes = Vec::new();
    file.take(u64::from(block.bytes)).read_to_end(&mut bytes).map_err(unavailable)?;
    if Sha256::digest(&bytes).as_slice() != block.sha256 {
        return Err(damaged(format!("the block at {} is not what was written", block.starts_at)));
    }
    block::unpack(&bytes).map_err(|error| damaged(format!("the block at {}: {error}", block.starts_at)))
}

/// Reads all of it and compares.
pub(super) fn verify(path: &Path, archive: &Archive) -> Result<(), Fault> {
    let unavailable = |error| Fault::Unavailable(path.to_owned(), error);
    let damaged = |what: &str| Fault::Damaged(path.to_owned(), what.to_owned());
    let mut file = File::open(path).map_err(unavailable)?;
    if file.metadata().map_err(unavailable)?.len() != archive.bytes {
        return Err(damaged("it has another length than was written"));
    }
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(unavailable)? {
            0 => break,
            read => digest.update(&buffer[..read]),
        }
    }
    if digest.finalize().as_slice() != archive.sha256 {
        return Err(damaged("its SHA-256 is not that of what was written"));
    }
    Ok(())
}
