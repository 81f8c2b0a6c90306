//! Hears that something is to be told, at the moment of its commit.

use std::sync::Arc;
use std::time::Duration;

use rolecall_shared::domain::Failure;
use rolecall_shared::retry::Delays;
use tokio::sync::Notify;

use crate::Worker;

/// For ever. While the control database cannot be followed, what is new is found by looking (`webhooks.poll`).
pub(super) async fn run(worker: Arc<Worker>, bell: Arc<Notify>) {
    let mut delays = Delays::full_jitter(Duration::from_millis(100), Duration::from_secs(5));
    loop {
        if let Err(failure) = listen(&worker, &bell, &mut delays).await {
            tracing::debug!(%failure, "what is new for webhooks is not heard of");
        }
        tokio::time::sleep(delays.next_delay()).await;
    }
}

async fn listen(worker: &Worker, bell: &Notify, delays: &mut Delays) -> Result<(), Failure> {
    // Whoever starts says under which address this installation is reached.
    worker.outbox.set_public_url(&worker.settings.api.public_url).await?;
    let mut notices = worker.control.webhook_notices().await?;
    delays.reset();
    loop {
        notices.next().await?;
        bell.notify_one();
    }
}
