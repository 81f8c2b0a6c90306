//! What is shown. Coloured on a terminal unless `NO_COLOR` is set (no-color.org), plain otherwise.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is a command for people")]

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU32, Ordering};

use rolecall_tests::Answer;
use serde_json::Value;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const CYAN: &str = "36";

/// The longest line of JSON that is shown.
const WIDTH: usize = 200;

/// Fields that are shown first, in this order, as people would write them; `serde_json` sorts by name.
const ORDER: [&str; 13] = [
    "operation",
    "kind",
    "env",
    "database",
    "servername",
    "username",
    "env_prefix",
    "hostname",
    "port",
    "ticket",
    "state",
    "outcome",
    "user",
];

/// The terminal, and how many checks there were.
#[derive(Debug)]
pub struct Screen {
    is_coloured: bool,
    steps: AtomicU32,
    passed: AtomicU32,
    failed: AtomicU32,
}

impl Screen {
    pub fn new() -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_coloured = std::io::stdout().is_terminal() && !no_color;
        Self { is_coloured, steps: 0.into(), passed: 0.into(), failed: 0.into() }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.is_coloured { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub fn title(&self, text: &str) {
        println!("\n{}\n", self.paint(BOLD, text));
    }

    /// Something of the set-up is done.
    pub fn done(&self, what: &str, detail: &str) {
        println!("  {} {what} {}", self.paint(GREEN, "✓"), self.paint(DIM, detail));
    }

    pub fn error(&self, text: &str) {
        eprintln!("{} {text}", self.paint(RED, "error:"));
    }

    /// The next numbered step.
    pub fn step(&self, text: &str) {
        let number = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
        println!("\n{}", self.paint(BOLD, &format!("{number:>2}  {text}")));
    }

    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) {
        let body =
            body.map(|body| format!(" {}", self.paint(DIM, &short(&ordered(body))))).unwrap_or_default();
        println!("    {} {}{body}", self.paint(CYAN, "→"), self.paint(CYAN, &format!("{method} {path}")));
    }

    /// The status and those fields of the body that the step is about.
    pub fn answer(&self, answer: &Answer, fields: &[&str]) {
        let shown: serde_json::Map<_, _> = fields
            .iter()
            .map(|field| ((*field).to_owned(), answer.at(field).clone()))
            .filter(|(_, value)| !value.is_null())
            .collect();
        // A refusal that nobody expected says more than the fields of a success.
        let shown = if shown.is_empty() { answer.body.clone() } else { Value::Object(shown) };
        let shown = if shown.is_null() || shown == "" { String::new() } else { short(&ordered(&shown)) };
        println!("    {} {} {}", self.paint(CYAN, "←"), answer.status, self.paint(DIM, &shown));
    }

    /// The status, and words about a body that is too long to be shown.
    pub fn answer_in_words(&self, answer: &Answer, words: &str) {
        println!("    {} {} {}", self.paint(CYAN, "←"), answer.status, self.paint(DIM, words));
    }

    /// Something that happens besides HTTP, such as a log-in.
    pub fn act(&self, text: &str) {
        println!("    {} {text}", self.paint(CYAN, "$"));
    }

    /// Whether something is as it should be.
    pub fn check(&self, is_so: bool, what: &str) {
        let (count, mark) = if is_so {
            (&self.passed, self.paint(GREEN, "✓"))
        } else {
            (&self.failed, self.paint(RED, "✗"))
        };
        count.fetch_add(1, Ordering::Relaxed);
        let text = if is_so { what.to_owned() } else { self.paint(RED, what) };
        println!("      {mark} {text}");
    }

    /// Rows under a line of headings, in columns as wide as they must be.
    pub fn table(&self, headings: &[&str], rows: &[Vec<String>]) {
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(String::len);
            cells.chain([headings[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..headings.len()).map(width).collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        println!("      {}", self.paint(DIM, &line(&mut headings.iter().copied())));
        for row in rows {
            println!("      {}", line(&mut row.iter().map(String::as_str)));
        }
    }

    /// How many checks passed and failed.
    pub fn score(&self) -> (u32, u32) {
        (self.passed.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }
}

pub fn line(text: &str) {
    println!("{text}");
}

/// JSON in one line.
fn ordered(value: &Value) -> String {
    let Some(object) = value.as_object() else { return value.to_string() };
    let rank = |name: &str| ORDER.iter().position(|known| *known == name).unwrap_or(ORDER.len());
    let mut members: Vec<_> = object.iter().collect();
    members.sort_by_key(|(name, _)| rank(name));
    let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", members.join(","))
}

fn short(text: &str) -> String {
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
