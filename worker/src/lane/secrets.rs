//! Step 2: passwords, generated and sealed in the ticket store *before* the DDL that sets them.
//!
//! Stored if absent: a redelivered job finds the password its first start made, so the role and the secret agree
//! whichever of the two starts reached the target.

use std::collections::BTreeMap;

use rolecall_shared::domain::{Code, Failure, Job, TicketId};
use rolecall_shared::failpoints::{Failpoint, reach};
use rolecall_shared::seal::{KeyRing, OpenError, Password, Verifier, ticket_secret_context};
use zeroize::Zeroizing;

use crate::Worker;

/// A job's password as its DDL needs it.
pub(crate) struct Prepared {
    pub(crate) verifier: Verifier,
    /// The password, sealed, as it is stored.
    pub(crate) sealed: Vec<u8>,
    /// It was made just now: nothing was stored for this ticket before, or the store has lost it.
    pub(crate) fresh: bool,
}

/// Prepares the passwords of those jobs that make one.
pub(super) async fn prepare(worker: &Worker, jobs: &[&Job]) -> Result<BTreeMap<TicketId, Prepared>, Failure> {
    let tickets: Vec<TicketId> =
        jobs.iter().filter(|j| j.operation.makes_secret()).map(|j| j.ticket).collect();
    if tickets.is_empty() {
        return Ok(BTreeMap::new());
    }
    let now = worker.clock.now();
    let mut made = Vec::with_capacity(tickets.len());
    for ticket in tickets {
        let password = Password::generate();
        let sealed =
            worker.keys.seal(password.expose().as_bytes(), &ticket_secret_context(ticket), now).map_err(
                |error| Failure::new(Code::SealKeyMissing, "No key seals passwords now.").caused_by(error),
            )?;
        made.push((ticket, sealed, password));
    }
    let offers: Vec<(TicketId, Vec<u8>)> =
        made.iter().map(|(ticket, sealed, _)| (*ticket, sealed.clone())).collect();
    reach(Failpoint::BeforeSecrets);
    let stored = worker.tickets.keep_secrets(&offers).await?;
    reach(Failpoint::AfterSecrets);

    let mut passwords = Vec::with_capacity(made.len());
    for ((ticket, offered, password), stored) in made.into_iter().zip(stored) {
        let fresh = offered == stored;
        let password = if fresh { password } else { open(&worker.keys, ticket, &stored)? };
        passwords.push((ticket, password, stored, fresh));
    }
    let iterations = worker.settings.target.scram_iterations;
    // Key stretching is CPU work: some milliseconds for each password.
    tokio::task::spawn_blocking(move || {
        passwords
            .into_iter()
            .map(|(ticket, password, sealed, fresh)| {
                (ticket, Prepared { verifier: Verifier::make(&password, iterations), sealed, fresh })
            })
            .collect()
    })
    .await
    .map_err(Failure::internal)
}

fn open(keys: &KeyRing, ticket: TicketId, sealed: &[u8]) -> Result<Password, Failure> {
    let plain = keys.open(sealed, &ticket_secret_context(ticket)).map_err(|error| match error {
        OpenError::KeyMissing(_) => Failure::new(
            Code::SealKeyMissing,
            "The key that seals a waiting password is not in the key ring.",
        )
        .about(ticket)
        .caused_by(error),
        OpenError::Broken => Failure::internal(error).about(ticket),
    })?;
    let text = String::from_utf8(plain.to_vec()).map(Zeroizing::new).map_err(Failure::internal)?;
    Ok(Password::from_string(text))
}
