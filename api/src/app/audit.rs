//! Reading the audit.

use rolecall_shared::control::{EventFilter, Recorded};
use rolecall_shared::domain::Failure;

use super::App;
use crate::auth::Caller;

/// The newest events that pass the filter, those before the sequence number `before`; at most `limit`.
pub(crate) async fn list(
    _caller: &Caller,
    app: &App,
    filter: &EventFilter,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<Recorded>, Failure> {
    app.control.list_events(filter, before, limit).await
}
