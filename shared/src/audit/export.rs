//! Rows for people and programs: one JSON array, lines of JSON, or CSV. Takes one row after the other and keeps none.

use std::str::FromStr;

use super::entry::{Entry, EntryFault};

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One array.
    Json,
    /// One row a line, each as it is hashed.
    Ndjson,
    /// RFC 4180, with a line of names.
    Csv,
}

impl Format {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Json, Self::Ndjson, Self::Csv];

    /// As it is asked for.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.iter().copied().find(|format| format.as_str() == text);
        named.ok_or("must be `json`, `ndjson` or `csv`")
    }
}

/// The columns of the CSV, in their order.
const COLUMNS: [&str; 18] = [
    "seq",
    "event",
    "at",
    "account",
    "owner",
    "address",
    "via",
    "ticket",
    "env",
    "database",
    "host",
    "operation",
    "kind",
    "role",
    "outcome",
    "detail",
    "recorded_at",
    "id",
];

/// Writes an export.
#[derive(Debug)]
pub struct Writer {
    format: Format,
    is_first: bool,
}

impl Writer {
    /// For rows in this form.
    pub fn new(format: Format) -> Self {
        Self { format, is_first: true }
    }

    /// What stands before the rows.
    pub fn begin(&self, out: &mut Vec<u8>) {
        match self.format {
            Format::Json => out.extend(b"["),
            Format::Ndjson => {}
            Format::Csv => record(out, &COLUMNS.map(ToOwned::to_owned)),
        }
    }

    /// A row, by the text that is hashed.
    pub fn row(&mut self, out: &mut Vec<u8>, text: &str) -> Result<(), EntryFault> {
        match self.format {
            Format::Json => {
                out.extend_from_slice(if self.is_first { b"\n" } else { b",\n" });
                out.extend_from_slice(text.as_bytes());
            }
            Format::Ndjson => {
                out.extend_from_slice(text.as_bytes());
                out.push(b'\n');
            }
            Format::Csv => record(out, &cells(Entry::parse(text)?).map(|cell| harmless(&cell))),
        }
        self.is_first = false;
        Ok(())
    }

    /// What stands behind them: an export without it was cut.
    pub fn end(&self, out: &mut Vec<u8>) {
        match self.format {
            Format::Json => out.extend(b"\n]\n"),
            Format::Ndjson | Format::Csv => {}
        }
    }
}

fn cells(row: Entry) -> [String; COLUMNS.len()] {
    let text = Option::unwrap_or_default;
    [
        row.seq.to_string(),
        row.event,
        row.at.to_string(),
        row.account,
        row.owner,
        text(row.address),
        text(row.via),
        text(row.ticket.map(|ticket| ticket.to_string())),
        text(row.env),
        text(row.database),
        text(row.host),
        text(row.operation),
        text(row.kind),
        text(row.role),
        text(row.outcome),
        row.detail.to_string(),
        row.recorded_at.to_string(),
        row.id.to_string(),
    ]
}

/// A spreadsheet takes a cell that begins like this for a formula, and runs it; with an apostrophe before it, it is
/// text (OWASP, "CSV Injection").
fn harmless(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

fn record(out: &mut Vec<u8>, cells: &[String; COLUMNS.len()]) {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(&mut *out);
    // Into memory, with as many cells as every other record has: nothing of which writing could fail.
    _ = writer.write_record(cells);
    _ = writer.flush();
}

#[cfg(test)]
mod tests {
    use super::super::entry::example;
    use super::*;

    fn export(format: Format, rows: &[Entry]) -> String {
        let (mut writer, mut out) = (Writer::new(format), Vec::new());
        writer.begin(&mut out);
        for row in rows {
            writer.row(&mut out, &row.to_text()).unwrap();
        }
        writer.end(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_form_reads_back() {
        let rows = [example(1), example(2)];
        for count in 0..=2 {
            let rows = &rows[..count];
            let json: Vec<Entry> = serde_json::from_str(&export(Format::Json, rows)).unwrap();
            assert_eq!(json, rows);
            let lines = export(Format::Ndjson, rows);
            let lines: Vec<_> = lines.lines().map(|line| Entry::parse(line).unwrap()).collect();
            assert_eq!(lines, rows);
            let text = export(Format::Csv, rows);
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            assert_eq!(reader.headers().unwrap(), &COLUMNS[..]);
            let records: Vec<_> = reader.records().map(Result::unwrap).collect();
            assert_eq!(records.len(), count);
            for (record, row) in records.iter().zip(rows) {
                assert_eq!(record, &cells(row.clone())[..]);
            }
        }
    }

    #[test]
    fn no_cell_begins_like_a_formula() {
        for bad in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"] {
            let row = Entry { account: bad.into(), role: Some(bad.into()), ..example(1) };
            let text = export(Format::Csv, &[row]);
            let record = csv::Reader::from_reader(text.as_bytes()).into_records().next().unwrap().unwrap();
            for cell in &record {
                assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝']), "{cell:?}");
            }
            assert_eq!(&record[3], format!("'{bad}"));
        }
        assert_eq!(harmless("a=1"), "a=1");
    }

    #[test]
    fn quotes_commas_and_line_feeds_stay_in_their_cell() {
        let row = Entry { role: Some("a\"b,c\nd".into()), ..example(1) };
        let text = export(Format::Csv, &[row]);
        assert!(text.contains("\"a\"\"b,c\nd\""), "{text}");
        assert_eq!(text.matches("\r\n").count(), 2);
    }
}
