//! The audit's ledger in the control database: blocks of rows, chained, and the checkpoints over them.
//!
//! Whoever records something waits here until it stands in the ledger. There is no process whose work this would be, and
//! so none whose death could stop it: those who wait in one process send one of them; it takes the lock, closes the
//! blocks of all that waits, whoever recorded it, and commits. What came meanwhile is in the next round.
//!
//! * `sequencing`: the lock, the blocks, the commit.
//! * `reading`, `exporting`: rows for lists and exports.
//! * `walking`: the ledger block by block.
//! * `verifying` with `checking`, `proving`, `bundling`: what an auditor asks for.
//! * `signing`: checkpoints.
//!
//! Never changes or removes a row of the ledger.

mod bundling;
mod checking;
mod exporting;
mod proving;
mod reading;
mod rows;
mod sequencing;
mod signing;
mod verifying;
mod walking;

pub(super) use sequencing::catch_up;

pub use exporting::Export;
pub use reading::{EventFilter, Recorded};
pub use signing::Due;
pub use verifying::Verdict;

use std::collections::BTreeMap;

use deadpool_postgres::Client;
use tokio::time::Instant;

use super::Control;
use super::error::Error;
use super::gathering::Gathering;
use super::pool::{Guard, Pool};
use crate::config;
use crate::domain::Failure;

/// The way into the ledger, shared by all who wait.
#[derive(Debug)]
pub(super) struct Ledger {
    /// The answer is never anything but that it stands there.
    waiting: Gathering<(), bool>,
    /// One connection of its own: whoever goes must not stand in line behind those who wait for it.
    connection: Pool,
}

impl Ledger {
    pub(super) fn new(settings: &config::Control) -> Result<Self, Failure> {
        Ok(Self {
            waiting: Gathering::new(settings.timeout),
            connection: Pool::new(&settings.url, 1, settings.timeout, Guard::Service)?,
        })
    }

    /// Ends when all that was recorded before the call stands in the ledger.
    pub(super) async fn catch_up(&self) -> Result<(), Failure> {
        let go = async |_| {
            let begun = Instant::now();
            match self.connection.run(sequencing::catch_up).await {
                // The server ended the connection, and may take another: those who wait are many. Going twice does no harm.
                Err(error) if error.is_unavailable() && begun.elapsed() < self.connection.timeout() / 2 => {
                    self.connection.run(sequencing::catch_up).await?;
                }
                gone => gone?,
            }
            Ok(BTreeMap::from([((), true)]))
        };
        self.waiting.ask(&(), go).await?;
        Ok(())
    }
}

impl Control {
    /// Does work that records something, and ends when it stands in the ledger. Everything that adds to the audit's
    /// inbox goes through here.
    ///
    /// When it fails after the work was done, that is an answer that was lost: the work stands, and asking again finds it.
    pub(super) async fn recorded<T>(
        &self,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let done = self.pool.run(work).await?;
        self.ledger.catch_up().await.map_err(Error::NotInLedger)?;
        Ok(done)
    }

    /// Brings into the ledger what is not in it: events of a process that died between recording and waiting.
    pub async fn catch_up(&self) -> Result<(), Failure> {
        self.ledger.catch_up().await
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// What adds to the inbox.
    const RECORDS: [&str; 8] = [
        "audit::insert(",
        "insert(&",
        " record(",
        "registry::finish(",
        "registry::tell(",
        "(SETTLE)",
        "(EXPIRE)",
        "apply(",
    ];

    /// Read from the sources, so that a way to record something which forgets to wait fails here.
    #[test]
    fn whatever_records_waits() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/control");
        let mut seen = 0;
        for folder in [folder.join("history"), folder.join("webhooks"), folder] {
            for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                // These two add rows in a transaction that is the caller's.
                if file.is_file() && !file.ends_with("registry.rs") && !file.ends_with("migrate.rs") {
                    seen += waiting_in(&file);
                }
            }
        }
        assert!(seen >= 27, "{seen}: this test does not see what it looks for");
    }

    /// How many methods of a file record something, each of which must wait.
    fn waiting_in(file: &Path) -> usize {
        let source = std::fs::read_to_string(file).unwrap();
        let methods = source.split("    pub async fn ").skip(1);
        let bodies = methods.map(|part| part.split("\n    }\n").next().unwrap_or_default());
        let recording = bodies.filter(|body| RECORDS.iter().any(|call| body.contains(call)));
        let waits = |body: &str| body.contains("recorded(") || body.contains("ledger.catch_up(");
        recording
            .inspect(|body| {
                let name = body.split('(').next().unwrap_or_default();
                assert!(waits(body), "{}: {name} does not wait", file.display());
            })
            .count()
    }
}
