//! What the owner of the tables does with old months: writes them to files, and drops them.
//!
//! The order is the promise. A file is whole, on the disk, under its name; then the control database says what must be in
//! it; and only then, after the file was read once more, may the month go. Each step may be repeated after a crash. The
//! running service has the right to none of this.

use std::path::Path;
use std::time::Duration;

use deadpool_postgres::{Client, Transaction};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio_postgres::IsolationLevel;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use super::super::audit;
use super::super::error::Error;
use super::super::ledger::Ledger;
use super::super::pool::{Guard, Lease, Pool};
use super::archives::{self, Archive, Archives};
use super::file::{Writer, Written};
use super::{Settlement, block, months, read};
use crate::config;
use crate::domain::{Actor, Code, Event, EventName, Failure, Period};
use crate::failpoints::{Failpoint, reach};

/// The advisory lock of who archives and drops: one at a time.
const LOCK: i64 = 0x726f_6c65_6869_7374;

/// How long somebody waits for whoever is at it, and for a lock on a table that the service uses.
const PATIENCE: Duration = Duration::from_secs(5);

/// A job that ended in the last moment of a month may be settled in the first moments of the next, and clocks differ.
const SETTLED_AFTER: SignedDuration = SignedDuration::from_hours(1);

const MAKE_MONTHS: &str = "SELECT history_make_months($1)";

/// What became of a month that was to be archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Archived {
    /// It was written now.
    Now(Archive),
    /// It was before, and its file is as it should be.
    Before(Archive),
    /// No job ended in it: there is nothing to write.
    Empty,
}

/// A month that was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// How many rows went.
    pub rows: u64,
}

/// The owner of the tables.
#[derive(Debug)]
pub struct Keeper {
    pool: Pool,
    ledger: Ledger,
}

impl Keeper {
    /// Opens no connection yet.
    pub fn new(settings: &config::Control) -> Result<Self, Failure> {
        let owner_url = settings.owner_url.as_ref().unwrap_or(&settings.url);
        let pool = Pool::new(owner_url, 1, settings.timeout, Guard::Migrations)?;
        Ok(Self { pool, ledger: Ledger::new(settings)? })
    }

    /// The months that are still in the control database although more than `keep` finished ones came after them.
    pub async fn due(&self, keep: u16, now: Timestamp) -> Result<Vec<Period>, Failure> {
        let mut lease = self.pool.session().await?;
        let rows = lease.client()?.query(months::MONTHS, &[]).await.map_err(Error::Postgres)?;
        let all = rows.iter().map(months::read).collect::<Result<Vec<_>, _>>()?;
        let this_month = Period::of(now);
        let is_due =
            |period: Period| this_month.is_some_and(|this| period.months_until(this) > i32::from(keep));
        let here = all.into_iter().filter(|month| month.bytes_here.is_some());
        Ok(here.map(|month| month.period).filter(|period| is_due(*period)).collect())
    }

    /// Makes months ahead, as the service does too.
    pub async fn make_months(&self, ahead: u8) -> Result<usize, Failure> {
        let mut lease = self.session().await?;
        let row =
            lease.client()?.query_one(MAKE_MONTHS, &[&i32::from(ahead)]).await.map_err(Error::Postgres)?;
        Ok(usize::try_from(row.get::<_, i32>(0)).unwrap_or_default())
    }

