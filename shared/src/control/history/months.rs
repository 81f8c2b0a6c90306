//! The months of history that there are.

use jiff::civil::Date;
use tokio_postgres::Row;

use super::super::Control;
use super::super::error::Error;
use super::super::rows::UnreadableRow;
use super::archives::{self, Archive};
use crate::domain::{Failure, Period};

/// A month, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Month {
    /// Which.
    pub period: Period,
    /// How many bytes it takes in the control database, indexes included; none if it is not there.
    pub bytes_here: Option<u64>,
    /// Its archive, if there is one.
    pub archive: Option<Archive>,
}

impl Control {
    /// Makes the month of now and so many that follow, as far as they are not there; answers how many it made. What would
    /// end in a month that was not made is kept all the same.
    pub async fn make_months(&self, ahead: u8) -> Result<usize, Failure> {
        let ahead = i32::from(ahead);
        let made: i32 = self
            .pool
            .run(async |client| {
                let statement = client.prepare_cached("SELECT history_make_months($1)").await?;
                Ok(client.query_one(&statement, &[&ahead]).await?.try_get(0)?)
            })
            .await?;
        Ok(usize::try_from(made).unwrap_or_default())
    }

    /// All of them, oldest first.
    pub async fn list_months(&self) -> Result<Vec<Month>, Failure> {
        let rows = self.pool.run(async |client| Ok(client.query(MONTHS, &[]).await?)).await?;
        Ok(rows.iter().map(read).collect::<Result<_, Error>>()?)
    }
}

pub(super) const MONTHS: &str = "\
    SELECT coalesce(here.period, a.period) AS period, here.bytes AS bytes_here, \
           file, rows, a.bytes, sha256, archived_at, archived_by, dropped_at \
    FROM ( \
        SELECT to_date(substr(c.relname, 9), 'YYYY_MM') AS period, pg_total_relation_size(c.oid) AS bytes \
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
        WHERE i.inhparent = 'history'::regclass AND c.relname ~ '^history_[0-9]{4}_[0-9]{2}$' \
    ) here \
    FULL JOIN history_archives a ON a.period = here.period \
    ORDER BY 1";

/// A row of [`MONTHS`].
pub(super) fn read(row: &Row) -> Result<Month, Error> {
    let archive = row.try_get::<_, Option<&str>>("file")?.is_some();
    let bytes_here: Option<i64> = row.try_get("bytes_here")?;
    let bytes_here = bytes_here.map(u64::try_from).transpose();
    Ok(Month {
        period: archives::period(row.try_get::<_, Date>("period")?)?,
        bytes_here: bytes_here.map_err(|fault| UnreadableRow::because("history", "bytes", fault))?,
        archive: archive.then(|| archives::read(row)).transpose()?,
    })
}
