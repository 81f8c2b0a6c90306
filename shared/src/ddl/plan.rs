//! Which statements an operation is, once it is clear that it is to be applied.
//!
//! Whether it is (the role exists, has a mark, is protected) is decided before, by who probes. Grants of read-only
//! kinds are not here: they follow after the commit, in another database, as far as the server lets us.

use crate::domain::kind::SearchPathScope;
use crate::domain::{DatabaseName, Job, KindName, Mark, Operation, Profile, RoleName, SchemaName, TicketId};
use crate::seal::Verifier;

use super::{Setting, Statement};

/// What is missing for a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanFault {
    /// The kind's profile was not given: the operator took the kind away after the job was accepted.
    #[error("there is no profile for the kind {0}")]
    NoProfile(KindName),
    /// The operation makes a secret and none was given: a defect of the caller.
    #[error("no verifier was made for the operation {0}")]
    NoVerifier(&'static str),
}

/// The statements of a job, to run in this order inside one transaction.
///
/// `profile` is that of the job's kind, and needed for creates only; `verifier` is needed where
/// [`Operation::makes_secret`] says so.
pub fn plan(
    job: &Job,
    profile: Option<&Profile>,
    verifier: Option<&Verifier>,
) -> Result<Vec<Statement>, PlanFault> {
    let database = &job.target.database;
    let verifier = || verifier.ok_or(PlanFault::NoVerifier(job.operation.name()));
    match &job.operation {
        Operation::CreateRole { kind, role } => {
            let profile = profile.ok_or_else(|| PlanFault::NoProfile(kind.clone()))?;
            Ok(create_role(job.ticket, kind, role, database, profile, verifier()?))
        }
        Operation::ResetPassword { role } => Ok(reset_password(role, verifier()?)),
        Operation::SetSearchPath { role, schemas } => Ok(set_search_path(role, database, schemas)),
    }
}

/// Makes the role, its settings, and the mark of the ticket.
///
/// The first statement is the only one that meets a role of that name; the mark is in the same transaction, so a
/// role without it was not made by this ticket.
pub fn create_role(
    ticket: TicketId,
    kind: &KindName,
    role: &RoleName,
    database: &DatabaseName,
    profile: &Profile,
    verifier: &Verifier,
) -> Vec<Statement> {
    let create = Statement::CreateRole {
        role: role.clone(),
        createdb: profile.createdb,
        createrole: profile.createrole,
        connection_limit: profile.connection_limit,
        verifier: verifier.clone(),
    };
    let search_path = Setting::SearchPath(profile.search_path.clone());
    let search_path = match profile.search_path_scope {
        SearchPathScope::Database => {
            Statement::SetInDatabase { role: role.clone(), database: database.clone(), setting: search_path }
        }
        SearchPathScope::Role => Statement::SetForRole { role: role.clone(), setting: search_path },
    };
    // For the whole role, not for this database: it is to read only wherever it may connect.
    let read_only = profile.is_read_only().then(|| Statement::SetForRole {
        role: role.clone(),
        setting: Setting::DefaultTransactionReadOnly(true),
    });
    let mark = Statement::Mark { role: role.clone(), mark: Mark { ticket, kind: kind.clone() } };
    [create, search_path].into_iter().chain(read_only).chain([mark]).collect()
}

/// Replaces the password. Run again it replaces it by the same one: the secret is stored before the DDL runs.
pub fn reset_password(role: &RoleName, verifier: &Verifier) -> Vec<Statement> {
    vec![Statement::SetPassword { role: role.clone(), verifier: verifier.clone() }]
}

/// Replaces the `search_path` that the role has in this database.
pub fn set_search_path(role: &RoleName, database: &DatabaseName, schemas: &[SchemaName]) -> Vec<Statement> {
    vec![Statement::SetInDatabase {
        role: role.clone(),
        database: database.clone(),
        setting: Setting::SearchPath(schemas.to_vec()),
    }]
}

#[cfg(test)]
mod tests {
    use super::super::golden::{job, kind, kinds, operations, verifier};
    use super::*;

    #[test]
    fn a_missing_profile_or_verifier_is_said() {
        let (verifier, profile) = (verifier(), kinds().remove(0).1);
        for operation in operations("app") {
            let job = job(operation);
            let planned = |profile, verifier| plan(&job, profile, verifier).map(|plan| plan.len());
            assert!(planned(Some(&profile), Some(&verifier)).is_ok());
            let without_verifier = planned(Some(&profile), None);
            if job.operation.makes_secret() {
                assert_eq!(without_verifier, Err(PlanFault::NoVerifier(job.operation.name())));
            } else {
                assert_eq!(without_verifier, Ok(1));
            }
            let without_profile = planned(None, Some(&verifier));
            if job.operation.kind().is_some() {
                assert_eq!(without_profile, Err(PlanFault::NoProfile(kind("app"))));
            } else {
                assert_eq!(without_profile, Ok(1));
            }
        }
    }

    #[test]
    fn a_create_begins_with_the_role_and_ends_with_its_mark() {
        for (name, profile) in kinds() {
            let [create, ..] = operations(&name);
            let job = job(create);
            let plan = plan(&job, Some(&profile), Some(&verifier())).unwrap();
            assert!(matches!(plan.first(), Some(Statement::CreateRole { .. })));
            let Some(Statement::Mark { mark, .. }) = plan.last() else { panic!("no mark on {name}") };
            assert_eq!(*mark, Mark { ticket: job.ticket, kind: kind(&name) });
        }
    }
}
