//! Many targets at once: all of them or none, in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::Transaction;
use futures_util::future::try_join_all;
use jiff::Timestamp;

use super::changes::{self, NewTarget, Put};
use super::error::Error;
use super::{Control, audit, registry, targets, trust};
use crate::domain::{Actor, DatabaseName, Failure, HostKey, TargetKey};

/// A target, and the revision it must have: 0 for one that must not exist.
pub type Expecting<'a> = (&'a NewTarget, i64);

/// Statements that are sent without waiting for the answers to those before.
const WINDOW: usize = 500;

impl Control {
    /// Adds hosts to those the default log-in is for, and adds or changes targets, each of which may be named once.
    /// Everything with its audit rows in one transaction, which commits only if something changed. What each put did,
    /// in the order given.
    ///
    /// Where there are hosts to trust this must be the owner's handle ([`Control::as_owner`]).
    ///
    /// # Errors
    /// Those of [`Control::put_target`], with the target's name before the text. Then nothing was changed.
    pub async fn import_targets(
        &self,
        targets: &[Expecting<'_>],
        trusted: &[HostKey],
        actor: &Actor,
        at: Timestamp,
    ) -> Result<Vec<Put>, Failure> {
        let puts = self
            .recorded(async |client| {
                let transaction = registry::begin(client).await?;
                let added = trust::trust(&transaction, trusted, actor, at).await?;
                let puts = decide(&transaction, targets, at).await?;
                let is_same = |put: &Put| matches!(put, Put::Unchanged(_));
                if !added.is_empty() || !puts.iter().all(is_same) {
                    write(&transaction, &puts, actor, at).await?;
                    registry::tell(transaction).await?;
                }
                Ok(puts)
            })
            .await?;
        Ok(puts)
    }
}

/// What is to become of each target. Writes nothing.
async fn decide(
    transaction: &Transaction<'_>,
    targets: &[Expecting<'_>],
    at: Timestamp,
) -> Result<Vec<Put>, Error> {
    let keys: Vec<_> = targets.iter().map(|(target, _)| &target.key).collect();
    let found = targets::find_all(transaction, &keys).await?;
    let trusted: BTreeSet<_> = trust::list(transaction).await?.into_iter().map(|host| host.host).collect();
    let decide = |(target, expected): &Expecting<'_>| {
        let before = found.get(&target.key);
        changes::check_revision(before, Some(*expected)).map_err(|failure| named(target, &failure))?;
        let now = changes::wanted(target, before, trusted.contains(&target.host), at);
        Ok(match before {
            None => Put::Added(now),
            Some(before) if *before == now => Put::Unchanged(now),
            Some(before) => Put::Changed { before: before.clone(), now },
        })
    };
    targets.iter().map(decide).collect()
}

async fn write(
    transaction: &Transaction<'_>,
    puts: &[Put],
    actor: &Actor,
    at: Timestamp,
) -> Result<(), Error> {
    for (host, (lock_database, keys)) in &hosts(puts)? {
        registry::provide_host(transaction, host, lock_database, keys).await?;
    }
    let statement = changes::prepare_write(transaction).await?;
    let written: Vec<_> = puts
        .iter()
        .filter_map(|put| match put {
            Put::Added(now) | Put::Changed { now, .. } => Some(now),
            Put::Unchanged(_) => None,
        })
        .collect();
    for some in written.chunks(WINDOW) {
        try_join_all(some.iter().map(|target| changes::write(transaction, &statement, target))).await?;
    }
    let left = puts.iter().filter_map(|put| match put {
        Put::Changed { before, now } => (before.host != now.host).then_some(&before.host),
        Put::Added(_) | Put::Unchanged(_) => None,
    });
    for host in left.collect::<BTreeSet<_>>() {
        registry::forget_unused_host(transaction, host).await?;
    }
    let events: Vec<_> = puts.iter().filter_map(|put| changes::event_of(put, actor, at)).collect();
    for some in events.chunks(WINDOW) {
        try_join_all(some.iter().map(|event| audit::insert(transaction, event))).await?;
    }
    Ok(())
}

type Hosts<'a> = BTreeMap<&'a HostKey, (&'a DatabaseName, Vec<&'a TargetKey>)>;

/// The hosts, where each is locked, and the targets that say so.
fn hosts(puts: &[Put]) -> Result<Hosts<'_>, Failure> {
    let mut hosts = Hosts::new();
    for put in puts {
        let (Put::Added(now) | Put::Changed { now, .. } | Put::Unchanged(now)) = put;
        let (lock_database, keys) =
            hosts.entry(&now.host).or_insert_with(|| (&now.lock_database, Vec::new()));
        if **lock_database != now.lock_database {
            return Err(registry::conflict(&now.host, lock_database.as_str()));
        }
        keys.push(&now.key);
    }
    Ok(hosts)
}

fn named(target: &NewTarget, failure: &Failure) -> Failure {
    let named = Failure::new(failure.code(), format!("{}: {}", target.key, failure.detail()));
    match failure.context() {
        Some(context) => named.with_context(context.clone()),
        None => named,
    }
}
