//! Reads a ledger block by block, from a database or from a file, and names the first row that is not as it was.
//!
//! What a block says of itself is checked before its rows: number, place, the hash of the block before. Then each row:
//! that it is there, says its own number, and has the hash that was kept of it. Then the root over those hashes, which
//! tells whether they are the ones that were kept. Last, the checkpoints that were signed at this block.

use std::collections::BTreeMap;

use super::block::{Header, MAX_EVENTS};
use super::checkpoint::Checkpoint;
use super::entry::Entry;
use super::merkle::{Hash, root};

/// The first thing that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The row; the first of several if it cannot be told which.
    pub row: Option<i64>,
    /// The block.
    pub block: Option<i64>,
    /// What is wrong.
    pub what: String,
}

impl Fault {
    /// Names a row.
    pub fn row(row: i64, block: i64, what: impl Into<String>) -> Self {
        Self { row: Some(row), block: Some(block), what: what.into() }
    }

    /// Names neither.
    pub fn whole(what: impl Into<String>) -> Self {
        Self { row: None, block: None, what: what.into() }
    }
}

/// A row as it stands.
#[derive(Debug)]
pub struct SeenRow {
    seq: i64,
    text: String,
    leaf: Hash,
    fault: Option<String>,
}

impl SeenRow {
    /// The row that stands at `seq`: its text, and the hash that was kept of it. `against` says what else is known
    /// against it.
    pub fn new(seq: i64, text: String, leaf: Hash, against: impl FnOnce(&Entry) -> Option<String>) -> Self {
        let fault = if super::leaf(text.as_bytes()) == leaf {
            match Entry::parse(&text) {
                Ok(entry) if entry.seq == seq => against(&entry),
                Ok(entry) => Some(format!("here stands the row that was number {}", entry.seq)),
                Err(unreadable) => Some(unreadable.to_string()),
            }
        } else {
            Some("the row was changed: its hash is another".to_owned())
        };
        Self { seq, text, leaf, fault }
    }

    /// Where it stands.
    pub fn seq(&self) -> i64 {
        self.seq
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What was checked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    /// Rows.
    pub rows: i64,
    /// Blocks.
    pub blocks: i64,
    /// Checkpoints that fit.
    pub checkpoints: usize,
    /// How many rows the last of these speaks for.
    pub signed_rows: i64,
}

/// Where it is in a ledger.
#[derive(Debug)]
pub struct Checker {
    /// By the block they were signed at.
    checkpoints: BTreeMap<i64, Vec<Checkpoint>>,
    previous: Hash,
    checked: Checked,
}

impl Checker {
    /// At the beginning of a ledger to which these checkpoints belong.
    pub fn new(checkpoints: impl IntoIterator<Item = Checkpoint>) -> Self {
        let mut by_block: BTreeMap<i64, Vec<Checkpoint>> = BTreeMap::new();
        for checkpoint in checkpoints {
            by_block.entry(checkpoint.block).or_default().push(checkpoint);
        }
        Self { checkpoints: by_block, previous: Hash::ZERO, checked: Checked::default() }
    }

    /// The next block by what it says of itself, before its rows are read.
    pub fn header(&self, header: &Header, kept: Hash) -> Result<(), Fault> {
        let (number, first) = (self.checked.blocks + 1, self.checked.rows + 1);
        let fault = |what: &str| Err(Fault::row(first, number, what));
        if header.number != number {
            return fault("the block is missing, with its rows");
        }
        if header.first != first {
            return fault("the block says that it begins at another row than after the block before");
        }
        if !(1..=MAX_EVENTS).contains(&usize::try_from(header.count).unwrap_or(0)) {
            return fault("the block says that it has an impossible number of rows");
        }
        if header.previous != self.previous {
            return fault("the block does not follow the block before: its hash of that one is another");
        }
        if header.hash() != kept {
            return fault("the block is not as it was closed: its hash is another");
        }
        Ok(())
    }

