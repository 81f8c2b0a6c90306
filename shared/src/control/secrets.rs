//! Who took which password. The row decides: whoever inserts it may open the seal.

use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::Control;
use super::error::Error;
use crate::domain::{Actor, Event, EventName, Failure, Job, TicketId};

/// How often a call asks again when an answer was lost, and how long it waits in between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);

/// When a password left, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// When.
    pub at: Timestamp,
    /// The account that took it.
    pub account: String,
    /// From which network address.
    pub address: Option<String>,
}

/// Who decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Take {
    /// This call: the password may leave now, once.
    Now,
    /// Somebody was faster.
    Before(Taken),
}

impl Control {
    /// Inserts the row that decides who takes the password of a job, with its `secret.taken` event, in one
    /// transaction.
    ///
    /// When the database's answer is lost, the row may stand or not, or come to stand a moment later. The same
    /// statement is then sent again under the same claim, on another connection: it waits for the first one if that is
    /// still under way, and finds in the end either its own claim, from whichever attempt, or somebody else's.
    ///
    /// To be called where a caller who hangs up does not cancel it: the row may stand by then, and nobody would hear.
    ///
    /// # Errors
    /// `Code::ControlDatabaseUnavailable`: after a lost answer and as many fruitless tries it is not known who took it.
    /// The password then stays where it is, and a later call may be told that this one took it.
    pub async fn take_secret(&self, job: &Job, actor: &Actor, at: Timestamp) -> Result<Take, Failure> {
        self.take_secret_as(Uuid::new_v4(), job, actor, at).await
    }

    /// The same under a claim of the caller's, random and of this one attempt to take: whoever did not hear an answer may ask
    /// again with it, as often as he likes.
    pub async fn take_secret_as(
        &self,
        claim: Uuid,
        job: &Job,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<Take, Failure> {
        let mut tries = 1;
        loop {
            match self.claim(claim, job, actor, at).await {
                Ok(take) => return Ok(take),
                // Before anything was sent there is nothing to find out; afterwards every error leaves it open.
                Err(error)
                    if tries < TRIES
                        && (error.may_have_happened() || tries > 1 && error.is_unavailable()) =>
                {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(Failure::from(error).about(job.ticket)),
            }
        }
    }

    async fn claim(&self, claim: Uuid, job: &Job, actor: &Actor, at: Timestamp) -> Result<Take, Error> {
        let event = Event { actor: actor.clone(), ..Event::of_job(EventName::SecretTaken, at, job) };
        let ticket = job.ticket.as_uuid();
        self.recorded(async |client| {
            let inserted = client
                .query_typed(
                    TAKE,
                    &[
                        (&ticket, Type::UUID),
                        (&claim, Type::UUID),
                        (&at, Type::TIMESTAMPTZ),
                        (&actor.account, Type::TEXT),
                        (&actor.owner, Type::TEXT),
                        (&actor.address, Type::TEXT),
                        (&event.name.as_str(), Type::TEXT),
                        (&job.target.env.as_str(), Type::TEXT),
                        (&job.target.database.as_str(), Type::TEXT),
                        (&job.host.to_string(), Type::TEXT),
                        (&event.operation, Type::TEXT),
                        (&event.kind, Type::TEXT),
                        (&event.role, Type::TEXT),
                        (&actor.via, Type::TEXT),
                    ],
                )
                .await?;
            if !inserted.is_empty() {
                return Ok(Take::Now);
            }
            let row = client.query_typed_one(FIND, &[(&ticket, Type::UUID)]).await?;
            if row.try_get::<_, Uuid>("claim")? == claim {
                return Ok(Take::Now);
            }
            Ok(Take::Before(read(&row)?))
        })
        .await
    }

    /// Who took the password of a ticket, if somebody did.
    pub async fn find_taken(&self, ticket: TicketId) -> Result<Option<Taken>, Failure> {
        let ticket = ticket.as_uuid();
        let taken = self
            .pool
            .run(async |client| {
                let row = client.query_typed_opt(FIND, &[(&ticket, Type::UUID)]).await?;
                row.as_ref().map(read).transpose()
            })
            .await?;
        Ok(taken)
    }
}

/// Both rows or none. The audit has no `ON CONFLICT` here: an event without its claim would be a broken database, and
/// then no password leaves.
const TAKE: &str = "\
    WITH mine AS ( \
        INSERT INTO secrets_taken (ticket, claim, at, account, owner, address) \
        VALUES ($1, $2, $3, $4, $5, $6) \
        ON CONFLICT (ticket) DO NOTHING \
        RETURNING ticket \
    ) \
    INSERT INTO audit_inbox (event, at, ticket, account, owner, address, env, database, host, operation, kind, role, \
                             detail, via) \
    SELECT $7, $3, ticket, $4, $5, $6, $8, $9, $10, $11, $12, $13, '{}', $14 FROM mine \
    RETURNING seq";

const FIND: &str = "SELECT claim, at, account, address FROM secrets_taken WHERE ticket = $1";

fn read(row: &Row) -> Result<Taken, Error> {
    Ok(Taken { at: row.try_get("at")?, account: row.try_get("account")?, address: row.try_get("address")? })
}
