//! pg-user-api's registry: the table `db_registry` of an `SQLite` file.
//!
//! Opened for reading only, beside a pg-user-api that may be running on it. `SQLite` is compiled in.

use std::path::Path;
use std::time::Duration;

use rolecall_api::registry::RowFault;
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Map, Value, json};

use super::{MAX_ROWS, Rows, Unreadable, shown, take, too_many};

/// What every `SQLite` file begins with ("Database File Format", 1.3).
pub const MAGIC: &[u8; 16] = b"SQLite format 3\0";

const TABLE: &str = "db_registry";
/// The columns without which it is no registry; `notes` may be missing.
const NEEDED: [&str; 5] = ["env", "db_name", "hostname", "port", "active"];
/// How long a pg-user-api that writes at this moment is waited for.
const BUSY: Duration = Duration::from_secs(5);
/// The longest text or blob that is read. Nothing that makes a target is nearly as long.
const MAX_CELL: i32 = 1024 * 1024;

pub fn read(path: &Path) -> Result<Rows, Unreadable> {
    let refused =
        |error: rusqlite::Error| Unreadable(format!("SQLite cannot read it: {}", shown(&error.to_string())));
    let connection = open(path).map_err(refused)?;
    let columns = columns(&connection).map_err(refused)?;
    if columns.is_empty() {
        return Err(Unreadable(format!("it has no table {TABLE}")));
    }
    let missing: Vec<_> =
        NEEDED.iter().filter(|needed| !columns.iter().any(|column| column == *needed)).copied().collect();
    if !missing.is_empty() {
        return Err(Unreadable(format!("its table {TABLE} has no column {}", missing.join(", "))));
    }
    let has_notes = columns.iter().any(|column| column == "notes");
    rows(&connection, has_notes).map_err(refused)?.ok_or_else(too_many)
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(BUSY)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_CELL)?;
    // The schema is somebody else's: it calls no functions, and pages that are broken are noticed.
    connection
        .execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA query_only = ON;")?;
    Ok(connection)
}

/// The columns of the table in lower case; none if there is no such table. A view is no table: it could be a query
/// without an end.
fn columns(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let is_table = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE \
                    AND sql NOT LIKE 'CREATE VIRTUAL%'";
    let count: i64 = connection.query_row(is_table, [TABLE], |row| row.get(0))?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare("SELECT lower(name) FROM pragma_table_info(?1)")?;
    let names = statement.query_map([TABLE], |row| row.get(0))?;
    names.collect()
}

/// `None`: more than are read.
fn rows(connection: &Connection, has_notes: bool) -> rusqlite::Result<Option<Rows>> {
    let notes = if has_notes { ", notes" } else { "" };
    let sql = format!("SELECT rowid, {}{notes} FROM {TABLE} ORDER BY rowid LIMIT ?1", NEEDED.join(", "));
    let mut statement = connection.prepare(&sql)?;
    let names: Vec<String> = statement.column_names().map(str::to_lowercase).collect();
    let mut found = statement.query([i64::try_from(MAX_ROWS).unwrap_or(i64::MAX).saturating_add(1)])?;
    let (mut rows, mut faults, mut count) = (Vec::new(), Vec::new(), 0);
    while let Some(row) = found.next()? {
        count += 1;
        if count > MAX_ROWS {
            return Ok(None);
        }
        let number = row.get::<_, i64>(0)?.unsigned_abs();
        let mut fields = Map::new();
        let before = faults.len();
        for (place, name) in names.iter().enumerate().skip(1) {
            match cell(name, row.get_ref(place)?) {
                Ok(value) => drop(fields.insert(name.clone(), value)),
                Err(reason) => faults.push(RowFault {
                    row: number,
                    target: None,
                    field: shown(name),
                    reason: reason.to_owned(),
                }),
            }
        }
        if faults.len() == before {
            rows.push((number, fields));
        }
    }
    let mut taken = take(rows);
    taken.faults.extend(faults);
    Ok(Some(taken))
}

/// `SQLite`'s columns hold what was put into them, whatever their type says.
fn cell(name: &str, value: ValueRef<'_>) -> Result<Value, &'static str> {
    match (name, value) {
        ("notes", ValueRef::Null) => Ok(json!("")),
        ("active", ValueRef::Integer(0 | 1)) => Ok(json!(value == ValueRef::Integer(1))),
        ("active", _) => Err("must be 0 or 1"),
        (_, ValueRef::Null) => Err("is required"),
        (_, ValueRef::Integer(number)) => Ok(json!(number)),
        (_, ValueRef::Real(number)) => Ok(json!(number)),
        (_, ValueRef::Text(bytes)) => std::str::from_utf8(bytes).map(Value::from).map_err(|_| "is not UTF-8"),
        (_, ValueRef::Blob(_)) => Err("must be text, and is a blob"),
    }
}
