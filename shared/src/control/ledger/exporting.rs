//! An export, part by part, in memory that does not grow with it.

use super::super::Control;
use super::reading::EventFilter;
use crate::audit::{Format, Writer};
use crate::domain::Failure;

/// Rows that are read at once.
const ROWS: usize = 2_000;
/// Rows that are looked at at once: where few pass the filter a part must not take longer than other questions may.
const WINDOW: i64 = 50_000;

/// An export that is under way. Oldest first, up to the row that was the newest when it began.
#[derive(Debug)]
pub struct Export {
    control: Control,
    filter: EventFilter,
    writer: Writer,
    after: i64,
    until: i64,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Begins,
    Goes,
    Ended,
}

impl Control {
    /// Begins an export of the rows that pass the filter.
    pub async fn export(&self, filter: EventFilter, format: Format) -> Result<Export, Failure> {
        let until = self.newest_event().await?;
        let writer = Writer::new(format);
        Ok(Export { control: self.clone(), filter, writer, after: 0, until, state: State::Begins })
    }
}

impl Export {
    /// The next part; none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        let mut part = Vec::new();
        match self.state {
            State::Ended => return Ok(None),
            State::Begins => self.writer.begin(&mut part),
            State::Goes => {}
        }
        self.state = State::Goes;
        // An empty part would be taken for the end.
        while self.state == State::Goes && (part.is_empty() || self.after == 0) {
            self.read(&mut part).await?;
        }
        Ok(Some(part).filter(|part| !part.is_empty()))
    }

    async fn read(&mut self, part: &mut Vec<u8>) -> Result<(), Failure> {
        let until = self.until.min(self.after.saturating_add(WINDOW));
        let rows = self.control.export_events(&self.filter, (self.after, until), ROWS).await?;
        for row in &rows {
            self.writer.row(part, &row.text).map_err(Failure::internal)?;
        }
        self.after = rows.last().filter(|_| rows.len() == ROWS).map_or(until, |last| last.seq);
        if self.after >= self.until {
            self.writer.end(part);
            self.state = State::Ended;
        }
        Ok(())
    }
}
