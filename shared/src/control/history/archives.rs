//! Reading archived months: what the database knows of them, and their files, a block at a time.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Client;
use jiff::Timestamp;
use jiff::civil::Date;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::super::Control;
use super::super::error::Error;
use super::super::rows::UnreadableRow;
use super::Settlement;
use super::file::{self, Fault};
use super::list::{Scan, Wanted};
use crate::config;
use crate::domain::{Code, Failure, Period, TicketId};

const TABLE: &str = "history_archives";

/// The most rows that one question looks at; it then answers what it has, and where to go on.
pub const MOST_SCANNED: usize = 20_000;

/// How many files one process reads at once. Reading keeps a thread and a core.
const AT_ONCE: usize = 2;

/// How many blocks are looked up together.
const BLOCKS: usize = 100;

/// Where a row is in the list, which is newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// When the job ended, to the microsecond.
    pub finished_at: Timestamp,
    /// Whose row it is.
    pub ticket: TicketId,
}

impl Place {
    /// Of this row.
    pub fn of(settlement: &Settlement) -> Self {
        Self { finished_at: settlement.finished_at, ticket: settlement.job.ticket }
    }
}

/// A month that was written to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Which.
    pub period: Period,
    /// The file's name, within `history.archive_folder`.
    pub file: String,
    /// How many jobs are in it.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, 32 bytes.
    pub sha256: Vec<u8>,
    /// When it was written.
    pub archived_at: Timestamp,
    /// By whom.
    pub archived_by: String,
    /// Since when the file alone has it.
    pub dropped_at: Option<Timestamp>,
}

impl Archive {
    /// The SHA-256 as `sha256sum` writes it.
    pub fn sha256_hex(&self) -> String {
        self.sha256.iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// What is wrong with its file, for the caller; where it lies is for the log.
    pub(super) fn failure(&self, fault: Fault) -> Failure {
        let period = self.period;
        let failure = match &fault {
            Fault::Unavailable(..) => Failure::new(
                Code::HistoryArchiveUnavailable,
                format!(
                    "The archive of {period} cannot be read here now; whoever runs Rolecall has its file."
                ),
            ),
            Fault::Damaged(..) => Failure::new(
                Code::HistoryArchiveDamaged,
                format!("The archive of {period} is not what was written; its file must come from a backup."),
            ),
        };
        failure.caused_by(fault).with_context(serde_json::json!({ "period": period.to_string() }))
    }
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// Its first row, which is its newest.
    pub(super) newest: Place,
    pub(super) starts_at: u64,
    pub(super) bytes: u32,
    pub(super) sha256: Vec<u8>,
}

/// Where this process finds the files.
#[derive(Debug, Clone)]
pub(in super::super) struct Archives {
    folder: Option<PathBuf>,
    places: Arc<Semaphore>,
    patience: Duration,
}

impl Archives {
    pub(in super::super) fn new(settings: &config::Control) -> Self {
        Self {
            folder: settings.history.archive_folder.clone(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            patience: settings.timeout,
        }
    }

    fn path(&self, archive: &Archive) -> Result<PathBuf, Failure> {
        let folder = self.folder.as_deref().ok_or_else(|| {
            let unset = std::io::Error::other("history.archive_folder is not set");
            archive.failure(Fault::Unavailable(archive.file.clone().into(), unset))
        })?;
        Ok(folder.join(&archive.file))
    }

    /// Reads on a thread where waiting for a disk harms nobody.
    async fn read_block(&self, archive: &Archive, block: Block) -> Result<Vec<Settlement>, Failure> {
        let path = self.path(archive)?;
        let waiting = timeout(self.patience, Arc::clone(&self.places).acquire_owned());
        let place = waiting.await.ok().and_then(Result::ok).ok_or_else(|| {
            Failure::new(Code::TooManyRequests, "Too many archived months are being read at once.")
        })?;
        let reading = tokio::task::spawn_blocking(move || {
            let _place = place;
            file::read_block(&path, &block)
        });
        reading.await.map_err(Failure::internal)?.map_err(|fault| archive.failure(fault))
    }

    /// Compares a file with what was written, here or in another folder.
    pub(super) async fn verify(archive: &Archive, folder: &Path) -> Result<(), Failure> {
        let (path, expected) = (folder.join(&archive.file), archive.clone());
        let verified = tokio::task::spawn_blocking(move || file::verify(&path, &expected)).await;
        verified.map_err(Failure::internal)?.map_err(|fault| archive.failure(fault))
    }
}

impl Control {
    /// Reads the whole file of an archive and compares it with what was written; `folder` is where it should be if that
    /// is not `history.archive_folder`.
    ///
    /// # Errors
    /// [`Code::HistoryArchiveUnavailable`] and [`Code::HistoryArchiveDamaged`].
    pub async fn verify_archive(&self, archive: &Archive, folder: Option<&Path>) -> Result<(), Failure> {
        if let Some(folder) = folder {
            return Archives::verify(archive, folder).await;
        }
        let path = self.archives.path(archive)?;
        Archives::verify(archive, path.parent().unwrap_or(Path::new("/"))).await
    }

    /// An archived month, if it was dropped here.
    pub(super) async fn find_dropped(&self, period: Period) -> Result<Option<Archive>, Failure> {
        let found = self.pool.run(async |client| find(client, period).await).await?;
        Ok(found.filter(|archive| archive.dropped_at.is_some()))
    }

