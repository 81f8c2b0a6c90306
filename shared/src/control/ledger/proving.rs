//! The proof that a row stands under a checkpoint.

use tokio_postgres::types::{ToSql, Type};

use super::super::Control;
use super::super::error::Error;
use super::sequencing::hash;
use super::walking::header;
use crate::audit::{Hash, Header, Proof};
use crate::domain::{Code, Failure};

/// A row in its block.
struct Place {
    row: String,
    index: usize,
    leaves: Vec<Hash>,
    block: Header,
}

impl Control {
    /// The proof for the row with this number, against the first checkpoint that speaks for it.
    ///
    /// # Errors
    /// `Code::NotFound`: there is no such row, or no checkpoint yet that speaks for it.
    pub async fn prove_event(&self, seq: i64) -> Result<Proof, Failure> {
        let place = self.place(seq).await?;
        let (last, note) = self.first_checkpoint(seq, place.block.number).await?;
        let mut blocks = vec![place.block];
        while let Some(at) = blocks.last().map(|block| block.number).filter(|number| *number < last) {
            let more = self.headers(at, last).await?;
            if more.is_empty() {
                return Err(damaged(seq));
            }
            blocks.extend(more.into_iter().map(|(header, _)| header));
        }
        Ok(Proof::new(place.row, place.index, &place.leaves, blocks, note))
    }

    async fn place(&self, seq: i64) -> Result<Place, Failure> {
        let block = "SELECT number, first, count, root, previous, closed_at, hash FROM audit_blocks \
                     WHERE first <= $1 AND first + count > $1 ORDER BY first DESC LIMIT 1";
        let rows = "SELECT seq, leaf, CASE WHEN seq = $1 THEN body END AS body FROM audit_ledger \
                    WHERE seq >= $2 AND seq < $2 + $3 ORDER BY seq";
        let found = self
            .pool
            .run(async |client| {
                let Some(found) = client.query_typed_opt(block, &[(&seq, Type::INT8)]).await? else {
                    return Ok(None);
                };
                let (block, _) = header(&found)?;
                let parameters: [(&(dyn ToSql + Sync), Type); 3] =
                    [(&seq, Type::INT8), (&block.first, Type::INT8), (&block.count, Type::INT8)];
                let rows = client.query_typed(rows, &parameters).await?;
                let leaves = rows.iter().map(|row| hash(row, "leaf")).collect::<Result<Vec<_>, Error>>()?;
                let body =
                    rows.iter().find_map(|row| row.try_get::<_, Option<String>>("body").ok().flatten());
                Ok(Some((block, leaves, body)))
            })
            .await?;
        let missing = || Failure::new(Code::NotFound, format!("The audit has no row {seq}."));
        let (block, leaves, body) = found.ok_or_else(missing)?;
        let index = usize::try_from(seq - block.first).map_err(Failure::internal)?;
        Ok(Place { row: body.ok_or_else(|| damaged(seq))?, index, leaves, block })
    }

    /// The first checkpoint at this block or a later one: its block and its note.
    async fn first_checkpoint(&self, seq: i64, block: i64) -> Result<(i64, String), Failure> {
        let sql =
            "SELECT block, note FROM audit_checkpoints WHERE block >= $1 ORDER BY block, number LIMIT 1";
        let row = self
            .pool
            .run(async |client| Ok(client.query_typed_opt(sql, &[(&block, Type::INT8)]).await?))
            .await?;
        let none = || {
            let detail = format!(
                "No checkpoint speaks for row {seq} yet. A worker with audit.signing_key_file signs one every \
                 audit.checkpoint_seconds."
            );
            Failure::new(Code::NotFound, detail)
        };
        let row = row.ok_or_else(none)?;
        let read = || -> Result<(i64, String), Error> { Ok((row.try_get("block")?, row.try_get("note")?)) };
        Ok(read()?)
    }
}

fn damaged(seq: i64) -> Failure {
    let detail = format!("The ledger is damaged where row {seq} stands; run `rolecall audit verify`.");
    Failure::new(Code::Internal, detail)
}