    /// The rows of the block whose header was checked.
    pub fn rows(&self, header: &Header, rows: &[SeenRow]) -> Result<(), Fault> {
        let fault = |seq: i64, what: String| Err(Fault::row(seq, header.number, what));
        let mut seen = rows.iter();
        for seq in header.first..=header.last() {
            let row = match seen.next() {
                Some(row) if row.seq == seq => row,
                Some(row) if row.seq < seq => return fault(row.seq, "the row stands there twice".into()),
                Some(_) | None => return fault(seq, "the row is missing".into()),
            };
            if let Some(known) = &row.fault {
                return fault(seq, known.clone());
            }
        }
        match seen.next() {
            Some(row) => fault(row.seq, "the row was inserted: its block has fewer rows".into()),
            None => Ok(()),
        }
    }

    /// Whether the hashes that were kept of the rows are those that were kept when the block was closed. If not, which
    /// row it is, its hashes do not tell.
    pub fn is_root(header: &Header, rows: &[SeenRow]) -> bool {
        let leaves: Vec<Hash> = rows.iter().map(|row| row.leaf).collect();
        root(&leaves) == header.root
    }

    /// The fault of a block whose root is another, when nothing tells more.
    pub fn not_its_root(header: &Header) -> Fault {
        let what = format!(
            "one of the rows {} to {} was changed: the root of their block is another",
            header.first,
            header.last()
        );
        Fault::row(header.first, header.number, what)
    }

    /// Goes on to the next block; the checkpoints that were signed at this one are compared.
    pub fn pass(&mut self, header: &Header) -> Result<(), Fault> {
        let hash = header.hash();
        self.compare(header.number, header.last(), hash)?;
        self.previous = hash;
        self.checked.blocks = header.number;
        self.checked.rows = header.last();
        Ok(())
    }

    /// All of it: a block whose rows are at hand.
    pub fn block(&mut self, header: &Header, kept: Hash, rows: &[SeenRow]) -> Result<(), Fault> {
        self.header(header, kept)?;
        self.rows(header, rows)?;
        if !Self::is_root(header, rows) {
            return Err(Self::not_its_root(header));
        }
        self.pass(header)
    }

    /// The ledger ends here: no checkpoint may speak of more.
    pub fn finish(mut self) -> Result<Checked, Fault> {
        self.compare(0, 0, Hash::ZERO)?;
        let Some((_, later)) = self.checkpoints.first_key_value() else { return Ok(self.checked) };
        let (rows, end) = (later.first().map_or(0, |first| first.rows), self.checked.rows);
        let what =
            format!("the ledger was cut: it ends here, and a checkpoint was signed when it had {rows} rows");
        Err(Fault::row(end + 1, self.checked.blocks + 1, what))
    }

