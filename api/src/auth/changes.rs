//! Hearing of changes: what was proven is forgotten at the moment in which an account or a token changes, in every
//! process.

use std::sync::Arc;
use std::time::Duration;

use rolecall_shared::control::Control;
use rolecall_shared::retry::Delays;
use tokio_util::sync::CancellationToken;

use super::Authenticator;

/// Follows the control database until `stop`. While it cannot be followed no proof is remembered.
pub(crate) async fn follow(authenticator: Arc<Authenticator>, control: Control, stop: CancellationToken) {
    let mut delays = Delays::full_jitter(Duration::from_millis(100), Duration::from_secs(2));
    while !stop.is_cancelled() {
        let heard = stop.run_until_cancelled(listen(&authenticator, &control, &mut delays)).await;
        authenticator.hear(false);
        if let Some(Err(failure)) = heard {
            tracing::debug!(%failure, "changes of accounts are not heard of");
        }
        stop.run_until_cancelled(tokio::time::sleep(delays.next_delay())).await;
    }
}

async fn listen(
    authenticator: &Authenticator,
    control: &Control,
    delays: &mut Delays,
) -> Result<(), rolecall_shared::domain::Failure> {
    let mut changes = control.caller_changes().await?;
    authenticator.hear(true);
    delays.reset();
    loop {
        changes.next().await?;
        authenticator.forget();
    }
}
