//! Is the ledger as it was? The rules are those of `audit::Checker`; what the database knows besides is added here.

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::super::Control;
use super::super::error::Error;
use super::checking::{COLUMNS, Found, Part};
use super::rows::{INBOX, entry};
use super::walking::Walk;
use crate::audit::{Checked, Checker, Checkpoint, Fault, Header, NoteFault, PublicKey, SeenRow};
use crate::domain::Failure;

/// What was found: all is as it was, or the first thing that is not.
pub type Verdict = Result<Checked, Fault>;

/// Checkpoints that are read at once.
const NOTES: i64 = 1_000;
/// Numbers of the inbox that are looked at at once.
const INBOX_ROWS: i64 = 20_000;

/// What is bound in a statement.
type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// What stops the reading: a fault, or a database that does not answer.
enum Stop {
    Fault(Fault),
    Failure(Failure),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failure(error.into())
    }
}

impl Control {
    /// Reads the whole ledger and names the first row that is not as it was. `outside` are checkpoints that were kept
    /// elsewhere; they must have been read before the call. Without keys no signature is checked.
    pub async fn verify_ledger(&self, keys: &[PublicKey], outside: &[String]) -> Result<Verdict, Failure> {
        match self.verify(keys, outside).await {
            Ok(checked) => Ok(Ok(checked)),
            Err(Stop::Fault(fault)) => Ok(Err(fault)),
            Err(Stop::Failure(failure)) => Err(failure),
        }
    }

    async fn verify(&self, keys: &[PublicKey], outside: &[String]) -> Result<Checked, Stop> {
        // First the checkpoints, then how far the ledger goes: it goes at least as far as each of them.
        let checkpoints = self.checkpoints(keys).await?;
        let missing = compare_outside(&checkpoints, keys, outside)?;
        let until = self.last_block().await?;
        let mut checker = Checker::new(checkpoints.into_iter().chain(missing.iter().copied()));
        let mut walk = Walk::new(self, COLUMNS, until);
        let mut part = self.next_part(&mut walk).await?;
        while !part.blocks.is_empty() {
            // The next one is read while this one is checked.
            let checking = tokio::task::spawn_blocking(move || part.check(checker));
            let (next, found) = tokio::join!(self.next_part(&mut walk), checking);
            checker = match found.map_err(Failure::internal)? {
                Ok(checker) => checker,
                Err(Found::OtherRoot { header, rows, seen }) => {
                    return Err(self.changed_row(&header, &rows, &seen).await?.into());
                }
                Err(Found::Fault(fault)) => return Err(fault.into()),
                Err(Found::Unreadable(error)) => return Err(error.into()),
            };
            part = next?;
        }
        let found = checker.finish()?;
        if let Some(Checkpoint { number, .. }) = missing.first() {
            let what =
                format!("checkpoint {number}, which was kept outside, is not in the database any more");
            return Err(Fault::whole(what).into());
        }
        self.nothing_beside(found).await?;
        Ok(found)
    }

    async fn next_part(&self, walk: &mut Walk<'_>) -> Result<Part, Failure> {
        let blocks = walk.next().await?;
        let numbers = inbox_numbers(blocks.iter().flat_map(|block| &block.rows))?;
        // Not as a join: the planner would look each one up, or read the whole inbox for some thousand rows of it.
        let sql = "SELECT seq, event_id FROM audit_inbox WHERE seq = ANY ($1)";
        let recorded = self
            .pool
            .run(async |client| {
                let rows = client.query_typed(sql, &[(&numbers, Type::INT8_ARRAY)]).await?;
                rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
            })
            .await?;
        Ok(Part { blocks, recorded })
    }

