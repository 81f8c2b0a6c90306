//! A target's own log: when Rolecall's transactions began and ended there, and what they made.
//!
//! A backend writes a line before it does a thing (`statement: COMMIT`) and one after it (`duration: …`), each with one
//! append to one file. So the order of the lines is the order of what happened, finer than their milliseconds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::civil::DateTime;
use regex::Regex;

/// A line of the log, and what its clock said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) line: usize,
    pub(crate) at: DateTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Committed,
    RolledBack,
    /// COMMIT was sent, and the session ended before the server said that it was done.
    Unknown,
}

#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) process: String,
    pub(crate) begin: Moment,
    pub(crate) end: Moment,
    pub(crate) fate: Fate,
    /// The roles it made.
    pub(crate) created: BTreeSet<String>,
}

/// A transaction under way.
struct Open {
    begin: Moment,
    created: BTreeSet<String>,
    /// How it is to end, once that was sent.
    ending: Option<Fate>,
}

/// All transactions of Rolecall's sessions, in the order in which they began.
pub(crate) fn transactions(path: &Path) -> Vec<Transaction> {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let text = String::from_utf8_lossy(&text);
    let mut reader = Reader::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let mut message = line.to_owned();
        while let Some((_, more)) = lines.next_if(|(_, next)| next.starts_with('\t')) {
            message.push('\n');
            message.push_str(more.trim_start());
        }
        reader.read(number, &message);
    }
    let mut all = reader.done;
    all.sort_by_key(|transaction| transaction.begin.line);
    all
}

struct Reader {
    line: Regex,
    creates: Regex,
    open: BTreeMap<String, Open>,
    done: Vec<Transaction>,
}

impl Reader {
    fn new() -> Self {
        // The stack's log_line_prefix: '%m [%p] %q%u@%d/%a '.
        let line = r"(?s)^(\S+) (\S+) UTC \[(\d+)\] (?:\S*@\S*/(\S*) )?([A-Z]+):  (.*)$";
        Self {
            line: Regex::new(line).unwrap(),
            creates: Regex::new(r#"CREATE ROLE "([^"]+)""#).unwrap(),
            open: BTreeMap::new(),
            done: Vec::new(),
        }
    }

    fn read(&mut self, number: usize, message: &str) {
        let Some(parts) = self.line.captures(message) else { return };
        let at = format!("{}T{}", &parts[1], &parts[2]).parse().expect("%m is a time");
        let (moment, process) = (Moment { line: number, at }, &parts[3]);
        let (level, text) = (&parts[5], &parts[6]);
        if text.starts_with("starting PostgreSQL") {
            for process in self.open.keys().cloned().collect::<Vec<_>>() {
                self.close(&process, moment, Fate::Unknown);
            }
        }
        if parts.get(4).is_none_or(|application| application.as_str() != "rolecall") {
            return;
        }
        if let Some(statement) = text.strip_prefix("statement: ") {
            self.statement(process, moment, statement);
        } else if text.starts_with("duration: ") {
            if let Some(fate) = self.open.get(process).and_then(|open| open.ending) {
                self.end(process, moment, fate);
            }
        } else if level == "FATAL" || text.starts_with("unexpected EOF") || text.starts_with("disconnection")
        {
            self.close(process, moment, Fate::RolledBack);
        }
    }

    fn statement(&mut self, process: &str, moment: Moment, statement: &str) {
        if statement.starts_with("BEGIN") {
            let open = Open { begin: moment, created: BTreeSet::new(), ending: None };
            assert!(self.open.insert(process.to_owned(), open).is_none(), "two BEGINs: line {}", moment.line);
        }
        let Some(open) = self.open.get_mut(process) else { return };
        open.created.extend(self.creates.captures_iter(statement).map(|found| found[1].to_owned()));
        if statement.lines().any(|line| line.trim_end_matches(';') == "COMMIT") {
            open.ending = Some(Fate::Committed);
        } else if statement.lines().any(|line| line.trim_end_matches(';') == "ROLLBACK") {
            open.ending = Some(Fate::RolledBack);
        }
    }

    /// The session is gone. What it was doing was rolled back, unless it was its COMMIT.
    fn close(&mut self, process: &str, moment: Moment, otherwise: Fate) {
        let ending = self.open.get(process).and_then(|open| open.ending);
        let fate = if ending == Some(Fate::Committed) { Fate::Unknown } else { otherwise };
        self.end(process, moment, fate);
    }

    fn end(&mut self, process: &str, moment: Moment, fate: Fate) {
        if let Some(Open { begin, created, .. }) = self.open.remove(process) {
            let process = process.to_owned();
            self.done.push(Transaction { process, begin, end: moment, fate, created });
        }
    }
}