    /// Writes a month to a file in `folder`, unless it was.
    ///
    /// # Errors
    /// [`Code::PeriodNotFound`], [`Code::PeriodNotFinished`] up to an hour after its end;
    /// [`Code::HistoryArchiveUnavailable`] or [`Code::HistoryArchiveDamaged`] for one that is in the file alone, if the
    /// file is not as it should be; [`Code::HistoryArchiveUnavailable`] also when the file cannot be written.
    pub async fn archive(
        &self,
        period: Period,
        folder: &Path,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Archived, Failure> {
        if now < period.end() + SETTLED_AFTER {
            return Err(Failure::new(
                Code::PeriodNotFinished,
                format!(
                    "Jobs may still end in {period}; archive it from {} on.",
                    period.end() + SETTLED_AFTER
                ),
            ));
        }
        let mut lease = self.session().await?;
        let client = lease.client()?;
        // What ended in a month that nobody had made becomes one.
        client.query_one(MAKE_MONTHS, &[&0]).await.map_err(Error::Postgres)?;
        let before = archives::find(client, period).await?;
        let Some(table) = table_of(client, period).await? else {
            let before = before.ok_or_else(|| not_found(period))?;
            Archives::verify(&before, folder).await?;
            return Ok(Archived::Before(before));
        };
        let rows = count(client, &table).await?;
        if rows == 0 {
            return Ok(Archived::Empty);
        }
        if let Some(before) = before.filter(|before| before.rows == rows)
            && Archives::verify(&before, folder).await.is_ok()
        {
            return Ok(Archived::Before(before));
        }
        let written = write(client, &table, folder, period).await?;
        let archive = keep(client, period, &written, actor, now).await?;
        reach(Failpoint::AfterArchiveRow);
        self.ledger.catch_up().await?;
        Ok(Archived::Now(archive))
    }

    /// Drops a month. With a folder only if its archive is there, whole, and has every row.
    ///
    /// # Errors
    /// [`Code::PeriodNotFound`]; those of the archive; [`Code::PeriodNotFinished`] when rows came after it was archived.
    pub async fn drop_month(
        &self,
        period: Period,
        folder: Option<&Path>,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Dropped, Failure> {
        let mut lease = self.session().await?;
        let client = lease.client()?;
        let table = table_of(client, period).await?.ok_or_else(|| not_found(period))?;
        let archive = archives::find(client, period).await?;
        if let (Some(folder), Some(archive)) = (folder, &archive) {
            Archives::verify(archive, folder).await?;
        }
        let transaction = client.transaction().await.map_err(Error::Postgres)?;
        // Readers go on. Nobody writes into an old month, and now nobody can.
        let lock = format!("LOCK TABLE {table} IN SHARE MODE");
        transaction.batch_execute(&lock).await.map_err(Error::Postgres)?;
        let rows = count(&transaction, &table).await?;
        let archived = archive.as_ref().map_or(0, |archive| archive.rows);
        if folder.is_some() && archived != rows {
            return Err(Failure::new(
                Code::PeriodNotFinished,
                format!("{period} has {rows} rows and its archive {archived}: archive it again."),
            ));
        }
        let sql = format!(
            "LOCK TABLE ONLY history IN ACCESS EXCLUSIVE MODE; ALTER TABLE history DETACH PARTITION {table}; \
             DROP TABLE {table}"
        );
        transaction.batch_execute(&sql).await.map_err(Error::Postgres)?;
        // Also of one that was written to a place nobody configured: whoever asks for it is told that it is there.
        let is_archived = archived == rows && rows > 0;
        if is_archived {
            let sql = "UPDATE history_archives SET dropped_at = $2 WHERE period = $1";
            transaction.execute(sql, &[&period.first_day(), &now]).await.map_err(Error::Postgres)?;
        }
        let detail = json!({ "period": period.to_string(), "rows": rows, "archived": is_archived });
        let event = Event { detail, ..Event::new(EventName::HistoryDropped, now, actor.clone()) };
        audit::insert(&transaction, &event).await?;
        transaction.commit().await.map_err(Error::Postgres)?;
        self.ledger.catch_up().await?;
        Ok(Dropped { rows })
    }

    /// A session under the lock, which goes with it.
    async fn session(&self) -> Result<Lease, Failure> {
        let mut lease = self.pool.session().await?;
        let sql = format!("SET lock_timeout = {}; SELECT pg_advisory_lock({LOCK})", PATIENCE.as_millis());
        let locked = lease.client()?.batch_execute(&sql).await;
        locked.map_err(|error| match error.code() {
            Some(&SqlState::LOCK_NOT_AVAILABLE) => Failure::new(
                Code::ControlDatabaseUnavailable,
                "Another `rolecall history` is at work; try again when it has ended.",
            ),
            Some(_) | None => Error::Postgres(error).into(),
        })?;
        Ok(lease)
    }
}

fn not_found(period: Period) -> Failure {
    Failure::new(
        Code::PeriodNotFound,
        format!("There is no {period} in history; see `rolecall history list`."),
    )
}

/// The quoted name of a month's table.
async fn table_of(client: &Client, period: Period) -> Result<Option<String>, Failure> {
    let sql = "SELECT c.oid::regclass::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
               WHERE i.inhparent = 'history'::regclass AND c.relname = 'history_' || to_char($1::date, 'YYYY_MM')";
    let row = client.query_opt(sql, &[&period.first_day()]).await.map_err(Error::Postgres)?;
    Ok(row.map(|row| row.get(0)))
}

async fn count(client: &impl deadpool_postgres::GenericClient, table: &str) -> Result<u64, Failure> {
    let row =
        client.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.map_err(Error::Postgres)?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or_default())
}

/// Writes the rows of one moment, block after block: neither they nor the file are ever in memory as a whole.
async fn write(client: &mut Client, table: &str, folder: &Path, period: Period) -> Result<Written, Failure> {
    let unwritable = |error: std::io::Error| {
        let text = format!("The archive of {period} cannot be written into {}.", folder.display());
        Failure::new(Code::HistoryArchiveUnavailable, text).caused_by(error)
    };
    let snapshot = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let transaction = snapshot.start().await.map_err(Error::Postgres)?;
    let sql = format!(
        "SELECT job, ending, attempts, finished_at FROM {table} ORDER BY finished_at DESC, ticket DESC"
    );
    let statement = transaction.prepare(&sql).await.map_err(Error::Postgres)?;
    let portal = transaction.bind(&statement, &[]).await.map_err(Error::Postgres)?;
    let mut writer = Writer::create(folder, period).map_err(unwritable)?;
    loop {
        let most = i32::try_from(block::ROWS).unwrap_or(i32::MAX);
        let rows = transaction.query_portal(&portal, most).await.map_err(Error::Postgres)?;
        let is_end = rows.len() < block::ROWS;
        let rows = rows.iter().map(read).collect::<Result<Vec<Settlement>, Error>>()?;
        let adding = tokio::task::spawn_blocking(move || writer.add(&rows).map(|()| writer));
        writer = adding.await.map_err(Failure::internal)?.map_err(unwritable)?;
        if is_end {
            break;
        }
    }
    let finishing = tokio::task::spawn_blocking(move || writer.finish());
    finishing.await.map_err(Failure::internal)?.map_err(unwritable)
}

/// Says in the control database what must be in the file, with the event, in one transaction.
async fn keep(
    client: &mut Client,
    period: Period,
    written: &Written,
    actor: &Actor,
    now: Timestamp,
) -> Result<Archive, Failure> {
    let transaction = client.transaction().await.map_err(Error::Postgres)?;
    let archive = Archive {
        period,
        file: written.file.clone(),
        rows: written.rows,
        bytes: written.bytes,
        sha256: written.sha256.clone(),
        archived_at: now,
        archived_by: actor.account.clone(),
        dropped_at: None,
    };
    insert(&transaction, &archive, written).await?;
    let detail = json!({
        "period": period.to_string(), "file": archive.file, "rows": archive.rows, "bytes": archive.bytes,
        "sha256": archive.sha256_hex(),
    });
    let event = Event { detail, ..Event::new(EventName::HistoryArchived, now, actor.clone()) };
    audit::insert(&transaction, &event).await?;
    transaction.commit().await.map_err(Error::Postgres)?;
    Ok(archive)
}

async fn insert(transaction: &Transaction<'_>, archive: &Archive, written: &Written) -> Result<(), Error> {
    let day = archive.period.first_day();
    transaction.execute("DELETE FROM history_archives WHERE period = $1", &[&day]).await?;
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    transaction
        .execute(
            "INSERT INTO history_archives (period, file, rows, bytes, sha256, archived_at, archived_by) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                &day,
                &archive.file,
                &number(archive.rows),
                &number(archive.bytes),
                &archive.sha256,
                &archive.archived_at,
                &archive.archived_by,
            ],
        )
        .await?;
    let blocks = &written.blocks;
    let at: Vec<Timestamp> = blocks.iter().map(|block| block.newest.finished_at).collect();
    let tickets: Vec<Uuid> = blocks.iter().map(|block| block.newest.ticket.as_uuid()).collect();
    let starts: Vec<i64> = blocks.iter().map(|block| number(block.starts_at)).collect();
    let bytes: Vec<i32> = blocks.iter().map(|block| i32::try_from(block.bytes).unwrap_or(i32::MAX)).collect();
    let digests: Vec<&[u8]> = blocks.iter().map(|block| block.sha256.as_slice()).collect();
    transaction
        .execute(
            "INSERT INTO history_archive_blocks (period, newest_at, newest_ticket, starts_at, bytes, sha256) \
             SELECT $1, * FROM unnest($2::timestamptz[], $3::uuid[], $4::bigint[], $5::integer[], $6::bytea[])",
            &[&day, &at, &tickets, &starts, &bytes, &digests],
        )
        .await?;
    Ok(())
}
