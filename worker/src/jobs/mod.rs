//! What each operation does to a role: one file per operation, each with one function `decide`. Pure: everything
//! that had to be asked was asked before.

mod create_role;
mod reset_password;
mod set_search_path;

use std::collections::{BTreeMap, BTreeSet};

use rolecall_shared::ddl::Statement;
use rolecall_shared::domain::ticket::{Ending, Outcome};
use rolecall_shared::domain::{Code, Env, Job, Operation, Profile, RoleName, TicketId};
use rolecall_shared::target::RoleProbe;

use crate::lane::{Prepared, failed};

/// What a job comes to, given what is there.
pub(crate) enum Decision {
    /// Run these statements; they belong to one transaction.
    Apply {
        /// In order.
        statements: Vec<Statement>,
        /// What it means when they are committed.
        outcome: Outcome,
        /// What the next job of the same transaction finds.
        leaves: Option<(RoleName, RoleProbe)>,
    },
    /// Nothing to run: it is done already, by this very ticket or because there is nothing to do.
    Already(Outcome),
    /// Nothing to run: it cannot be done.
    End(Ending),
}

/// What was asked of our own servers for a decision.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Jobs whose password has left already.
    pub(crate) taken: BTreeSet<TicketId>,
    /// The environment of the target through which a ticket made its role.
    pub(crate) envs: BTreeMap<TicketId, Env>,
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

/// The rules for every operation on a role that is there: `Err` is how the job ends.
fn may_change(job: &Job, found: Option<&RoleProbe>, facts: &Facts) -> Result<(), Ending> {
    let Some(probe) = found else {
        return Err(failed(Code::RoleNotFound, "There is no role of that name on the target."));
    };
    if let Some(reason) = probe.protected {
        return Err(failed(Code::RoleProtected, &format!("The role is {reason}.")));
    }
    let made_in = probe.mark.as_ref().and_then(|mark| facts.envs.get(&mark.ticket));
    if made_in.is_some_and(|env| *env != job.target.env) {
        return Err(failed(
            Code::RoleOfAnotherEnv,
            "The role was made through a target of another environment; use that environment's target.",
        ));
    }
    Ok(())
}
