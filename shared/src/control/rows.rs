//! Names read back from rows. What does not parse any more says so by table and column, and is not left out.

use std::error::Error as StdError;

use tokio_postgres::Row;

use super::error::Error;
use crate::domain::{DatabaseName, Env, HostKey, InvalidPattern, Pattern, TargetKey};

/// A row that another version of Rolecall, or somebody's hand, wrote.
#[derive(Debug, thiserror::Error)]
#[error("the column {column} of {table} cannot be read")]
pub(super) struct UnreadableRow {
    table: &'static str,
    column: &'static str,
    #[source]
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl UnreadableRow {
    /// Says which column it is.
    pub(super) fn new(table: &'static str, column: &'static str) -> Self {
        Self { table, column, cause: None }
    }

    /// Says also why. The cause must not repeat the value.
    pub(super) fn because(
        table: &'static str,
        column: &'static str,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { table, column, cause: Some(cause.into()) }
    }
}

/// A target's key.
pub(super) fn target_key(table: &'static str, env: &str, database: &str) -> Result<TargetKey, UnreadableRow> {
    Ok(TargetKey {
        env: Env::from_stored(env).map_err(|fault| UnreadableRow::because(table, "env", fault))?,
        database: DatabaseName::from_stored(database)
            .map_err(|fault| UnreadableRow::because(table, "database", fault))?,
    })
}

/// A host's key from the columns `hostname` and `port`.
pub(super) fn host_key(table: &'static str, row: &Row) -> Result<HostKey, Error> {
    let port = u16::try_from(row.try_get::<_, i32>("port")?)
        .map_err(|fault| UnreadableRow::because(table, "port", fault))?;
    Ok(HostKey::new(row.try_get("hostname")?, port)
        .map_err(|fault| UnreadableRow::because(table, "hostname", fault))?)
}

/// The database of the host lock from the column `lock_database`.
pub(super) fn lock_database(table: &'static str, row: &Row) -> Result<DatabaseName, Error> {
    Ok(DatabaseName::from_stored(row.try_get("lock_database")?)
        .map_err(|fault| UnreadableRow::because(table, "lock_database", fault))?)
}

/// A list of patterns of rights.
pub(super) fn patterns(
    table: &'static str,
    column: &'static str,
    texts: Vec<&str>,
) -> Result<Vec<Pattern>, UnreadableRow> {
    let parsed: Result<Vec<Pattern>, InvalidPattern> = texts.into_iter().map(str::parse).collect();
    parsed.map_err(|fault| UnreadableRow::because(table, column, Box::new(fault)))
}
