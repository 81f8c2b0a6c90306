//! Endings by ticket.

use std::collections::BTreeMap;

use deadpool_postgres::Client;
use jiff::Timestamp;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::super::error::Error;
use super::super::{Control, rows};
use super::archives::Place;
use super::{Settlement, read};
use crate::domain::{Failure, Job, Period, TargetKey, TicketId};

/// What is known of a ticket's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It has not ended, or nobody knows it.
    Not,
    /// How it did.
    As(Box<Settlement>),
    /// It did, and how is not kept any more.
    Forgotten,
}

impl Control {
    /// How the given tickets ended, as far as the control database has their months: no file is read. Those that did not
    /// end, or that nobody knows, are not in the answer. Waits until the ends stand in the audit's ledger.
    pub async fn find_history(
        &self,
        tickets: &[TicketId],
    ) -> Result<BTreeMap<TicketId, Settlement>, Failure> {
        let settlements = self.pool.run(async |client| Ok(look_up(client, tickets).await?.0)).await?;
        if !settlements.is_empty() {
            self.stand_in_ledger(tickets).await?;
        }
        Ok(settlements.into_iter().map(|settlement| (settlement.job.ticket, settlement)).collect())
    }

    /// How a ticket ended, wherever that is kept. Waits until the end stands in the audit's ledger.
    ///
    /// # Errors
    /// `Code::HistoryArchiveUnavailable` and `Code::HistoryArchiveDamaged` if it is in an archive that cannot be read.
    pub async fn find_ended(&self, ticket: TicketId) -> Result<Ended, Failure> {
        let (here, known) = self.pool.run(async |client| look_up(client, &[ticket]).await).await?;
        if let Some(settlement) = here.into_iter().next() {
            self.stand_in_ledger(&[ticket]).await?;
            return Ok(Ended::As(Box::new(settlement)));
        }
        let Some(finished_at) = known.first().copied() else { return Ok(Ended::Not) };
        let archive = match Period::of(finished_at) {
            Some(period) => self.find_dropped(period).await?,
            None => None,
        };
        match archive {
            Some(archive) => {
                let found = self.find_archived(&archive, Place { finished_at, ticket }).await?;
                Ok(Ended::As(Box::new(found)))
            }
            None => Ok(Ended::Forgotten),
        }
    }

    /// Whether another job has given the role of this one, on the same host, a password since it ended.
    pub async fn has_newer_password(&self, job: &Job, ended_at: Option<Timestamp>) -> Result<bool, Failure> {
        let sql = "SELECT EXISTS (SELECT FROM history \
                                  WHERE finished_at >= $1 AND host = $2 AND role = $3 AND ticket <> $4 \
                                    AND secret_expires_at IS NOT NULL)";
        let (since, ticket) = (ended_at.unwrap_or(job.submitted_at), job.ticket.as_uuid());
        let (host, role) = (job.host.to_string(), job.operation.role().as_str());
        let parameters: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)] =
            &[(&since, Type::TIMESTAMPTZ), (&host, Type::TEXT), (&role, Type::TEXT), (&ticket, Type::UUID)];
        let is_newer = self
            .pool
            .run(async |client| Ok(client.query_typed_one(sql, parameters).await?.try_get(0)?))
            .await?;
        Ok(is_newer)
    }

    /// Whoever settled them may have died, or been refused, before their events were in a block.
    async fn stand_in_ledger(&self, tickets: &[TicketId]) -> Result<(), Failure> {
        let uuids: Vec<Uuid> = tickets.iter().map(|ticket| ticket.as_uuid()).collect();
        let sql = "SELECT EXISTS (SELECT FROM audit_pending p JOIN audit_inbox i ON i.seq = p.seq \
                                  WHERE i.ticket = ANY ($1))";
        let waits = self
            .pool
            .run(async |client| {
                let statement = client.prepare_cached(sql).await?;
                Ok(client.query_one(&statement, &[&uuids]).await?.try_get(0)?)
            })
            .await?;
        if waits { self.ledger.catch_up().await } else { Ok(()) }
    }

    /// Through which targets the given tickets made their roles, however long ago. Those that did not end are not in the
    /// answer.
    pub async fn find_made_through(
        &self,
        tickets: &[TicketId],
    ) -> Result<BTreeMap<TicketId, TargetKey>, Failure> {
        let uuids: Vec<Uuid> = tickets.iter().map(|ticket| ticket.as_uuid()).collect();
        let found = self
            .pool
            .run(async |client| {
                let sql = "SELECT ticket, env, database FROM history_tickets WHERE ticket = ANY ($1)";
                let statement = client.prepare_cached(sql).await?;
                let rows = client.query(&statement, &[&uuids]).await?;
                rows.iter()
                    .map(|row| {
                        let key = rows::target_key(
                            "history_tickets",
                            row.try_get("env")?,
                            row.try_get("database")?,
                        )?;
                        Ok((TicketId::from_uuid(row.try_get("ticket")?), key))
                    })
                    .collect::<Result<_, Error>>()
            })
            .await?;
        Ok(found)
    }
}

/// The rows of tickets, and the ends of all that are known. Two questions: the first is one look into one index, and most
/// often the answer; with its times in hand the second is planned for the months they are in and for no other.
async fn look_up(
    client: &mut Client,
    tickets: &[TicketId],
) -> Result<(Vec<Settlement>, Vec<Timestamp>), Error> {
    let uuids: Vec<Uuid> = tickets.iter().map(|ticket| ticket.as_uuid()).collect();
    let sql = "SELECT ticket, finished_at FROM history_tickets WHERE ticket = ANY ($1)";
    let statement = client.prepare_cached(sql).await?;
    let known = client.query(&statement, &[&uuids]).await?;
    if known.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let uuids = known.iter().map(|row| row.try_get("ticket")).collect::<Result<Vec<Uuid>, _>>()?;
    let ends = known.iter().map(|row| row.try_get("finished_at")).collect::<Result<Vec<Timestamp>, _>>()?;
    let sql = "SELECT job, ending, attempts, finished_at FROM history \
               WHERE finished_at = ANY ($2) AND ticket = ANY ($1)";
    let parameters: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)] =
        &[(&uuids, Type::UUID_ARRAY), (&ends, Type::TIMESTAMPTZ_ARRAY)];
    let rows = client.query_typed(sql, parameters).await?;
    Ok((rows.iter().map(read).collect::<Result<_, _>>()?, ends))
}
