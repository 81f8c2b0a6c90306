//! Many changes as one: first what would become of each row, with everything that is wrong told at once, then all of it
//! in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_shared::control::{NewTarget, Put};
use rolecall_shared::domain::{Actor, Code, DatabaseName, Failure, HostKey, Login, Target, TargetKey};

use super::{AskedTarget, Registry, Waiting};
use crate::app::login::{self, AskedLogin};

/// What a row of somebody's list wants.
#[derive(Debug)]
pub struct Wanted {
    /// Where it stands in the list, as its reader counts.
    pub row: u64,
    /// The target it describes.
    pub asked: AskedTarget,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// Where it stands in the list.
    pub row: u64,
    /// Which target it describes, if that can be read.
    pub target: Option<TargetKey>,
    /// The field at fault; empty if it is the row as a whole.
    pub field: String,
    /// Why, and what to do; repeats no value.
    pub reason: String,
}

/// What becomes of a row.
#[derive(Debug)]
pub struct Planned {
    /// Where it stands in the list.
    pub row: u64,
    /// As the target is to be.
    pub target: NewTarget,
    /// As it is.
    pub before: Option<Target>,
}

impl Planned {
    /// Nothing is to be done.
    pub fn is_same(&self) -> bool {
        self.before.as_ref().is_some_and(|before| self.target.describes(before))
    }
}

/// Rows without a fault.
#[derive(Debug)]
pub struct Plan {
    /// In the order of the list.
    pub rows: Vec<Planned>,
    /// Hosts that get the default log-in and are not on its list. They have to be added for the plan to be carried out.
    pub untrusted: BTreeSet<HostKey>,
}

impl Registry {
    /// Looks at rows beside the targets there are, and changes nothing. Every fault of every row, in order, if there is
    /// one.
    pub async fn plan(
        &self,
        rows: Vec<Wanted>,
        existing: &BTreeMap<TargetKey, Target>,
    ) -> Result<Result<Plan, Vec<RowFault>>, Failure> {
        let mut faults = doubles(&rows);
        faults.extend(lock_conflicts(&rows, existing));
        let mut plan = Plan { rows: Vec::with_capacity(rows.len()), untrusted: BTreeSet::new() };
        let trusted: BTreeSet<HostKey> =
            self.control.trusted_hosts().await?.into_iter().map(|trusted| trusted.host).collect();
        for Wanted { row, asked } in rows {
            let (key, before) = (asked.key.clone(), existing.get(&asked.key));
            match self.settle(asked, before, &trusted).await {
                Ok((target, is_untrusted)) => {
                    plan.untrusted.extend(is_untrusted.then(|| target.host.clone()));
                    plan.rows.push(Planned { row, target, before: before.cloned() });
                }
                Err(failure) => faults.extend(faults_of(row, &key, &failure)?),
            }
        }
        faults.sort_by_key(|fault| fault.row);
        Ok(if faults.is_empty() { Ok(plan) } else { Err(faults) })
    }

    /// Does what was planned, all of it or nothing, and answers what each put did.
    ///
    /// The hosts that the plan needs are added to those the default log-in is for: whoever calls this has asked, and is
    /// the owner of the control database's tables if there are any.
    ///
    /// [`Code::JobsWaiting`] when a target is to leave a host for which jobs wait; [`Code::RevisionMismatch`] when the
    /// registry has changed since it was looked at.
    pub async fn carry_out(&self, plan: &Plan, actor: &Actor, waiting: Waiting) -> Result<Vec<Put>, Failure> {
        let left = plan.rows.iter().filter_map(|planned| {
            let before = planned.before.as_ref()?;
            (before.host != planned.target.host).then_some(&before.host)
        });
        for host in left.collect::<BTreeSet<_>>() {
            self.check_waiting(waiting, host).await?;
        }
        let targets: Vec<_> = plan
            .rows
            .iter()
            .map(|planned| (&planned.target, planned.before.as_ref().map_or(0, |before| before.revision)))
            .collect();
        let untrusted: Vec<_> = plan.untrusted.iter().cloned().collect();
        let puts = self.control.import_targets(&targets, &untrusted, actor, self.clock.now()).await?;
        self.follow(&puts).await;
        for host in plan.rows.iter().filter_map(|planned| planned.before.as_ref().map(|before| &before.host))
        {
            // Its jobs were refused until now.
            if plan.untrusted.contains(host) {
                self.try_at_once(host).await;
            }
        }
        Ok(puts)
    }

