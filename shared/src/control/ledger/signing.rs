//! Checkpoints: when one is due, and where it is kept.

use std::time::Duration;

use deadpool_postgres::Transaction;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Row;

use super::super::Control;
use super::super::error::Error;
use super::sequencing::hash;
use crate::audit::{Checkpoint, Hash, SigningKey};
use crate::domain::Failure;

/// The advisory lock of whoever signs: "checkpnt" in ASCII.
const LOCK: i64 = 0x6368_6563_6b70_6e74;

/// The most that are signed in one call; what is left is due in the next one.
const AT_ONCE: usize = 100;

/// When checkpoints are due.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    /// So long after the last one, also when nothing has happened.
    pub every: Duration,
    /// And at every block that completes so many rows.
    pub rows: i64,
}

impl Control {
    /// Signs the checkpoints that are due, and answers them as they were written down. Of several who call, one signs.
    pub async fn sign_due(&self, key: &SigningKey, due: Due) -> Result<Vec<String>, Failure> {
        let signed = self
            .pool
            .run(async |client| {
                let transaction = client.transaction().await?;
                transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
                let mut last = last(&transaction).await?;
                let mut notes = Vec::new();
                while let Some(next) = next(&transaction, last, due).await?.filter(|_| notes.len() < AT_ONCE)
                {
                    notes.push(keep(&transaction, &next, key).await?);
                    last = Some(next);
                }
                transaction.commit().await?;
                Ok(notes)
            })
            .await?;
        Ok(signed)
    }

    /// When the newest checkpoint was signed, if there is one.
    pub async fn newest_checkpoint(&self) -> Result<Option<Timestamp>, Failure> {
        let sql = "SELECT max(at) FROM audit_checkpoints";
        let at =
            self.pool.run(async |client| Ok(client.query_typed_one(sql, &[]).await?.try_get(0)?)).await?;
        Ok(at)
    }
}

/// The newest checkpoint, but for its hash.
async fn last(transaction: &Transaction<'_>) -> Result<Option<Checkpoint>, Error> {
    let sql = "SELECT number, rows, block, at FROM audit_checkpoints ORDER BY number DESC LIMIT 1";
    let row = transaction.query_opt(sql, &[]).await?;
    row.map(|row| {
        Ok(Checkpoint {
            number: row.try_get("number")?,
            rows: row.try_get("rows")?,
            block: row.try_get("block")?,
            hash: Hash::ZERO,
            at: row.try_get("at")?,
        })
    })
    .transpose()
}

/// The checkpoint that is due after this one: at the block that completes the next so many rows, else at the end.
async fn next(
    transaction: &Transaction<'_>,
    last: Option<Checkpoint>,
    due: Due,
) -> Result<Option<Checkpoint>, Error> {
    let full =
        last.map_or(0, |last| last.rows).div_euclid(due.rows).saturating_add(1).saturating_mul(due.rows);
    let columns = "SELECT number, first + count - 1 AS rows, hash, clock_timestamp() AS at FROM audit_blocks";
    let number = last.map_or(1, |last| last.number + 1);
    let row = transaction.query_opt(&format!("{columns} ORDER BY number DESC LIMIT 1"), &[]).await?;
    let end = if let Some(row) = row {
        read(&row, number)?
    } else {
        let at = transaction.query_one("SELECT clock_timestamp()", &[]).await?.try_get(0)?;
        Checkpoint { number, rows: 0, block: 0, hash: Hash::ZERO, at }
    };
    // Only if there is such a block: the looking for it would else read all that there are.
    if end.rows >= full {
        let sql = format!("{columns} WHERE first + count > $1 AND first <= $1 ORDER BY first DESC LIMIT 1");
        if let Some(row) = transaction.query_opt(&sql, &[&full]).await? {
            return read(&row, number).map(Some);
        }
    }
    let every = SignedDuration::try_from(due.every).unwrap_or(SignedDuration::MAX);
    Ok(Some(end).filter(|end| last.is_none_or(|last| end.at.duration_since(last.at) >= every)))
}

fn read(row: &Row, number: i64) -> Result<Checkpoint, Error> {
    Ok(Checkpoint {
        number,
        rows: row.try_get("rows")?,
        block: row.try_get("number")?,
        hash: hash(row, "hash")?,
        at: row.try_get("at")?,
    })
}

async fn keep(
    transaction: &Transaction<'_>,
    checkpoint: &Checkpoint,
    key: &SigningKey,
) -> Result<String, Error> {
    let note = checkpoint.sign(key);
    let sql = "INSERT INTO audit_checkpoints (number, block, rows, at, note) VALUES ($1, $2, $3, $4, $5)";
    let Checkpoint { number, block, rows, at, hash: _ } = checkpoint;
    transaction.execute(sql, &[number, block, rows, at, &note]).await?;
    Ok(note)
}
