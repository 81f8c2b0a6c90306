//! The ledger block by block, some blocks at a time, in memory that does not grow with it.

use std::collections::VecDeque;

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::super::Control;
use super::super::error::Error;
use super::sequencing::hash;
use crate::audit::{Hash, Header, MAX_EVENTS};
use crate::domain::Failure;

/// Headers that are read at once.
const HEADERS: i64 = 1_000;
/// Rows that are read at once, more or less.
const ROWS: i64 = 4_000;

/// A block as it stands.
pub(super) struct Block {
    pub header: Header,
    /// The hash that was kept of it.
    pub hash: Hash,
    /// What stands at the places that are its own, if those before it are as they should be.
    pub rows: Vec<Row>,
}

/// A way through the ledger.
pub(super) struct Walk<'a> {
    control: &'a Control,
    columns: &'static str,
    headers: VecDeque<(Header, Hash)>,
    /// The last block and the last row that were handed out.
    at: (i64, i64),
    until: i64,
}

impl<'a> Walk<'a> {
    /// From the beginning up to the block `until`. `columns` are read of each row.
    pub(super) fn new(control: &'a Control, columns: &'static str, until: i64) -> Self {
        Self { control, columns, headers: VecDeque::new(), at: (0, 0), until }
    }

    /// The next blocks; none at the end.
    pub(super) async fn next(&mut self) -> Result<Vec<Block>, Failure> {
        if self.headers.is_empty() {
            self.headers = self.control.headers(self.at.0, self.until).await?.into();
        }
        let (after, mut until) = (self.at.1, self.at.1);
        let mut blocks: Vec<(Header, Hash, i64)> = Vec::new();
        while until - after < ROWS
            && let Some((header, hash)) = self.headers.pop_front()
        {
            // Whatever a header says of itself: no block is larger.
            until += header.count.clamp(0, i64::try_from(MAX_EVENTS).unwrap_or(i64::MAX));
            self.at = (header.number, until);
            blocks.push((header, hash, until));
        }
        if blocks.is_empty() {
            return Ok(Vec::new());
        }
        let mut rows: VecDeque<Row> = self.rows(after, until).await?.into();
        let blocks = blocks.into_iter().map(|(header, hash, last)| {
            let mut own = Vec::new();
            while rows.front().is_some_and(|row| row.try_get::<_, i64>("seq").is_ok_and(|seq| seq <= last)) {
                own.extend(rows.pop_front());
            }
            Block { header, hash, rows: own }
        });
        Ok(blocks.collect())
    }

    async fn rows(&self, after: i64, until: i64) -> Result<Vec<Row>, Failure> {
        let sql =
            format!("SELECT {} FROM audit_ledger WHERE seq > $1 AND seq <= $2 ORDER BY seq", self.columns);
        let rows = self
            .control
            .pool
            .run(async |client| {
                Ok(client.query_typed(&sql, &[(&after, Type::INT8), (&until, Type::INT8)]).await?)
            })
            .await?;
        Ok(rows)
    }
}

impl Control {
    /// The number of the last block; 0 if there is none.
    pub(super) async fn last_block(&self) -> Result<i64, Failure> {
        let sql = "SELECT coalesce(max(number), 0) FROM audit_blocks";
        let last =
            self.pool.run(async |client| Ok(client.query_typed_one(sql, &[]).await?.try_get(0)?)).await?;
        Ok(last)
    }

    /// Headers of the blocks above the first number, up to the second, each with the hash that was kept of it.
    pub(super) async fn headers(&self, after: i64, until: i64) -> Result<Vec<(Header, Hash)>, Failure> {
        let sql = "SELECT number, first, count, root, previous, closed_at, hash FROM audit_blocks \
                   WHERE number > $1 AND number <= $2 ORDER BY number LIMIT $3";
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
            [(&after, Type::INT8), (&until, Type::INT8), (&HEADERS, Type::INT8)];
        let headers = self
            .pool
            .run(async |client| client.query_typed(sql, &parameters).await?.iter().map(header).collect())
            .await?;
        Ok(headers)
    }
}

/// A header and the hash that was kept of it.
pub(super) fn header(row: &Row) -> Result<(Header, Hash), Error> {
    let header = Header {
        number: row.try_get("number")?,
        first: row.try_get("first")?,
        count: i64::from(row.try_get::<_, i32>("count")?),
        root: hash(row, "root")?,
        previous: hash(row, "previous")?,
        closed_at: row.try_get::<_, Timestamp>("closed_at")?,
    };
    Ok((header, hash(row, "hash")?))
}