    /// The target, and whether its host would have to be added to those the default log-in is for.
    async fn settle(
        &self,
        asked: AskedTarget,
        before: Option<&Target>,
        trusted: &BTreeSet<HostKey>,
    ) -> Result<(NewTarget, bool), Failure> {
        let (login, is_untrusted) = match asked.login {
            AskedLogin::Default => {
                let Some(default) = &self.settings.default_login else {
                    return Err(Failure::field(
                        "login",
                        "is required: no default log-in is configured (default_login.user, or PG_ADMIN_USER)",
                    ));
                };
                let is_listed = default.hosts.contains(&asked.host) || trusted.contains(&asked.host);
                (Login::Default, !is_listed)
            }
            own @ AskedLogin::Own { .. } => {
                (login::settle(self, own, (&asked.key, &asked.host), before).await?, false)
            }
        };
        let AskedTarget { key, host, login: _, sslmode, ca_file, lock_database, active, notes } = asked;
        Ok((NewTarget { key, host, login, sslmode, ca_file, lock_database, active, notes }, is_untrusted))
    }
}

/// The second of two rows for one target is at fault, and names the first.
fn doubles(rows: &[Wanted]) -> Vec<RowFault> {
    let mut first = BTreeMap::new();
    let mut faults = Vec::new();
    for Wanted { row, asked } in rows {
        if let Some(first) = first.get(&asked.key) {
            let reason = format!("is the same target as row {first}; one of them has to go");
            let target = Some(asked.key.clone());
            faults.push(RowFault { row: *row, target, field: String::new(), reason });
        } else {
            first.insert(&asked.key, *row);
        }
    }
    faults
}

/// A host is locked in one database, whatever its targets say. Rows among themselves, and beside targets that are not
/// in the list.
fn lock_conflicts(rows: &[Wanted], existing: &BTreeMap<TargetKey, Target>) -> Vec<RowFault> {
    let keys: BTreeSet<_> = rows.iter().map(|wanted| &wanted.asked.key).collect();
    let mut stated: BTreeMap<&HostKey, (&DatabaseName, String)> = BTreeMap::new();
    for target in existing.values().filter(|target| !keys.contains(&target.key)) {
        let whose = format!("the target {}", target.key);
        stated.entry(&target.host).or_insert((&target.lock_database, whose));
    }
    let mut faults = Vec::new();
    for Wanted { row, asked } in rows {
        let (lock_database, whose) =
            stated.entry(&asked.host).or_insert_with(|| (&asked.lock_database, format!("row {row}")));
        if **lock_database != asked.lock_database {
            let reason =
                format!("is another than that of {whose}; all targets of a host must state the same");
            let target = Some(asked.key.clone());
            faults.push(RowFault { row: *row, target, field: "lock_database".to_owned(), reason });
        }
    }
    faults
}

/// What is wrong with a row is told with all others; anything else ends the work.
fn faults_of(row: u64, key: &TargetKey, failure: &Failure) -> Result<Vec<RowFault>, Failure> {
    if failure.code() == Code::InvalidRequest {
        return Ok(RowFault::from_failure(row, Some(key), failure));
    }
    Err(Failure::new(failure.code(), format!("{key}: {}", failure.detail())))
}

impl RowFault {
    /// A fault of the row for each field that a failure names.
    pub fn from_failure(row: u64, target: Option<&TargetKey>, failure: &Failure) -> Vec<Self> {
        let fault = |field: &str, reason: &str| Self {
            row,
            target: target.cloned(),
            field: field.to_owned(),
            reason: reason.to_owned(),
        };
        if failure.field_faults().is_empty() {
            return vec![fault("", failure.detail())];
        }
        failure.field_faults().iter().map(|found| fault(&found.field, &found.detail)).collect()
    }
}
