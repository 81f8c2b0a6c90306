//! The months of history that come: made before they begin, so that none has to be moved.
//!
//! Every worker looks; the control database makes a month once. What ends in a month that nobody made is kept all the same.

use std::sync::Arc;
use std::time::Duration;

use crate::Worker;

/// How many months after this one are to be there.
const AHEAD: u8 = 2;
/// How often that is looked at.
const EVERY: Duration = Duration::from_hours(1);

/// Looks at once, and then every hour.
pub(crate) async fn run(worker: Arc<Worker>) {
    loop {
        match worker.control.make_months(AHEAD).await {
            Ok(0) => {}
            Ok(made) => tracing::info!(made, "made months of history"),
            Err(failure) => tracing::debug!(%failure, "months of history not made"),
        }
        tokio::time::sleep(EVERY).await;
    }
}
