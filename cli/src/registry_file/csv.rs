//! CSV (RFC 4180) with a line of names.
//!
//! A cell that a spreadsheet would take for a formula gets an apostrophe before it when it is written, and loses it
//! when it is read.

use ::csv::{ByteRecord, ReaderBuilder, Trim, Writer};
use rolecall_api::registry::RowFault;
use serde_json::{Map, Value, json};

use super::{MAX_ROWS, Rows, Unreadable, shown, take, too_many};

/// Every column that is written, in this order.
const COLUMNS: [&str; 11] = [
    "env",
    "database",
    "hostname",
    "port",
    "active",
    "notes",
    "sslmode",
    "ca_file",
    "lock_database",
    "login_user",
    "password_ref",
];
/// Those of pg-user-api that are read as well.
const THEIRS: [&str; 3] = ["db_name", "id", "created_at"];

pub fn read(bytes: &[u8]) -> Result<Rows, Unreadable> {
    let mut reader = ReaderBuilder::new().flexible(true).trim(Trim::Headers).from_reader(bytes);
    let refused = |error: &::csv::Error| Unreadable(format!("it is no CSV: {error}"));
    let columns = header(reader.byte_headers().map_err(|error| refused(&error))?)?;
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    let mut lines = Lines { bytes, passed: 0, line: 1 };
    for (count, record) in reader.byte_records().enumerate() {
        if count == MAX_ROWS {
            return Err(too_many());
        }
        let record = record.map_err(|error| refused(&error))?;
        let line = lines.of(record.position().map_or(0, ::csv::Position::byte));
        match fields(&columns, &record) {
            Ok(fields) => rows.push((line, fields)),
            Err((field, reason)) => {
                faults.push(RowFault { row: line, target: None, field: field.to_owned(), reason });
            }
        }
    }
    let mut taken = take(rows);
    taken.faults.extend(faults);
    Ok(taken)
}

/// In which line something stands. The reader's own count is one too low after a line that ends with CR and LF.
struct Lines<'a> {
    bytes: &'a [u8],
    passed: usize,
    line: u64,
}

impl Lines<'_> {
    /// Of a record that begins at this byte, or after the ends of lines there. Records are asked for in their order.
    fn of(&mut self, byte: u64) -> u64 {
        let begin = usize::try_from(byte).unwrap_or(usize::MAX).min(self.bytes.len());
        let rest = &self.bytes[begin..];
        let ends = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = &self.bytes[self.passed.min(begin)..begin + ends];
        self.line += passed.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        self.passed = begin + ends;
        self.line
    }
}

fn header(record: &ByteRecord) -> Result<Vec<&'static str>, Unreadable> {
    let mut columns = Vec::new();
    let mut unknown = Vec::new();
    for name in record {
        let name = String::from_utf8_lossy(name).to_lowercase();
        match COLUMNS.iter().chain(&THEIRS).find(|known| **known == name) {
            Some(known) if columns.contains(known) => {
                return Err(Unreadable(format!("the column {known} stands there twice")));
            }
            Some(known) => columns.push(*known),
            None => unknown.push(shown(&name)),
        }
    }
    let has = |name| columns.contains(&name);
    let mut missing = Vec::new();
    if !has("env") {
        missing.push("env");
    }
    if !has("database") && !has("db_name") {
        missing.push("database");
    }
    if !has("hostname") {
        missing.push("hostname");
    }
    if !missing.is_empty() {
        return Err(Unreadable(format!(
            "it is neither SQLite nor JSON, and as CSV its first line does not name {}",
            missing.join(", ")
        )));
    }
    if unknown.is_empty() {
        return Ok(columns);
    }
    Err(Unreadable(format!(
        "these columns are not known: {}; known are {}",
        unknown.join(", "),
        COLUMNS.join(", ")
    )))
}

fn fields(
    columns: &[&'static str],
    record: &ByteRecord,
) -> Result<Map<String, Value>, (&'static str, String)> {
    if record.len() != columns.len() {
        let reason = format!("has {} cells, and the first line {}", record.len(), columns.len());
        return Err(("", reason));
    }
    let mut fields = Map::new();
    let mut login = Map::new();
    for (column, cell) in columns.iter().zip(record) {
        let text = std::str::from_utf8(cell).map_err(|_| (*column, "is not UTF-8".to_owned()))?;
        let text = without_apostrophe(text);
        match *column {
            "notes" => drop(fields.insert("notes".to_owned(), json!(text))),
            "login_user" | "password_ref" if text.is_empty() => {}
            "login_user" => drop(login.insert("user".to_owned(), json!(text))),
            "password_ref" => drop(login.insert("password_ref".to_owned(), json!(text))),
            column => drop(fields.insert(column.to_owned(), value(column, text)?)),
        }
    }
    if columns.contains(&"login_user") || !login.is_empty() {
        let login = if login.is_empty() { Value::Null } else { Value::Object(login) };
        fields.insert("login".to_owned(), login);
    }
    Ok(fields)
}

/// An empty cell is no value.
fn value(column: &'static str, text: &str) -> Result<Value, (&'static str, String)> {
    match column {
        _ if text.is_empty() => Ok(Value::Null),
        "port" => Ok(text.parse::<u64>().map_or_else(|_| json!(text), Value::from)),
        "active" => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Ok(json!(true)),
            "false" | "0" | "no" => Ok(json!(false)),
            _ => Err((column, "must be true or false".to_owned())),
        },
        _ => Ok(json!(text)),
    }
}

/// Targets as CSV, from their fields.
pub fn write(targets: &[Map<String, Value>]) -> Result<String, ::csv::Error> {
    let mut writer = Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for target in targets {
        let login = |field: &str| target.get("login").and_then(|login| login.get(field));
        writer.write_record(COLUMNS.map(|column| match column {
            "login_user" => text(login("user")),
            "password_ref" => text(login("password_ref")),
            column => text(target.get(column)),
        }))?;
    }
    let bytes = writer.into_inner().map_err(|error| ::csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if may_be_formula(text) => format!("'{text}"),
        Some(Value::String(text)) => text.clone(),
        Some(value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
            value.to_string()
        }
    }
}

/// What spreadsheets take for a formula, and our own apostrophe before such a thing.
fn may_be_formula(text: &str) -> bool {
    let rest = text.trim_start_matches('\'');
    rest.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

fn without_apostrophe(text: &str) -> &str {
    text.strip_prefix('\'').filter(|rest| may_be_formula(rest)).unwrap_or(text)
}
