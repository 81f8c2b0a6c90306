//! The whole ledger as a bundle.

use std::io;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::super::Control;
use super::super::error::Error;
use super::sequencing::hash;
use super::walking::{Block, Walk};
use crate::audit::{Hash, Line};
use crate::domain::Failure;

/// Checkpoints that are read at once.
const NOTES: i64 = 1_000;

const COLUMNS: &str = "seq, leaf, body";

impl Control {
    /// Hands the lines of a bundle to `write`, some at a time. What stands in the ledger is written as it stands.
    pub async fn bundle_ledger(
        &self,
        mut write: impl FnMut(&[u8]) -> io::Result<()> + Send,
    ) -> Result<(), Failure> {
        let mut text = Line::Begin.to_text();
        let mut number = 0;
        loop {
            let notes = self.notes(number).await?;
            let Some((newest, _)) = notes.last() else { break };
            number = *newest;
            text.extend(notes.into_iter().map(|(_, note)| Line::Checkpoint(note).to_text()));
            flush(&mut write, &mut text)?;
        }
        let until = self.last_block().await?;
        let mut walk = Walk::new(self, COLUMNS, until);
        let (mut rows, mut blocks) = (0, 0);
        loop {
            let next = walk.next().await?;
            if next.is_empty() {
                break;
            }
            for block in next {
                blocks += 1;
                rows += i64::try_from(block.rows.len()).unwrap_or(i64::MAX);
                lines(&block, &mut text)?;
            }
            flush(&mut write, &mut text)?;
        }
        text.push_str(&Line::End(rows, blocks).to_text());
        flush(&mut write, &mut text)
    }

    async fn notes(&self, after: i64) -> Result<Vec<(i64, String)>, Failure> {
        let sql = "SELECT number, note FROM audit_checkpoints WHERE number > $1 ORDER BY number LIMIT $2";
        let notes = self
            .pool
            .run(async |client| {
                let rows = client.query_typed(sql, &[(&after, Type::INT8), (&NOTES, Type::INT8)]).await?;
                rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, Error>>()
            })
            .await?;
        Ok(notes)
    }
}

fn lines(block: &Block, text: &mut String) -> Result<(), Error> {
    let leaves: Vec<Hash> = block.rows.iter().map(|row| hash(row, "leaf")).collect::<Result<_, _>>()?;
    text.push_str(&Line::Block(block.header.clone(), block.hash, leaves).to_text());
    for body in block.rows.iter().map(|row: &Row| row.try_get::<_, &str>("body")) {
        text.push_str(body?);
        text.push('\n');
    }
    Ok(())
}

fn flush(write: &mut impl FnMut(&[u8]) -> io::Result<()>, text: &mut String) -> Result<(), Failure> {
    write(text.as_bytes()).map_err(Failure::internal)?;
    text.clear();
    Ok(())
}
