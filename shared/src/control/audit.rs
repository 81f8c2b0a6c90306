//! The audit's inbox: rows are added, never changed.

use deadpool_postgres::GenericClient;

use super::Control;
use super::error::Error;
use crate::domain::{Event, Failure, TicketId};

impl Control {
    /// Adds an event that belongs to no other change. An event of a ticket that is recorded already is left as it is.
    pub async fn record(&self, event: &Event) -> Result<(), Failure> {
        self.recorded(async |client| insert(&*client, event).await).await?;
        Ok(())
    }

    /// The same for several that belong to no ticket, all or none.
    pub async fn record_all(&self, events: &[Event]) -> Result<(), Failure> {
        self.recorded(async |client| {
            let transaction = client.transaction().await?;
            for event in events {
                insert(&transaction, event).await?;
            }
            Ok(transaction.commit().await?)
        })
        .await?;
        Ok(())
    }

    /// Adds an event of something that may be done to a ticket more than once. The audit is unique per ticket and
    /// event, so it knows the first one by its ticket; those that follow name theirs in `detail.ticket` alone, as the
    /// first one does too.
    pub async fn record_act(&self, event: &Event) -> Result<(), Failure> {
        self.recorded(async |client| {
            if insert(&*client, event).await? == 0 {
                insert(&*client, &Event { ticket: None, ..event.clone() }).await?;
            }
            Ok(())
        })
        .await?;
        Ok(())
    }
}

/// Adds one event, in the caller's transaction if `client` is one; how many that were: none if it stands there already.
pub(super) async fn insert(client: &impl GenericClient, event: &Event) -> Result<u64, Error> {
    let target = event.target.as_ref();
    let statement = client
        .prepare_cached(
            "INSERT INTO audit_inbox (event, at, ticket, account, owner, address, env, database, host, operation, \
                                      kind, role, outcome, detail, via) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
             ON CONFLICT (ticket, event) DO NOTHING",
        )
        .await?;
    let added = client
        .execute(
            &statement,
            &[
                &event.name.as_str(),
                &event.at,
                &event.ticket.map(TicketId::as_uuid),
                &event.actor.account,
                &event.actor.owner,
                &event.actor.address,
                &target.map(|key| key.env.as_str()),
                &target.map(|key| key.database.as_str()),
                &event.host.as_ref().map(ToString::to_string),
                &event.operation,
                &event.kind,
                &event.role,
                &event.outcome,
                &event.detail,
                &event.actor.via,
            ],
        )
        .await?;
    Ok(added)
}
