//! Checks a bundle line by line, in memory that does not grow with it.

use std::io::{self, BufRead, Read as _};

use super::block::Header;
use super::bundle::{Line, read_line};
use super::checker::{Checked, Checker, Fault, SeenRow};
use super::checkpoint::Checkpoint;
use super::entry::Entry;
use super::merkle::{Hash, leaf};
use super::note::PublicKey;

/// No line is longer: one of 500 hashes has some 24 KiB, and a row the largest request body.
const MAX_LINE_BYTES: u64 = 1 << 24;

/// Reads a bundle to its end and names the first row that is not as it was.
///
/// # Errors
/// When it cannot be read.
pub fn check_bundle(mut bundle: impl BufRead, keys: &[PublicKey]) -> io::Result<Result<Checked, Fault>> {
    let mut state = Reading::default();
    let mut bytes = Vec::new();
    let mut number = 0_u64;
    loop {
        number += 1;
        bytes.clear();
        bundle.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes)?;
        // What is not UTF-8 is another text than was hashed.
        let text = String::from_utf8_lossy(&bytes);
        if text.is_empty() {
            return Ok(Err(Fault::whole("the file was cut: its last line is missing")));
        }
        let read = match read_line(&text) {
            Ok(line) => state.line(line, keys),
            Err(fault) => Err(Fault::whole(fault.to_string())),
        };
        match read {
            Ok(None) => {}
            Ok(Some(checked)) => return Ok(Ok(checked)),
            Err(fault) => {
                return Ok(Err(Fault { what: format!("line {number}: {}", fault.what), ..fault }));
            }
        }
    }
}

#[derive(Default)]
struct Reading {
    has_begun: bool,
    checkpoints: Vec<Checkpoint>,
    checker: Option<Checker>,
    block: Option<(Header, Hash, Vec<Hash>)>,
    rows: Vec<SeenRow>,
}

