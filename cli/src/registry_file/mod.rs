//! Files with targets: pg-user-api's `SQLite` registry, CSV and JSON. From a file to rows of fields, and for CSV back.
//!
//! Reads what somebody else wrote: nothing in it is trusted, everything is bounded ([`MAX_BYTES`], [`MAX_ROWS`]), a row
//! that cannot be read is told with its number, and a file that cannot be is refused as a whole. Decides nothing about
//! targets: whether the fields make one is for `rolecall_api::target_file` to say.

mod csv;
mod json;
mod sqlite;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rolecall_api::registry::RowFault;
use serde_json::{Map, Value};

pub use self::csv::write as write_csv;

/// The longest CSV or JSON that is read. An `SQLite` file may be larger: only its rows are read, and pg-user-api keeps
/// its log in the same file.
pub const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// The most rows of a file.
pub const MAX_ROWS: usize = 10_000;

/// The forms of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// pg-user-api's `pg_registry.db`.
    Sqlite,
    /// With a line of names.
    Csv,
    /// A list, or an object with the list as `targets`, or pg-user-api's answer to GET /api/v1/registry.
    Json,
}

/// A row of a file.
#[derive(Debug, PartialEq)]
pub struct Row {
    /// In `SQLite` the row's id, in CSV its line, in JSON its place in the list, from 1.
    pub number: u64,
    /// The fields of a target, `env` and `database` among them.
    pub fields: Map<String, Value>,
    /// What was read otherwise than it stands there.
    pub remark: Option<&'static str>,
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct Rows {
    pub rows: Vec<Row>,
    /// Rows that cannot be read.
    pub faults: Vec<RowFault>,
}

/// Why a file cannot be read at all. Repeats nothing of it but names of columns.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// Reads a file; `-` is standard input. The outer error is the machine's, the inner one the file's.
pub fn read(path: &Path, format: Option<Format>) -> io::Result<Result<Rows, Unreadable>> {
    if path == Path::new("-") {
        return read_text(io::stdin().lock(), format);
    }
    let mut file = File::open(path)?;
    let mut head = [0; sqlite::MAGIC.len()];
    let is_sqlite = file.read_exact(&mut head).is_ok() && head == *sqlite::MAGIC;
    match format {
        Some(Format::Sqlite) if !is_sqlite => {
            Ok(Err(Unreadable("it is no SQLite database: it does not begin like one".to_owned())))
        }
        Some(Format::Sqlite) => Ok(sqlite::read(path)),
        None if is_sqlite => Ok(sqlite::read(path)),
        Some(Format::Csv | Format::Json) | None => read_text(File::open(path)?, format),
    }
}

fn read_text(reader: impl Read, format: Option<Format>) -> io::Result<Result<Rows, Unreadable>> {
    let mut bytes = Vec::new();
    reader.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Ok(Err(Unreadable(format!("it is longer than {MAX_BYTES} bytes"))));
    }
    // What Excel and PowerShell put before UTF-8.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    Ok(match (format, first) {
        (Some(Format::Sqlite), _) => {
            Err(Unreadable("SQLite is read from a file, not from standard input".to_owned()))
        }
        (None, None) => Err(Unreadable("it is empty".to_owned())),
        (Some(Format::Json), _) | (None, Some(b'{' | b'[')) => json::read(bytes),
        (Some(Format::Csv), _) | (None, Some(_)) => csv::read(bytes),
    })
}

fn too_many() -> Unreadable {
    Unreadable(format!("it has more than {MAX_ROWS} rows"))
}

/// Somebody else's text, as it may stand on a terminal.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(200).collect();
    short.escape_debug().to_string()
}

/// The forms of pg-user-api become ours: its names of columns, its 0 and 1, host names in any case (DNS does not
/// distinguish them, and one host has one queue).
fn normalise(number: u64, mut fields: Map<String, Value>) -> Row {
    for column in ["id", "created_at"] {
        fields.remove(column);
    }
    if let Some(database) = fields.remove("db_name") {
        fields.entry("database").or_insert(database);
    }
    if let Some(active) = fields.get_mut("active")
        && let Some(number @ (0 | 1)) = active.as_u64()
    {
        *active = Value::Bool(number == 1);
    }
    let mut remark = None;
    if let Some(Value::String(hostname)) = fields.get_mut("hostname") {
        let lower = hostname.to_ascii_lowercase();
        if lower != *hostname {
            *hostname = lower;
            remark = Some("the host name is read in lower case");
        }
    }
    Row { number, fields, remark }
}

/// A password in a file would be read by whoever reads the file; a reference or a sealed one is not.
fn refuse_password(row: &Row) -> Option<RowFault> {
    let has_password = row.fields.get("login").is_some_and(|login| login.get("password").is_some());
    has_password.then(|| RowFault {
        row: row.number,
        target: None,
        field: "login.password".to_owned(),
        reason: "does not belong into a file; state password_ref, or use `rolecall targets set` afterwards"
            .to_owned(),
    })
}

/// Takes rows over, at most [`MAX_ROWS`].
fn take(rows: impl IntoIterator<Item = (u64, Map<String, Value>)>) -> Rows {
    let mut taken = Rows::default();
    for (number, fields) in rows {
        let row = normalise(number, fields);
        match refuse_password(&row) {
            Some(fault) => taken.faults.push(fault),
            None => taken.rows.push(row),
        }
    }
    taken
}

#[cfg(test)]
mod tests;
