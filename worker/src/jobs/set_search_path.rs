//! `set_search_path`.

use rolecall_shared::ddl;
use rolecall_shared::domain::ticket::Outcome;
use rolecall_shared::domain::{Job, RoleName, SchemaName};
use rolecall_shared::target::RoleProbe;

use super::{Decision, Done, Facts, may_change};

/// Done again it sets the same path again.
pub(super) fn decide(
    job: &Job,
    (role, schemas): (&RoleName, &[SchemaName]),
    found: Option<&RoleProbe>,
    facts: &Facts,
) -> Decision {
    match may_change(job, found, facts) {
        Err(ending) => Decision::End(ending),
        Ok(found) => Decision::Apply {
            statements: ddl::set_search_path(role, &job.target.database, schemas),
            done: Done::found(Outcome::SearchPathSet, found),
            leaves: None,
        },
    }
}