    /// The row at this place of an archive.
    pub(super) async fn find_archived(&self, archive: &Archive, place: Place) -> Result<Settlement, Failure> {
        let block = self.block_with(archive.period, place).await?;
        let missing = |what: &str| {
            archive
                .failure(Fault::Damaged(archive.file.clone().into(), format!("{what} of {}", place.ticket)))
        };
        let block = block.ok_or_else(|| missing("there is no block"))?;
        let rows = self.archives.read_block(archive, block).await?;
        let found = rows.into_iter().find(|row| row.job.ticket == place.ticket);
        found.ok_or_else(|| missing("there is no line"))
    }

    /// Rows of an archive in the order of the list.
    pub(super) async fn scan_archive(&self, archive: &Archive, wanted: &Wanted<'_>) -> Result<Scan, Failure> {
        let mut scan = Scan::default();
        let mut scanned = 0;
        let mut next = match wanted.after {
            Some(place) => self.block_with(archive.period, place).await?,
            None => None,
        };
        let mut last = None;
        loop {
            let mut blocks =
                self.blocks_after(archive.period, next.as_ref().map(|block| block.newest).or(last)).await?;
            let is_end = blocks.len() < BLOCKS;
            last = blocks.last().map(|block| block.newest).or(last);
            blocks.splice(0..0, next.take());
            for block in blocks {
                for row in self.archives.read_block(archive, block).await? {
                    scanned += 1;
                    if wanted.is_over(&row) {
                        return Ok(scan);
                    }
                    let place = Place::of(&row);
                    if wanted.takes(&row) {
                        scan.found.push(row);
                    }
                    if scan.found.len() >= wanted.rows || scanned >= MOST_SCANNED {
                        scan.reached = Some(place);
                        return Ok(scan);
                    }
                }
            }
            if is_end {
                return Ok(scan);
            }
        }
    }

    /// The block that holds this place, if one can.
    async fn block_with(&self, period: Period, place: Place) -> Result<Option<Block>, Failure> {
        let sql = "SELECT newest_at, newest_ticket, starts_at, bytes, sha256 FROM history_archive_blocks \
                   WHERE period = $1 AND (newest_at, newest_ticket) >= ($2, $3) \
                   ORDER BY newest_at, newest_ticket LIMIT 1";
        let (day, ticket) = (period.first_day(), place.ticket.as_uuid());
        let found = self
            .pool
            .run(async |client| {
                let parameters: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)] =
                    &[(&day, Type::DATE), (&place.finished_at, Type::TIMESTAMPTZ), (&ticket, Type::UUID)];
                client.query_typed_opt(sql, parameters).await?.as_ref().map(read_block_row).transpose()
            })
            .await?;
        Ok(found)
    }

    /// The next blocks, from the newest or behind this one.
    async fn blocks_after(&self, period: Period, after: Option<Place>) -> Result<Vec<Block>, Failure> {
        let sql = "SELECT newest_at, newest_ticket, starts_at, bytes, sha256 FROM history_archive_blocks \
                   WHERE period = $1 AND ($2 IS NULL OR (newest_at, newest_ticket) < ($2, $3)) \
                   ORDER BY newest_at DESC, newest_ticket DESC LIMIT $4";
        let day = period.first_day();
        let (at, ticket) = (after.map(|place| place.finished_at), after.map(|place| place.ticket.as_uuid()));
        let most = i64::try_from(BLOCKS).unwrap_or(i64::MAX);
        let blocks = self
            .pool
            .run(async |client| {
                let parameters: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)] = &[
                    (&day, Type::DATE),
                    (&at, Type::TIMESTAMPTZ),
                    (&ticket, Type::UUID),
                    (&most, Type::INT8),
                ];
                client.query_typed(sql, parameters).await?.iter().map(read_block_row).collect()
            })
            .await?;
        Ok(blocks)
    }
}

/// What is known of a month's file.
pub(super) async fn find(client: &Client, period: Period) -> Result<Option<Archive>, Error> {
    let sql = "SELECT period, file, rows, bytes, sha256, archived_at, archived_by, dropped_at \
               FROM history_archives WHERE period = $1";
    let day = period.first_day();
    client.query_typed_opt(sql, &[(&day, Type::DATE)]).await?.as_ref().map(read).transpose()
}

/// A row of `history_archives`.
pub(super) fn read(row: &Row) -> Result<Archive, Error> {
    Ok(Archive {
        period: period(row.try_get("period")?)?,
        file: row.try_get("file")?,
        rows: count(row.try_get("rows")?, "rows")?,
        bytes: count(row.try_get("bytes")?, "bytes")?,
        sha256: row.try_get("sha256")?,
        archived_at: row.try_get("archived_at")?,
        archived_by: row.try_get("archived_by")?,
        dropped_at: row.try_get("dropped_at")?,
    })
}

/// A month by its first day.
pub(super) fn period(day: Date) -> Result<Period, UnreadableRow> {
    Period::of_date(day).ok_or_else(|| UnreadableRow::new(TABLE, "period"))
}

fn count(number: i64, column: &'static str) -> Result<u64, UnreadableRow> {
    u64::try_from(number).map_err(|fault| UnreadableRow::because(TABLE, column, fault))
}

fn read_block_row(row: &Row) -> Result<Block, Error> {
    let bytes = u32::try_from(row.try_get::<_, i32>("bytes")?)
        .map_err(|fault| UnreadableRow::because("history_archive_blocks", "bytes", fault))?;
    Ok(Block {
        newest: Place {
            finished_at: row.try_get("newest_at")?,
            ticket: TicketId::from_uuid(row.try_get("newest_ticket")?),
        },
        starts_at: count(row.try_get("starts_at")?, "starts_at")?,
        bytes,
        sha256: row.try_get("sha256")?,
    })
}