    /// Which row of a block was changed together with its hash, the inbox may tell.
    async fn changed_row(&self, header: &Header, rows: &[Row], seen: &[SeenRow]) -> Result<Fault, Stop> {
        let numbers = inbox_numbers(rows)?;
        let sql = format!(
            "SELECT {INBOX} FROM unnest($1) WITH ORDINALITY AS n (seq, place) JOIN audit_inbox i ON i.seq = n.seq \
             ORDER BY n.place"
        );
        let recorded = self
            .pool
            .run(async |client| Ok(client.query_typed(&sql, &[(&numbers, Type::INT8_ARRAY)]).await?))
            .await?;
        for (row, seen) in recorded.iter().zip(seen) {
            if entry(row, seen.seq())?.to_text() != seen.text() {
                let what = "the row was changed, and its hash with it: something else was recorded";
                return Ok(Fault::row(seen.seq(), header.number, what));
            }
        }
        Ok(Checker::not_its_root(header))
    }

    /// The checkpoints in the database.
    async fn checkpoints(&self, keys: &[PublicKey]) -> Result<Vec<Checkpoint>, Stop> {
        let sql = "SELECT number, block, rows, at, note FROM audit_checkpoints WHERE number > $1 ORDER BY number LIMIT $2";
        let mut checkpoints: Vec<Checkpoint> = Vec::new();
        loop {
            let after = checkpoints.last().map_or(0, |last| last.number);
            let rows = self
                .pool
                .run(async |client| {
                    Ok(client.query_typed(sql, &[(&after, Type::INT8), (&NOTES, Type::INT8)]).await?)
                })
                .await?;
            if rows.is_empty() {
                return Ok(checkpoints);
            }
            for row in &rows {
                let expected = checkpoints.last().map_or(1, |last| last.number + 1);
                checkpoints.push(checkpoint(row, expected, keys)?);
            }
        }
    }