impl Reading {
    /// The result after the last line.
    fn line(&mut self, line: Line, keys: &[PublicKey]) -> Result<Option<Checked>, Fault> {
        if self.has_begun == matches!(line, Line::Begin) {
            return Err(Fault::whole("the file does not begin as a bundle does"));
        }
        match line {
            Line::Begin => self.has_begun = true,
            Line::Checkpoint(note) => self.checkpoint(&note, keys)?,
            Line::Block(header, hash, leaves) => {
                self.end_block()?;
                self.checker().header(&header, hash)?;
                self.block = Some((header, hash, leaves));
            }
            Line::Row(text) => self.row(text)?,
            Line::End(rows, blocks) => {
                self.end_block()?;
                self.checker();
                let Some(whole) = self.checker.take() else { return Ok(None) };
                let found = whole.finish()?;
                if (found.rows, found.blocks) != (rows, blocks) {
                    let what = "blocks are missing before the end";
                    return Err(Fault::row(found.rows + 1, found.blocks + 1, what));
                }
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn checkpoint(&mut self, note: &str, keys: &[PublicKey]) -> Result<(), Fault> {
        let expected = self.checkpoints.last().map_or(1, |last| last.number + 1);
        let fault = |why: &dyn std::fmt::Display| Fault::whole(format!("checkpoint {expected}: {why}"));
        let opened = Checkpoint::open(note, keys).map_err(|why| fault(&why))?;
        if let Some(why) = opened.fault {
            return Err(fault(&why));
        }
        if opened.checkpoint.number != expected {
            return Err(fault(&format_args!("in its place stands checkpoint {}", opened.checkpoint.number)));
        }
        if self.checker.is_some() {
            return Err(fault(&"it stands behind blocks"));
        }
        self.checkpoints.push(opened.checkpoint);
        Ok(())
    }

    fn row(&mut self, text: String) -> Result<(), Fault> {
        let Some((header, _, leaves)) = &self.block else {
            return Err(Fault::whole("a row stands before the first block"));
        };
        if self.rows.len() > leaves.len() {
            return Err(Fault::row(
                header.last() + 1,
                header.number,
                "the row was inserted: its block has fewer rows",
            ));
        }
        // By its own word if it has one, so that a row that is missing is told from one that was changed.
        let here = header.first + i64::try_from(self.rows.len()).unwrap_or(i64::MAX);
        let seq = Entry::parse(&text).map_or(here, |entry| entry.seq);
        let place = usize::try_from(seq - header.first).ok().and_then(|place| leaves.get(place));
        let kept = place.copied().unwrap_or_else(|| leaf(text.as_bytes()));
        self.rows.push(SeenRow::new(seq, text, kept, |_| None));
        Ok(())
    }

    fn end_block(&mut self) -> Result<(), Fault> {
        let rows = std::mem::take(&mut self.rows);
        match self.block.take() {
            Some((header, hash, _)) => self.checker().block(&header, hash, &rows),
            None => Ok(()),
        }
    }

    /// After the last checkpoint, and before the first block.
    fn checker(&mut self) -> &mut Checker {
        let checkpoints = &self.checkpoints;
        self.checker.get_or_insert_with(|| Checker::new(checkpoints.iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::SigningKey;
    use super::super::entry::example;
    use super::*;

    /// Two blocks of three rows, and a checkpoint over both.
    fn lines(key: &SigningKey) -> Vec<String> {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let mut end = (0, 0, Hash::ZERO);
        let mut lines = Vec::new();
        for _ in 0..2 {
            let rows: Vec<_> = (end.1 + 1..=end.1 + 3).map(|seq| example(seq).to_text()).collect();
            let leaves: Vec<_> = rows.iter().map(|row| leaf(row.as_bytes())).collect();
            let header = Header::after(end, &leaves, at);
            end = (header.number, header.last(), header.hash());
            lines.push(Line::Block(header, end.2, leaves).to_text());
            lines.extend(rows.into_iter().map(|row| Line::Row(row).to_text()));
        }
        let checkpoint = Checkpoint { number: 1, rows: end.1, block: end.0, hash: end.2, at };
        lines.insert(0, Line::Checkpoint(checkpoint.sign(key)).to_text());
        lines.insert(0, Line::Begin.to_text());
        lines.push(Line::End(6, 2).to_text());
        lines
    }

    #[test]
    fn a_bundle_passes_and_what_was_done_to_it_is_found_at_the_row() {
        let key = SigningKey::generate("audit").unwrap();
        let keys = [key.public().clone()];
        let check = |tamper: &dyn Fn(&mut Vec<String>)| {
            let mut lines = lines(&key);
            tamper(&mut lines);
            check_bundle(lines.concat().as_bytes(), &keys).unwrap()
        };
        let good = check(&|_| ()).unwrap();
        assert_eq!(good, Checked { rows: 6, blocks: 2, checkpoints: 1, signed_rows: 6 });
        // Lines: begin, checkpoint, block, 1, 2, 3, block, 4, 5, 6, end.
        let row = |tamper: &dyn Fn(&mut Vec<String>)| check(tamper).unwrap_err().row;
        assert_eq!(row(&|lines| lines[8] = lines[8].replace("ci", "me")), Some(5));
        assert_eq!(row(&|lines| lines.swap(7, 8)), Some(4));
        assert_eq!(row(&|lines| drop(lines.remove(8))), Some(5));
        assert_eq!(row(&|lines| lines.insert(8, lines[7].clone())), Some(4));
        assert_eq!(row(&|lines| drop(lines.drain(6..10))), Some(4), "the tail");
        assert_eq!(row(&|lines| drop(lines.remove(6))), Some(4));
        for tamper in [
            &(|lines: &mut Vec<String>| drop(lines.pop())) as &dyn Fn(&mut Vec<String>),
            &|lines| drop(lines.remove(0)),
            &|lines| lines[1] = lines[1].replacen('6', "5", 1),
            &|lines| lines.insert(1, lines[1].clone()),
            &|lines| lines[0] = "x\n".into(),
            &|lines| lines.clear(),
        ] {
            assert!(check(tamper).is_err());
        }
        let other = SigningKey::generate("audit").unwrap();
        assert!(check_bundle(lines(&key).concat().as_bytes(), &[other.public().clone()]).unwrap().is_err());
    }
}
