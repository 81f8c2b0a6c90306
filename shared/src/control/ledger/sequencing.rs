//! From the inbox into blocks.

use deadpool_postgres::{Client, Transaction};
use jiff::Timestamp;
use tokio_postgres::Row;

use super::super::error::Error;
use super::super::rows::UnreadableRow;
use super::rows::{INBOX, entry};
use crate::audit::{Entry, Hash, Header, MAX_EVENTS, leaf};

/// The advisory lock of whoever closes blocks: "sequence" in ASCII.
const LOCK: i64 = 0x7365_7175_656e_6365;

/// How many blocks share a commit at most.
const BLOCKS_AT_ONCE: usize = 16;

/// Closes blocks until all that waited at the beginning is in one. What a call leaves undone when it is stopped, the
/// next one does.
pub(in crate::control) async fn catch_up(client: &mut Client) -> Result<(), Error> {
    // What comes after this was not waited for; without an end a busy moment would never let its first caller go.
    let mut until = None;
    loop {
        let transaction = begin(client).await?;
        if until.is_none() {
            until = newest_pending(&transaction).await?;
        }
        let reached = close_blocks(&transaction, until).await?;
        transaction.commit().await?;
        if reached {
            return Ok(());
        }
    }
}

/// Takes the lock. It goes with the transaction: with its end, with its session, or with a session that says nothing for
/// half the time that others wait.
async fn begin(client: &mut Client) -> Result<Transaction<'_>, Error> {
    let transaction = client.transaction().await?;
    // The plans of prepared statements stay while the tables grow: always by the index, whatever pays while they are small.
    let sql = format!(
        "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; \
         SELECT set_config('idle_in_transaction_session_timeout', \
                           greatest(setting::int / 2, 1)::text, true) \
         FROM pg_settings WHERE name = 'statement_timeout' AND setting::int > 0; \
         SELECT pg_advisory_xact_lock({LOCK})"
    );
    transaction.batch_execute(&sql).await?;
    Ok(transaction)
}

async fn newest_pending(transaction: &Transaction<'_>) -> Result<Option<i64>, Error> {
    let statement = transaction.prepare_cached("SELECT max(seq) FROM audit_pending").await?;
    Ok(transaction.query_one(&statement, &[]).await?.try_get(0)?)
}

