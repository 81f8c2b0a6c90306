//! Lost bells: a crash before ringing, a bell dropped by a broker that was killed.

use std::sync::Arc;

use rolecall_shared::domain::Failure;
use rolecall_shared::queue::BellDelay;

use crate::Worker;

/// Every `worker.sweep` one of the workers rings for each host that has messages and no lane.
pub(crate) async fn run(worker: Arc<Worker>) {
    let period = worker.settings.worker.sweep;
    loop {
        tokio::time::sleep(period).await;
        if let Err(failure) = sweep(&worker).await {
            tracing::debug!(%failure, "sweep skipped");
        }
    }
}

async fn sweep(worker: &Worker) -> Result<(), Failure> {
    // The lease is a little shorter than the period, or every second turn of everybody would find it taken.
    if !worker.tickets.lease("sweep", worker.settings.worker.sweep.mul_f32(0.9)).await? {
        return Ok(());
    }
    for host in worker.control.list_hosts().await? {
        if host.paused.is_some() || worker.tickets.blocked_for(&host.key).await?.is_some() {
            continue;
        }
        let depth = worker.queue.depth(&host.key).await?;
        if depth.messages > 0 && depth.consumers == 0 {
            tracing::info!(host = %host.key, messages = depth.messages, "ringing for a host nobody works on");
            worker.queue.ring(&host.key, BellDelay::Now).await?;
        }
    }
    Ok(())
}