    fn compare(&mut self, block: i64, rows: i64, hash: Hash) -> Result<(), Fault> {
        let after_signed = self.checked.signed_rows + 1;
        for checkpoint in self.checkpoints.remove(&block).unwrap_or_default() {
            if (checkpoint.rows, checkpoint.hash) != (rows, hash) {
                let what = format!(
                    "checkpoint {} was signed over another ledger: rows {after_signed} to {rows} were written anew, or the \
                     checkpoint is of somewhere else",
                    checkpoint.number
                );
                return Err(Fault::row(after_signed, block, what));
            }
            self.checked.checkpoints += 1;
            self.checked.signed_rows = self.checked.signed_rows.max(rows);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::example;
    use super::super::leaf;
    use super::*;

    fn row(seq: i64) -> SeenRow {
        row_of(seq, example(seq).to_text())
    }

    fn row_of(seq: i64, text: String) -> SeenRow {
        let leaf = leaf(text.as_bytes());
        SeenRow::new(seq, text, leaf, |_| None)
    }

    fn ledger(sizes: &[i64]) -> Vec<(Header, Vec<SeenRow>)> {
        let mut end = (0, 0, Hash::ZERO);
        let blocks = sizes.iter().map(|size| {
            let rows: Vec<_> = (end.1 + 1..=end.1 + size).map(row).collect();
            let leaves: Vec<_> = rows.iter().map(|row| row.leaf).collect();
            let header = Header::after(end, &leaves, jiff::Timestamp::UNIX_EPOCH);
            end = (header.number, header.last(), header.hash());
            (header, rows)
        });
        blocks.collect()
    }

    fn check(blocks: &[(Header, Vec<SeenRow>)], checkpoints: &[Checkpoint]) -> Result<Checked, Fault> {
        let mut checker = Checker::new(checkpoints.iter().copied());
        for (header, rows) in blocks {
            checker.block(header, header.hash(), rows)?;
        }
        checker.finish()
    }

    fn signed(number: i64, header: &Header) -> Checkpoint {
        let at = jiff::Timestamp::UNIX_EPOCH;
        Checkpoint { number, rows: header.last(), block: header.number, hash: header.hash(), at }
    }

    #[test]
    fn a_ledger_that_is_as_it_was_passes() {
        let empty =
            Checkpoint { number: 1, rows: 0, block: 0, hash: Hash::ZERO, at: jiff::Timestamp::UNIX_EPOCH };
        assert_eq!(check(&[], &[empty]).unwrap().checkpoints, 1);
        let blocks = ledger(&[1, 500, 3]);
        let checked = check(&blocks, &[empty, signed(2, &blocks[1].0), signed(3, &blocks[1].0)]).unwrap();
        assert_eq!(checked, Checked { rows: 504, blocks: 3, checkpoints: 3, signed_rows: 501 });
    }

    #[test]
    fn what_was_done_to_rows_is_found_at_the_row() {
        let named = |tamper: &dyn Fn(&mut Vec<SeenRow>)| {
            let mut blocks = ledger(&[2, 5, 2]);
            tamper(&mut blocks[1].1);
            check(&blocks, &[]).unwrap_err().row.unwrap()
        };
        let changed = |row: &SeenRow| SeenRow::new(row.seq, row.text.replace("ci", "me"), row.leaf, |_| None);
        assert_eq!(named(&|rows: &mut Vec<SeenRow>| rows[2] = changed(&rows[2])), 5);
        assert_eq!(named(&|rows: &mut Vec<SeenRow>| drop(rows.remove(3))), 6);
        assert_eq!(named(&|rows: &mut Vec<SeenRow>| drop(rows.pop())), 7);
        assert_eq!(named(&|rows: &mut Vec<SeenRow>| rows.push(row(8))), 8);
        assert_eq!(named(&|rows: &mut Vec<SeenRow>| rows.insert(2, row(4))), 4);
        assert_eq!(
            named(&|rows: &mut Vec<SeenRow>| rows[1] = row_of(4, rows[3].text.clone())),
            4,
            "another row in its place"
        );
        let known = |rows: &mut Vec<SeenRow>| rows[1].fault = Some("known".into());
        assert_eq!(named(&known), 4);
        // With a hash that fits the changed row only the block can be told.
        assert_eq!(
            named(&|rows: &mut Vec<SeenRow>| rows[2] = row_of(5, rows[2].text.replace("ci", "me"))),
            3
        );
    }

    #[test]
    fn what_was_done_to_blocks_is_found() {
        let blocks = ledger(&[2, 5, 2]);
        let checkpoints = [signed(1, &blocks[0].0), signed(2, &blocks[2].0)];
        let mut cut = ledger(&[2, 5, 2]);
        cut.pop();
        assert_eq!(check(&cut, &[]).unwrap().rows, 7, "without a checkpoint an end is an end");
        assert_eq!(check(&cut, &checkpoints).unwrap_err().row, Some(8));
        let mut without = ledger(&[2, 5, 2]);
        without.remove(1);
        assert_eq!(check(&without, &[]).unwrap_err().row, Some(3));
        // All written anew from row 3 on, hashes and all.
        let anew = ledger(&[2, 6, 1]);
        assert_eq!(check(&anew, &checkpoints).unwrap_err().row, Some(3));
        let mut unchained = ledger(&[2, 5, 2]);
        unchained[1].0.previous = Hash::ZERO;
        assert_eq!(check(&unchained, &[]).unwrap_err().row, Some(3));
        unchained = ledger(&[2, 5, 2]);
        unchained[2].0.count = 501;
        assert_eq!(check(&unchained, &[]).unwrap_err().row, Some(8));
        let kept = blocks[0].0.hash();
        let mut moved = blocks[0].0.clone();
        moved.closed_at = jiff::Timestamp::MAX;
        assert!(Checker::new([]).header(&moved, kept).is_err());
    }
}
