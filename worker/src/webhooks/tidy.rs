//! What is too old to be listed goes; what waits is counted.

use std::sync::Arc;

use rolecall_shared::domain::Failure;

use crate::Worker;

const AT_ONCE: usize = 1_000;

/// Every `worker.sweep`. Every worker does; deleting twice is deleting once.
pub(super) async fn run(worker: Arc<Worker>) {
    loop {
        tokio::time::sleep(worker.settings.worker.sweep).await;
        if let Err(failure) = tidy(&worker).await {
            tracing::debug!(%failure, "old webhooks not looked at");
        }
    }
}

async fn tidy(worker: &Worker) -> Result<(), Failure> {
    worker.metrics.webhooks_pending(worker.outbox.pending().await?);
    while worker.outbox.tidy(worker.settings.webhooks.keep, AT_ONCE).await? == AT_ONCE {}
    Ok(())
}
