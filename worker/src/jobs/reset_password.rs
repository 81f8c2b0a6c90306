//! `reset_password`.

use rolecall_shared::ddl;
use rolecall_shared::domain::ticket::Outcome;
use rolecall_shared::domain::{Code, Job, RoleName};
use rolecall_shared::target::RoleProbe;

use super::{Decision, Done, Facts, may_change};
use crate::lane::{Prepared, failed};

/// Done again it sets the same password again, since the stored secret is the one its first start made.
pub(super) fn decide(
    job: &Job,
    role: &RoleName,
    found: Option<&RoleProbe>,
    prepared: Option<&Prepared>,
    facts: &Facts,
) -> Decision {
    let found = match may_change(job, found, facts) {
        Ok(found) => found,
        Err(ending) => return Decision::End(ending),
    };
    let Some(prepared) = prepared else {
        return Decision::End(failed(Code::Internal, "The job was begun without its password."));
    };
    Decision::Apply {
        statements: ddl::reset_password(role, &prepared.verifier),
        done: Done::found(Outcome::PasswordReset, found),
        leaves: None,
    }
}
