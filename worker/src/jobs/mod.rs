//! What each operation does to a role: one file per operation, each with one function `decide`. Pure: everything
//! that had to be asked was asked before.

mod create_role;
mod reset_password;
mod set_search_path;

use std::collections::{BTreeMap, BTreeSet};

use rolecall_shared::ddl::Statement;
use rolecall_shared::domain::ticket::{Ending, Outcome};
use rolecall_shared::domain::{
    Code, Job, KindName, Need, Operation, Permission, Profile, RoleName, TargetKey, TicketId,
};
use rolecall_shared::target::RoleProbe;

use crate::lane::{Prepared, failed};

/// What a job comes to, given what is there.
pub(crate) enum Decision {
    /// Run these statements; they belong to one transaction.
    Apply {
        /// In order.
        statements: Vec<Statement>,
        /// What it means when they are committed.
        done: Done,
        /// What the next job of the same transaction finds.
        leaves: Option<(RoleName, RoleProbe)>,
    },
    /// Nothing to run: it is done already, by this very ticket or because there is nothing to do.
    Already(Done),
    /// Nothing to run: it cannot be done.
    End(Ending),
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) outcome: Outcome,
    /// The kind of the role by its mark, where the job does not state it.
    pub(crate) kind: Option<KindName>,
}

impl Done {
    /// To a role whose kind the job states.
    fn stated(outcome: Outcome) -> Self {
        Self { outcome, kind: None }
    }

    /// To a role that was there.
    fn found(outcome: Outcome, found: &RoleProbe) -> Self {
        Self { outcome, kind: found.mark.as_ref().map(|mark| mark.kind.clone()) }
    }
}

/// What was asked of our own servers for a decision.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Jobs whose password has left already.
    pub(crate) taken: BTreeSet<TicketId>,
    /// The target through which a ticket made its role.
    pub(crate) made_through: BTreeMap<TicketId, TargetKey>,
}

/// Decides one job.
pub(crate) fn decide(
    job: &Job,
    found: Option<&RoleProbe>,
    profile: Option<&Profile>,
    prepared: Option<&Prepared>,
    facts: &Facts,
) -> Decision {
    match &job.operation {
        Operation::CreateRole { kind, role } => {
            create_role::decide(job, (kind, role), found, profile, prepared, facts)
        }
        Operation::ResetPassword { role } => reset_password::decide(job, role, found, prepared, facts),
        Operation::SetSearchPath { role, schemas } => {
            set_search_path::decide(job, (role, schemas), found, facts)
        }
    }
}

/// The rules for every operation on a role that is there: the role, or `Err` is how the job ends.
///
/// Whose role it is says its mark. The submitter needs the right for its kind on the job's target, and on the target
/// through which it was made; for a role without a mark, or with one that nobody remembers, the right for every kind.
fn may_change<'a>(job: &Job, found: Option<&'a RoleProbe>, facts: &Facts) -> Result<&'a RoleProbe, Ending> {
    let Some(probe) = found else {
        return Err(failed(Code::RoleNotFound, "There is no role of that name on the target."));
    };
    if let Some(reason) = probe.protected {
        return Err(failed(Code::RoleProtected, &format!("The role is {reason}.")));
    }
    let made = probe.mark.as_ref().and_then(|mark| Some((mark, facts.made_through.get(&mark.ticket)?)));
    let Some((mark, made_through)) = made else {
        must(job, &Need::on(Permission::Submit, &job.target))?;
        return Ok(probe);
    };
    if made_through.env != job.target.env {
        return Err(failed(
            Code::RoleOfAnotherEnv,
            "The role was made through a target of another environment; use that environment's target.",
        ));
    }
    for target in [&job.target, made_through] {
        must(job, &Need::on(Permission::Submit, target).of_kind(&mark.kind))?;
    }
    Ok(probe)
}

fn must(job: &Job, need: &Need<'_>) -> Result<(), Ending> {
    if job.rights.allow(need) {
        return Ok(());
    }
    let reveal =
        if job.operation.makes_secret() { ", and reveal for a password in the same call" } else { "" };
    let detail = format!("The account may not do this to this role; it would need {need}{reveal}.");
    Err(failed(Code::Forbidden, &detail))
}