    /// No row outside of the blocks, and nothing recorded that is not in the ledger.
    async fn nothing_beside(&self, checked: Checked) -> Result<(), Stop> {
        // Only blocks that came since may have rows beyond those that were checked.
        let sql = "SELECT l.seq FROM audit_ledger l \
                   WHERE (l.seq < 1 OR l.seq > $1) \
                     AND NOT EXISTS (SELECT FROM audit_blocks b \
                                     WHERE b.number > $2 AND b.first <= l.seq AND b.first + b.count > l.seq) \
                   ORDER BY l.seq LIMIT 1";
        let Checked { rows, blocks, .. } = checked;
        let parameters: [Parameter<'_>; 2] = [(&rows, Type::INT8), (&blocks, Type::INT8)];
        let stray = self.pool.run(async |client| Ok(client.query_typed_opt(sql, &parameters).await?)).await?;
        if let Some(row) = stray {
            let seq = row.try_get("seq").map_err(Error::from)?;
            let fault =
                Fault { row: Some(seq), block: None, what: "the row was inserted: it is in no block".into() };
            return Err(fault.into());
        }
        self.no_block_before().await?;
        self.nothing_left_out(checked).await
    }

    async fn no_block_before(&self) -> Result<(), Stop> {
        let sql = "SELECT number FROM audit_blocks WHERE number < 1 ORDER BY number LIMIT 1";
        let before = self.pool.run(async |client| Ok(client.query_typed_opt(sql, &[]).await?)).await?;
        if let Some(row) = before {
            let number = row.try_get("number").map_err(Error::from)?;
            let what = "the block was inserted: the first one is number 1".into();
            return Err(Fault { row: None, block: Some(number), what }.into());
        }
        Ok(())
    }

    async fn nothing_left_out(&self, checked: Checked) -> Result<(), Stop> {
        let newest = "SELECT coalesce(max(seq), 0) FROM audit_inbox";
        let newest: i64 =
            self.pool.run(async |client| Ok(client.query_typed_one(newest, &[]).await?.try_get(0)?)).await?;
        // The bounds are said twice, so that both indexes are read once from here to there.
        let sql = "SELECT i.event_id::text FROM audit_inbox i \
                   WHERE i.seq >= $1 AND i.seq <= $2 \
                     AND NOT EXISTS ( \
                         SELECT FROM audit_ledger l WHERE l.inbox = i.seq AND l.inbox >= $1 AND l.inbox <= $2) \
                     AND NOT EXISTS (SELECT FROM audit_pending p WHERE p.seq = i.seq) \
                   ORDER BY i.seq LIMIT 1";
        let mut after = i64::MIN;
        while let Some(first) = self.inbox_after(after).await?.filter(|first| *first <= newest) {
            after = first.saturating_add(INBOX_ROWS - 1);
            let parameters: [Parameter<'_>; 2] = [(&first, Type::INT8), (&after, Type::INT8)];
            let left_out =
                self.pool.run(async |client| Ok(client.query_typed_opt(sql, &parameters).await?)).await?;
            if let Some(row) = left_out {
                let id: String = row.try_get(0).map_err(Error::from)?;
                let what = format!(
                    "the event {id} was recorded and is not in the ledger: it was cut off, or left out"
                );
                return Err(Fault { row: Some(checked.rows + 1), block: None, what }.into());
            }
        }
        Ok(())
    }

    /// The next number that is there: whoever writes may have left out any number of them.
    async fn inbox_after(&self, after: i64) -> Result<Option<i64>, Failure> {
        let sql = "SELECT min(seq) FROM audit_inbox WHERE seq > $1";
        let first = self
            .pool
            .run(async |client| Ok(client.query_typed_one(sql, &[(&after, Type::INT8)]).await?.try_get(0)?))
            .await?;
        Ok(first)
    }
}

fn inbox_numbers<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Result<Vec<i64>, Error> {
    Ok(rows.into_iter().map(|row| row.try_get("inbox")).collect::<Result<_, _>>()?)
}

fn checkpoint(row: &Row, expected: i64, keys: &[PublicKey]) -> Result<Checkpoint, Stop> {
    let (number, note): (i64, &str) =
        (row.try_get("number").map_err(Error::from)?, row.try_get("note").map_err(Error::from)?);
    if number != expected {
        return Err(Fault::whole(format!("checkpoint {expected} is missing")).into());
    }
    let not_as_it_was =
        |why: NoteFault| Fault::whole(format!("checkpoint {number} is not as it was signed: {why}"));
    let opened = Checkpoint::open(note, keys).map_err(not_as_it_was)?;
    if let Some(fault) = opened.fault {
        return Err(not_as_it_was(fault).into());
    }
    let said = opened.checkpoint;
    if said.number != number {
        let what =
            format!("checkpoint {number} was swapped: the note in its place is checkpoint {}", said.number);
        return Err(Fault::whole(what).into());
    }
    // A time without end cannot be read.
    let repeats = row.try_get("block").is_ok_and(|block: i64| block == said.block)
        && row.try_get("rows").is_ok_and(|rows: i64| rows == said.rows)
        && row.try_get("at").is_ok_and(|at: Timestamp| at == said.at);
    if repeats {
        Ok(said)
    } else {
        let what = format!("a column of checkpoint {number} was changed: its note says something else");
        Err(Fault::whole(what).into())
    }
}

/// Those of the checkpoints kept elsewhere that are not in the database.
fn compare_outside(
    kept: &[Checkpoint],
    keys: &[PublicKey],
    outside: &[String],
) -> Result<Vec<Checkpoint>, Fault> {
    let last = outside.len().saturating_sub(1);
    let mut missing = Vec::new();
    for (index, note) in outside.iter().enumerate() {
        let opened = match Checkpoint::open(note, keys) {
            Ok(opened) => opened,
            // What a crash has cut at the end of the file.
            Err(NoteFault::Form) if index == last => continue,
            Err(fault) => {
                return Err(Fault::whole(format!("note {} of those kept outside: {fault}", index + 1)));
            }
        };
        let (said, number) = (opened.checkpoint, opened.checkpoint.number);
        if let Some(fault) = opened.fault {
            return Err(Fault::whole(format!("checkpoint {number} of those kept outside: {fault}")));
        }
        match usize::try_from(number - 1).ok().and_then(|place| kept.get(place)) {
            Some(kept) if *kept == said => {}
            Some(_) => {
                let what =
                    format!("checkpoint {number} in the database is another than the one kept outside");
                return Err(Fault::whole(what));
            }
            None => missing.push(said),
        }
    }
    Ok(missing)
}