/// Whether everything up to `until` is in a block.
async fn close_blocks(transaction: &Transaction<'_>, until: Option<i64>) -> Result<bool, Error> {
    let Some(until) = until else { return Ok(true) };
    let mut end = end(transaction).await?;
    for _ in 0..BLOCKS_AT_ONCE {
        let pending = pending(transaction).await?;
        let Some(newest) = pending.last() else { return Ok(true) };
        let (newest, closed_at): (i64, Timestamp) =
            (newest.try_get("pending")?, newest.try_get("closed_at")?);
        let is_all = pending.len() < MAX_EVENTS || newest >= until;
        let is_event = |row: &Row| row.try_get::<_, Option<i64>>("inbox").is_ok_and(|inbox| inbox.is_some());
        let (events, others): (Vec<Row>, Vec<Row>) = pending.into_iter().partition(is_event);
        if !others.is_empty() {
            pass_over(transaction, &others).await?;
        }
        if !events.is_empty() {
            end = close(transaction, end, &events, closed_at).await?;
        }
        if is_all {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Number, last row and hash of the last block.
async fn end(transaction: &Transaction<'_>) -> Result<(i64, i64, Hash), Error> {
    let sql = "SELECT number, first + count - 1 AS last, hash FROM audit_blocks ORDER BY number DESC LIMIT 1";
    let statement = transaction.prepare_cached(sql).await?;
    match transaction.query_opt(&statement, &[]).await? {
        None => Ok((0, 0, Hash::ZERO)),
        Some(row) => Ok((row.try_get("number")?, row.try_get("last")?, hash(&row, "hash")?)),
    }
}

/// Removes numbers that stand for no event. Nothing of ours leaves any; whoever else writes there must not keep the events
/// behind them out.
async fn pass_over(transaction: &Transaction<'_>, others: &[Row]) -> Result<(), Error> {
    let numbers: Vec<i64> = others.iter().map(|row| row.try_get("pending")).collect::<Result<_, _>>()?;
    let sql = "DELETE FROM audit_pending p \
               WHERE p.seq = ANY ($1) AND NOT EXISTS (SELECT FROM audit_inbox i WHERE i.seq = p.seq)";
    let statement = transaction.prepare_cached(sql).await?;
    let passed = transaction.execute(&statement, &[&numbers]).await?;
    tracing::error!(passed, "somebody wrote numbers of no event into audit_pending");
    Ok(())
}

/// What waits for its block, in the order of the inbox: its number `pending`, and the event.
async fn pending(transaction: &Transaction<'_>) -> Result<Vec<Row>, Error> {
    // `OFFSET 0` keeps the planner from reading the whole inbox in its order and asking of each row whether it is
    // pending, which it thinks cheap as long as it has no statistics, and which costs more with each row there ever was.
    let sql = format!(
        "SELECT p.seq AS pending, {INBOX}, clock_timestamp() AS closed_at \
         FROM (SELECT seq FROM audit_pending ORDER BY seq LIMIT {MAX_EVENTS}) p \
         LEFT JOIN LATERAL (SELECT * FROM audit_inbox WHERE seq = p.seq OFFSET 0) i ON true ORDER BY p.seq"
    );
    let statement = transaction.prepare_cached(&sql).await?;
    Ok(transaction.query(&statement, &[]).await?)
}

async fn close(
    transaction: &Transaction<'_>,
    end: (i64, i64, Hash),
    pending: &[Row],
    closed_at: Timestamp,
) -> Result<(i64, i64, Hash), Error> {
    let seqs: Vec<i64> = (end.1 + 1..).take(pending.len()).collect();
    let entries: Vec<Entry> =
        pending.iter().zip(&seqs).map(|(row, seq)| entry(row, *seq)).collect::<Result<_, _>>()?;
    let inbox: Vec<i64> = pending.iter().map(|row| row.try_get("inbox")).collect::<Result<_, _>>()?;
    let bodies: Vec<String> = entries.iter().map(Entry::to_text).collect();
    let leaves: Vec<Hash> = bodies.iter().map(|body| leaf(body.as_bytes())).collect();
    let header = Header::after(end, &leaves, closed_at);
    let hash = header.hash();
    let count = i32::try_from(header.count).unwrap_or(i32::MAX);
    let leaves: Vec<&[u8]> = leaves.iter().map(Hash::as_bytes).collect();
    let statement = transaction.prepare_cached(CLOSE).await?;
    transaction
        .execute(
            &statement,
            &[
                &header.number,
                &header.first,
                &count,
                &header.root.as_bytes(),
                &header.previous.as_bytes(),
                &header.closed_at,
                &hash.as_bytes(),
                &seqs,
                &inbox,
                &leaves,
                &bodies,
                &column(&entries, |entry| entry.event.as_str()),
                &column(&entries, |entry| entry.at),
                &column(&entries, |entry| entry.account.as_str()),
                &column(&entries, |entry| entry.ticket),
                &column(&entries, |entry| entry.env.as_deref()),
                &column(&entries, |entry| entry.database.as_deref()),
                &column(&entries, |entry| entry.host.as_deref()),
                &column(&entries, |entry| entry.role.as_deref()),
            ],
        )
        .await?;
    Ok((header.number, header.last(), hash))
}

fn column<'a, T>(entries: &'a [Entry], field: impl Fn(&'a Entry) -> T) -> Vec<T> {
    entries.iter().map(field).collect()
}

const CLOSE: &str = "\
    WITH block AS ( \
        INSERT INTO audit_blocks (number, first, count, root, previous, closed_at, hash) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) \
    ), moved AS ( \
        DELETE FROM audit_pending WHERE seq = ANY ($9) \
    ) \
    INSERT INTO audit_ledger (seq, inbox, leaf, body, event, at, account, ticket, env, database, host, role) \
    SELECT * FROM unnest($8::bigint[], $9::bigint[], $10::bytea[], $11::text[], $12::text[], $13::timestamptz[], \
                         $14::text[], $15::uuid[], $16::text[], $17::text[], $18::text[], $19::text[])";

/// A hash from a column.
pub(super) fn hash(row: &Row, column: &'static str) -> Result<Hash, Error> {
    let hash = Hash::from_bytes(row.try_get(column)?);
    Ok(hash.ok_or_else(|| UnreadableRow::new("the audit's ledger", column))?)
}
