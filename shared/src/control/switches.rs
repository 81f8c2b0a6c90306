//! Stopping hosts and letting them go on, one or all of them: the change, its audit rows, and the notice to others in one
//! transaction.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::error::Error;
use super::hosts::{Host, Pause, find, list};
use super::{Control, audit, registry};
use crate::domain::{Actor, Event, EventName, Failure, HostKey};

/// What is done to a host. Done again it changes nothing, and leaves no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch<'a> {
    /// Its jobs stop. Whether it takes new ones stays as it is. The reason is for whoever waits.
    Pause(&'a str),
    /// It takes no new jobs, and works on those it has: a pause ends. The reason is for whoever is refused.
    Drain(&'a str),
    /// It works, and takes new jobs: pause and drain end.
    Resume,
}

impl Control {
    /// Switches a host, with its audit row. Who came first, when and why stays what it was. `None`: no target has this
    /// host.
    pub async fn switch_host(
        &self,
        host: &HostKey,
        switch: Switch<'_>,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<Option<Host>, Failure> {
        let switched = self
            .recorded(async |client| {
                let transaction = registry::begin(client).await?;
                let Some(found) = find(&transaction, host).await? else { return Ok(None) };
                Ok(apply(transaction, vec![found], switch, (actor, at)).await?.pop())
            })
            .await?;
        Ok(switched)
    }

    /// The same with every host that has a target now, in one transaction; all of them or none.
    pub async fn switch_all_hosts(
        &self,
        switch: Switch<'_>,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<Vec<Host>, Failure> {
        let switched = self
            .recorded(async |client| {
                let transaction = registry::begin(client).await?;
                let found = list(&transaction).await?;
                apply(transaction, found, switch, (actor, at)).await
            })
            .await?;
        Ok(switched)
    }

    /// [`Switch::Pause`] for one host.
    pub async fn pause_host(
        &self,
        host: &HostKey,
        reason: &str,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<Option<Host>, Failure> {
        self.switch_host(host, Switch::Pause(reason), actor, at).await
    }

    /// [`Switch::Resume`] for one host.
    pub async fn resume_host(
        &self,
        host: &HostKey,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<Option<Host>, Failure> {
        self.switch_host(host, Switch::Resume, actor, at).await
    }
}

/// Commits, unless nothing changes.
async fn apply(
    transaction: Transaction<'_>,
    found: Vec<Host>,
    switch: Switch<'_>,
    (actor, at): (&Actor, Timestamp),
) -> Result<Vec<Host>, Error> {
    let mut switched = Vec::with_capacity(found.len());
    let mut changed = false;
    for before in found {
        let host = after(&before, switch, &actor.account, at);
        if host != before {
            changed = true;
            write(&transaction, &host).await?;
            for event in events(&before, &host, actor, at) {
                audit::insert(&transaction, &event).await?;
            }
        }
        switched.push(host);
    }
    if changed {
        registry::tell(transaction).await?;
    }
    Ok(switched)
}

fn after(before: &Host, switch: Switch<'_>, by: &str, at: Timestamp) -> Host {
    let switched_by = |reason: &str| Pause { by: by.to_owned(), at, reason: reason.to_owned() };
    let kept = |held: &Option<Pause>, reason| Some(held.clone().unwrap_or_else(|| switched_by(reason)));
    let (paused, draining) = match switch {
        Switch::Pause(reason) => (kept(&before.paused, reason), before.draining.clone()),
        Switch::Drain(reason) => (None, kept(&before.draining, reason)),
        Switch::Resume => (None, None),
    };
    Host { paused, draining, ..before.clone() }
}

async fn write(transaction: &Transaction<'_>, host: &Host) -> Result<(), Error> {
    let statement = transaction
        .prepare_cached(
            "UPDATE hosts SET paused_by = $3, paused_at = $4, paused_reason = $5, \
                              draining_by = $6, draining_at = $7, draining_reason = $8 \
             WHERE hostname = $1 AND port = $2",
        )
        .await?;
    let (hostname, port) = registry::parts(&host.key);
    let parts = |held: &Option<Pause>| {
        let held = held.clone();
        (held.as_ref().map(|h| h.by.clone()), held.as_ref().map(|h| h.at), held.map(|h| h.reason))
    };
    let ((paused_by, paused_at, paused_reason), (by, since, reason)) =
        (parts(&host.paused), parts(&host.draining));
    transaction
        .execute(
            &statement,
            &[&hostname, &port, &paused_by, &paused_at, &paused_reason, &by, &since, &reason],
        )
        .await?;
    Ok(())
}

/// What ends a pause or a drain repeats what it was, so that the audit reads without looking back.
fn events(before: &Host, now: &Host, actor: &Actor, at: Timestamp) -> Vec<Event> {
    let begun = |before: &Option<Pause>, now: &Option<Pause>| now.clone().filter(|_| before.is_none());
    let ended = |before: &Option<Pause>, now: &Option<Pause>| before.clone().filter(|_| now.is_none());
    let paused = ended(&before.paused, &now.paused);
    let draining = ended(&before.draining, &now.draining);
    let mut events = Vec::new();
    if let Some(told) = paused.as_ref().or(draining.as_ref()) {
        let mut detail = Map::new();
        detail.insert("reason".to_owned(), json!(told.reason));
        let ended = [("pause", &paused), ("drain", &draining)];
        let ended: Vec<_> = ended.iter().filter(|(_, was)| was.is_some()).map(|(name, _)| *name).collect();
        detail.insert("ended".to_owned(), json!(ended));
        events.push((EventName::HostResumed, detail));
    }
    for (name, held) in [
        (EventName::HostPaused, begun(&before.paused, &now.paused)),
        (EventName::HostDraining, begun(&before.draining, &now.draining)),
    ] {
        if let Some(held) = held {
            events.push((name, Map::from_iter([("reason".to_owned(), json!(held.reason))])));
        }
    }
    let targets: Vec<_> = now.targets.iter().map(ToString::to_string).collect();
    let event = |(name, mut detail): (EventName, Map<String, Value>)| {
        detail.insert("targets".to_owned(), json!(targets));
        Event {
            host: Some(now.key.clone()),
            detail: Value::Object(detail),
            ..Event::new(name, at, actor.clone())
        }
    };
    events.into_iter().map(event).collect()
}
