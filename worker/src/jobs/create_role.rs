//! `create_role`.

use rolecall_shared::ddl;
use rolecall_shared::domain::ticket::Outcome;
use rolecall_shared::domain::{Code, Job, KindName, Mark, Profile, RoleName};
use rolecall_shared::target::RoleProbe;

use super::{Decision, Done, Facts};
use crate::lane::{Prepared, failed};

/// A role that is there is not touched, unless its mark says that this very ticket made it: then an earlier start
/// got as far as its COMMIT, and only a password that the ticket store has lost since, and nobody has taken, is
/// made anew.
pub(super) fn decide(
    job: &Job,
    (kind, role): (&KindName, &RoleName),
    found: Option<&RoleProbe>,
    profile: Option<&Profile>,
    prepared: Option<&Prepared>,
    facts: &Facts,
) -> Decision {
    let (Some(profile), Some(prepared)) = (profile, prepared) else {
        return Decision::End(failed(Code::Internal, "The job was begun without its profile or password."));
    };
    let mark = Mark { ticket: job.ticket, kind: kind.clone() };
    match found {
        None => Decision::Apply {
            statements: ddl::create_role(
                job.ticket,
                kind,
                role,
                &job.target.database,
                profile,
                &prepared.verifier,
            ),
            done: Done::stated(Outcome::Created),
            leaves: Some((role.clone(), RoleProbe { mark: Some(mark), protected: None })),
        },
        Some(probe) if probe.mark.as_ref() == Some(&mark) => {
            if prepared.fresh && !facts.taken.contains(&job.ticket) {
                Decision::Apply {
                    statements: ddl::reset_password(role, &prepared.verifier),
                    done: Done::stated(Outcome::Created),
                    leaves: None,
                }
            } else {
                Decision::Already(Done::stated(Outcome::Created))
            }
        }
        Some(_) => Decision::Already(Done::stated(Outcome::AlreadyExists)),
    }
}
