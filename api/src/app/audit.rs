//! Reading the audit.

use rolecall_shared::audit::Format;
use rolecall_shared::control::{EventFilter, Export, Recorded};
use rolecall_shared::domain::{DatabaseName, Env, Failure, Need, Permission};

use super::App;
use crate::auth::Caller;

/// The newest events that pass the filter, which must stay within the targets whose audit the caller may read, those before the sequence number `before`; at most `limit`.
pub(crate) async fn list(
    caller: &Caller,
    app: &App,
    filter: &EventFilter,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<Recorded>, Failure> {
    allow(caller, app, filter)?;
    app.control.list_events(filter, before, limit).await
}

/// All events that pass the filter, oldest first, for the same callers.
pub(crate) async fn export(
    caller: &Caller,
    app: &App,
    filter: EventFilter,
    format: Format,
) -> Result<Export, Failure> {
    allow(caller, app, &filter)?;
    app.control.export(filter, format).await
}

fn allow(caller: &Caller, app: &App, filter: &EventFilter) -> Result<(), Failure> {
    let (env, database) = (filter.env.as_deref(), filter.database.as_deref());
    // Names that are none stand on no event; asking for them is asking for everything.
    let env = env.and_then(|env| Env::from_stored(env).ok());
    let database = database.and_then(|database| DatabaseName::from_stored(database).ok());
    app.allow(caller, &Need::within(Permission::Audit, env.as_ref(), database.as_ref()))
}
