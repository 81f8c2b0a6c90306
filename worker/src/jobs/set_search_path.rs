//! `set_search_path`.

use rolecall_shared::ddl;
use rolecall_shared::domain::ticket::Outcome;
use rolecall_shared::domain::{Job, RoleName, SchemaName};
use rolecall_shared::target::RoleProbe;

use super::{Decision, Facts, may_change};

/// Done again it sets the same path again.
pub(super) fn decide(
    job: &Job,
    (role, schemas): (&RoleName, &[SchemaName]),
    found: Option<&RoleProbe>,
    facts: &Facts,
) -> Decision {
    match may_change(job, found, facts) {
        Err(ending) => Decision::End(ending),
        Ok(()) => Decision::Apply {
            statements: ddl::set_search_path(role, &job.target.database, schemas),
            outcome: Outcome::SearchPathSet,
            leaves: None,
        },
    }
}
