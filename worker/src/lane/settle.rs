//! The end of a job, in the one order that loses nothing: audit and history committed, then the ticket final.

use rolecall_shared::control::Settlement;
use rolecall_shared::domain::{ClaimId, Failure};
use rolecall_shared::failpoints::{Failpoint, reach};
use rolecall_shared::tickets::Settled;

use super::execute::Ended;
use crate::Worker;

/// Settles a part. Both steps can be repeated: rows are unique per ticket and event, and a ticket moves only under
/// the claim that holds it.
pub(super) async fn settle(worker: &Worker, claim: ClaimId, ended: Vec<Ended>) -> Result<(), Failure> {
    let finished_at = worker.clock.now();
    let settlements: Vec<Settlement> = ended
        .iter()
        .map(|Ended { job, ending, attempts, .. }| Settlement {
            job: job.clone(),
            ending: ending.clone(),
            finished_at,
            attempts: *attempts,
        })
        .collect();
    reach(Failpoint::BeforeControl);
    worker.control.settle(&settlements).await?;
    reach(Failpoint::AfterControl);
    // Stored before the DDL; a store that was lost since gets them again, for the roles have these passwords now.
    let passwords: Vec<_> =
        ended.iter().filter_map(|ended| Some((ended.job.ticket, ended.sealed.clone()?))).collect();
    let settled: Vec<Settled> =
        ended.into_iter().map(|Ended { job, ending, .. }| Settled { job, ending, finished_at }).collect();
    reach(Failpoint::BeforeTickets);
    worker.tickets.keep_secrets(&passwords).await?;
    worker.tickets.settle(claim, &settled).await?;
    reach(Failpoint::AfterTickets);
    for Settled { job, ending, .. } in &settled {
        let took = finished_at.duration_since(job.submitted_at).unsigned_abs();
        worker.metrics.job_settled(&job.operation, ending, took);
        tracing::info!(ticket = %job.ticket, host = %job.host, operation = job.operation.name(), outcome = ending.word(), "settled");
    }
    Ok(())
}
