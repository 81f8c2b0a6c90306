//! Jobs that ended: their history row and their audit row, written together, and read.
//!
//! * `find`: by ticket. `list`: by what is asked for, newest first. Both also where only an archive has it.
//! * `months`: the months there are. `archives`: what the database knows of their files; `block` and `file`: their form.
//! * `keeper`: what the owner of the tables does: archives and drops.

mod archives;
mod block;
mod file;
mod find;
mod keeper;
mod list;
mod months;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::Control;
use super::error::Error;
use super::rows::UnreadableRow;
use crate::domain::{Event, Failure, Job, ticket::Ending};

pub(super) use archives::Archives;
pub use archives::{Archive, MOST_SCANNED, Place};
pub use find::Ended;
pub use keeper::{Archived, Dropped, Keeper};
pub use list::{HistoryFilter, HistoryPage, See};
pub use months::Month;

/// How a job ended, for audit and history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The job.
    pub job: Job,
    /// Its end.
    pub ending: Ending,
    /// When it ended, by the clock of the process that settles it; kept to the microsecond.
    pub finished_at: Timestamp,
    /// Starts that were made alone because an earlier one had no outcome.
    pub attempts: u32,
}

impl Control {
    /// Writes the audit event and the history row of each settlement; all of them or none. In the order given, so that
    /// the audit tells what happened first.
    ///
    /// May be repeated: where history already knows a ticket, nothing is changed for it, whatever this call says of
    /// it. Of two settlements of one ticket in a call the first counts.
    pub async fn settle(&self, settlements: &[Settlement]) -> Result<(), Failure> {
        let mut seen = BTreeSet::new();
        let items: Vec<Value> = settlements
            .iter()
            .filter(|settlement| seen.insert(settlement.job.ticket))
            .enumerate()
            .map(|(position, settlement)| item(position, settlement))
            .collect::<Result<_, _>>()
            .map_err(Failure::internal)?;
        if items.is_empty() {
            return Ok(());
        }
        let items = without_nul(Value::Array(items));
        self.recorded(async |client| {
            let statement = client.prepare_cached(SETTLE).await?;
            client.execute(&statement, &[&items]).await?;
            Ok(())
        })
        .await?;
        Ok(())
    }
}

/// One statement, and so one transaction and one round trip however many there are. The table of tickets decides which
/// are new; only those get their rows of history and audit. Tickets are inserted in the order of their keys, so that two calls
/// with the same tickets in another order wait for each other instead of blocking each other.
const SETTLE: &str = "\
    WITH item AS MATERIALIZED ( \
        SELECT * FROM jsonb_to_recordset($1::jsonb) AS item ( \
            position int, ticket uuid, job jsonb, ending jsonb, state text, attempts int, owner text, account text, \
            address text, via text, env text, database text, host text, operation text, kind text, role text, \
            submitted_at timestamptz, finished_at timestamptz, secret_expires_at timestamptz, event text, \
            outcome text, detail jsonb \
        ) \
    ), settled AS ( \
        INSERT INTO history_tickets (ticket, finished_at, env, database) \
        SELECT ticket, finished_at, env, database FROM item ORDER BY ticket \
        ON CONFLICT (ticket) DO NOTHING \
        RETURNING ticket \
    ), kept AS ( \
        INSERT INTO history (ticket, job, ending, state, attempts, owner, account, env, database, host, operation, \
                             kind, role, submitted_at, finished_at, secret_expires_at) \
        SELECT ticket, job, ending, state, attempts, owner, account, env, database, host, operation, \
               kind, role, submitted_at, finished_at, secret_expires_at \
        FROM item JOIN settled USING (ticket) \
    ) \
    INSERT INTO audit_inbox (event, at, ticket, account, owner, address, via, env, database, host, operation, kind, \
                             role, outcome, detail) \
    SELECT event, finished_at, ticket, account, owner, address, via, env, database, host, operation, kind, role, \
           outcome, detail \
    FROM item JOIN settled USING (ticket) ORDER BY position \
    ON CONFLICT (ticket, event) DO NOTHING";

/// A settlement as a row of `item` in [`SETTLE`].
fn item(position: usize, settlement: &Settlement) -> Result<Value, serde_json::Error> {
    let Settlement { job, ending, finished_at, attempts } = settlement;
    let event = Event::of_ending(*finished_at, job, ending);
    Ok(json!({
        "position": position,
        "ticket": job.ticket,
        "job": serde_json::to_value(job)?,
        "ending": serde_json::to_value(ending)?,
        "state": ending.state(),
        "attempts": attempts,
        "owner": job.actor.owner,
        "account": job.actor.account,
        "address": job.actor.address,
        "via": job.actor.via,
        "env": job.target.env,
        "database": job.target.database,
        "host": job.host,
        "operation": job.operation.name(),
        "kind": event.kind,
        "role": job.operation.role(),
        "submitted_at": job.submitted_at,
        "finished_at": finished_at,
        "secret_expires_at": ending.secret_expires_at(),
        "event": event.name,
        "outcome": event.outcome,
        "detail": event.detail,
    }))
}

/// U+0000 is the one character `jsonb` cannot hold. The door refuses it; a job that came past it must be settled all
/// the same, or it would stop its host for ever.
fn without_nul(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('\0', "\u{fffd}")),
        Value::Array(values) => Value::Array(values.into_iter().map(without_nul).collect()),
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, value)| (key.replace('\0', "\u{fffd}"), without_nul(value)))
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

/// The columns `job`, `ending`, `finished_at` and `attempts`.
fn read(row: &Row) -> Result<Settlement, Error> {
    let Json(job) = row.try_get("job")?;
    let Json(ending) = row.try_get("ending")?;
    Ok(Settlement {
        job,
        ending,
        finished_at: row.try_get("finished_at")?,
        attempts: u32::try_from(row.try_get::<_, i32>("attempts")?)
            .map_err(|fault| UnreadableRow::because("history", "attempts", fault))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_is_replaced_everywhere_and_nothing_else_is() {
        let value = json!({ "a\0": ["x\0y", { "b": "\0" }], "c": "é\u{1}", "d": 1, "e": null });
        let expected =
            json!({ "a\u{fffd}": ["x\u{fffd}y", { "b": "\u{fffd}" }], "c": "é\u{1}", "d": 1, "e": null });
        assert_eq!(without_nul(value), expected);
    }
}
