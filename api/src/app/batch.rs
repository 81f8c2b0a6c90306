//! Submitting many jobs: each gets its ticket or its own failure.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use rolecall_shared::domain::ticket::Ticket;
use rolecall_shared::domain::{Failure, Target, TargetKey};

use super::App;
use super::keep::Kept;
use super::submission::Submission;
use super::submit::{Admitted, admit, count, present, usable};
use crate::auth::Caller;

/// How many items are looked at beside each other.
const WINDOW: usize = 32;

/// Keeps what can be kept; one answer per item, in order. An item that did not parse comes as its failure and goes
/// back as such. Jobs of one host enter its queue in the order of the items.
///
/// Fails as a whole only when the targets cannot be looked up.
pub(crate) async fn submit(
    caller: &Caller,
    app: &Arc<App>,
    items: Vec<Result<Submission, Failure>>,
) -> Result<Vec<Result<Ticket, Failure>>, Failure> {
    let mut keys: Vec<TargetKey> =
        items.iter().filter_map(|item| Some(item.as_ref().ok()?.target.clone())).collect();
    keys.sort_unstable();
    keys.dedup();
    let targets = if keys.is_empty() {
        std::collections::BTreeMap::new()
    } else {
        app.control.find_targets(&keys).await?
    };

    let admitted = stream::iter(items)
        .map(|item| {
            let target = item.as_ref().ok().and_then(|asked| targets.get(&asked.target));
            admit_item(caller, app, item, target)
        })
        .buffered(WINDOW)
        .collect::<Vec<_>>()
        .await;
    let kept = keep_all(app, admitted).await?;
    Ok(stream::iter(kept)
        .map(|answer| async move {
            match answer {
                Ok(kept) => present(caller, app, kept).await,
                Err(failure) => Err(failure),
            }
        })
        .buffered(WINDOW)
        .collect()
        .await)
}

async fn admit_item(
    caller: &Caller,
    app: &App,
    item: Result<Submission, Failure>,
    target: Option<&Target>,
) -> Result<Admitted, Failure> {
    let admitted = async {
        let asked = item?;
        app.may_submit(caller, &asked.operation, &asked.target)?;
        admit(caller, app, asked, usable(target)?).await
    };
    admitted.await.inspect_err(|failure| app.metrics.job_refused(failure.code()))
}

async fn keep_all(
    app: &Arc<App>,
    admitted: Vec<Result<Admitted, Failure>>,
) -> Result<Vec<Result<Kept, Failure>>, Failure> {
    let (mut jobs, mut operations) = (Vec::new(), Vec::new());
    // Where a job went, its answer comes from `kept` in the same order.
    let places: Vec<Option<Result<Kept, Failure>>> = admitted
        .into_iter()
        .map(|item| match item {
            Ok(Admitted::New(job)) => {
                operations.push(job.operation.clone());
                jobs.push(*job);
                None
            }
            Ok(Admitted::Before(ticket)) => Some(Ok(Kept::Before(ticket))),
            Err(failure) => Some(Err(failure)),
        })
        .collect();
    let keeper = app.keeper();
    // To its end, also when the caller goes away.
    let kept = app.tasks.spawn(async move { keeper.keep(jobs).await }).await.map_err(Failure::internal)?;
    for (operation, answer) in operations.iter().zip(&kept) {
        count(app, operation, answer.as_ref().err());
    }
    let mut kept = kept.into_iter();
    let missing = || Err(Failure::internal("no answer for a job"));
    Ok(places.into_iter().map(|place| place.unwrap_or_else(|| kept.next().unwrap_or_else(missing))).collect())
}
