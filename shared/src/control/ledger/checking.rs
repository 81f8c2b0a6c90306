//! Rows of the ledger that are at hand, checked: work for a thread of its own, which waits for nothing.

use std::collections::HashMap;

use tokio_postgres::Row;
use uuid::Uuid;

use super::super::error::Error;
use super::sequencing::hash;
use super::walking::Block;
use crate::audit::{Checker, Entry, Fault, Header, SeenRow};

/// What is read of a row.
pub(super) const COLUMNS: &str =
    "seq, leaf, body, event, at, account, ticket, env, database, host, role, inbox";

const OTHER_COLUMN: &str = "a column was changed: searching for the row finds something else than it says";

/// What is read and checked at once.
pub(super) struct Part {
    /// Some blocks that follow each other.
    pub blocks: Vec<Block>,
    /// The events that their rows were made from, as far as they are there, by their numbers in the inbox.
    pub recorded: HashMap<i64, Uuid>,
}

/// What ends the checking.
pub(super) enum Found {
    Fault(Fault),
    /// One of the rows was changed together with its hash. Which one, the rows themselves do not tell.
    OtherRoot {
        header: Box<Header>,
        rows: Vec<Row>,
        seen: Vec<SeenRow>,
    },
    Unreadable(Error),
}

impl From<Fault> for Found {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Error> for Found {
    fn from(error: Error) -> Self {
        Self::Unreadable(error)
    }
}

impl Part {
    /// Hands the checker back, which has gone on by these blocks.
    pub(super) fn check(self, mut checker: Checker) -> Result<Checker, Found> {
        for Block { header, hash, rows } in self.blocks {
            checker.header(&header, hash)?;
            let seen = rows.iter().map(|row| seen_row(row, &self.recorded));
            let seen: Vec<SeenRow> = seen.collect::<Result<_, _>>()?;
            checker.rows(&header, &seen)?;
            if !Checker::is_root(&header, &seen) {
                return Err(Found::OtherRoot { header: Box::new(header), rows, seen });
            }
            checker.pass(&header)?;
        }
        Ok(checker)
    }
}

fn seen_row(row: &Row, recorded: &HashMap<i64, Uuid>) -> Result<SeenRow, Error> {
    Ok(SeenRow::new(row.try_get("seq")?, row.try_get("body")?, hash(row, "leaf")?, |entry| {
        // A time without end cannot be read.
        Columns::read(row, recorded)
            .map_or_else(|_| Some(OTHER_COLUMN.to_owned()), |columns| columns.against(entry))
    }))
}

/// What the database repeats of a row.
struct Columns<'a> {
    recorded: Option<Uuid>,
    event: &'a str,
    at: jiff::Timestamp,
    account: &'a str,
    ticket: Option<Uuid>,
    texts: [Option<&'a str>; 4],
}

impl<'a> Columns<'a> {
    fn read(row: &'a Row, recorded: &HashMap<i64, Uuid>) -> Result<Self, Error> {
        Ok(Self {
            recorded: recorded.get(&row.try_get("inbox")?).copied(),
            event: row.try_get("event")?,
            at: row.try_get("at")?,
            account: row.try_get("account")?,
            ticket: row.try_get("ticket")?,
            texts: [
                row.try_get("env")?,
                row.try_get("database")?,
                row.try_get("host")?,
                row.try_get("role")?,
            ],
        })
    }

    fn against(&self, entry: &Entry) -> Option<String> {
        if self.recorded != Some(entry.id) {
            return Some("the row was inserted: no such event was recorded".to_owned());
        }
        let texts = [&entry.env, &entry.database, &entry.host, &entry.role].map(|text| text.as_deref());
        let same = self.event == entry.event
            && self.at == entry.at
            && self.account == entry.account
            && self.ticket == entry.ticket
            && self.texts == texts;
        (!same).then(|| OTHER_COLUMN.to_owned())
    }
}
