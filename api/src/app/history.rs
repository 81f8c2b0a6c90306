//! Lists of jobs that ended: one's own, and those of others as far as one may read.

use std::sync::Arc;

use rolecall_shared::control::{HistoryFilter, Place, See, Settlement};
use rolecall_shared::domain::ticket::Ticket;
use rolecall_shared::domain::{DatabaseName, Env, Failure, KindName, Need, Permission};

use super::App;
use super::tickets::{from_history, need_of};
use crate::auth::Caller;

/// A page of the list, newest first.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub(crate) tickets: Vec<Ticket>,
    /// Behind which the next page begins.
    pub(crate) next: Option<Place>,
}

/// The jobs that pass the filter and that the caller may see, behind `after`; at most `limit`.
///
/// Nobody is refused: whoever may read nothing of others sees his own.
pub(crate) async fn list(
    caller: &Caller,
    app: &App,
    filter: HistoryFilter,
    after: Option<Place>,
    limit: usize,
) -> Result<Listed, Failure> {
    let Some((filter, see)) = within_rights(caller, filter) else { return Ok(Listed::default()) };
    let page = app.control.list_history(&filter, after, limit, see).await?;
    Ok(Listed { tickets: page.settlements.into_iter().map(from_history).collect(), next: page.next })
}

/// The filter, and who of what it lets through is seen; none if that can be nobody.
fn within_rights(caller: &Caller, filter: HistoryFilter) -> Option<(HistoryFilter, See)> {
    // Names that are none stand on no job; asking for them is asking for everything.
    let env = filter.env.as_deref().and_then(|env| Env::from_stored(env).ok());
    let database = filter.database.as_deref().and_then(|name| DatabaseName::from_stored(name).ok());
    let kind = filter.kind.as_deref().and_then(|kind| KindName::parse(kind).ok());
    let need = Need::within(Permission::Read, env.as_ref(), database.as_ref());
    let need = kind.as_ref().map_or(need, |kind| need.of_kind(kind));
    if caller.rights.allow(&need) {
        return Some((filter, Arc::new(|_| true)));
    }
    if caller.rights.allow_some(&need) {
        let (rights, owner) = (caller.rights.clone(), caller.owner.clone());
        let see = move |row: &Settlement| {
            let Settlement { job, ending, .. } = row;
            job.actor.owner == owner || rights.allow(&need_of(Permission::Read, job, Some(ending)))
        };
        return Some((filter, Arc::new(see)));
    }
    // An index leads to what is an account's.
    let is_own = filter.account.as_deref().is_none_or(|account| account == caller.account);
    let own =
        HistoryFilter { account: Some(caller.account.clone()), owner: Some(caller.owner.clone()), ..filter };
    is_own.then(|| (own, Arc::new(|_: &Settlement| true) as See))
}
