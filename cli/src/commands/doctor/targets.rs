//! The registered targets: log-in, rights and version, as `POST …/check` reports them.

use futures_util::StreamExt;
use rolecall_shared::config::Settings;
use rolecall_shared::control::Control;
use rolecall_shared::domain::{Failure, Target, TargetKey};
use rolecall_shared::seal::KeyRing;
use rolecall_shared::target::TargetError;

use super::finding::Finding;
use crate::looking::{Look, look_at, refusal};

/// All active targets, or the one that is named.
pub async fn examine(
    settings: &Settings,
    control: &Control,
    keys: KeyRing,
    only: Option<&TargetKey>,
) -> Vec<Finding> {
    let targets = match registered(control, only).await {
        Ok(targets) => targets,
        // Said already about the control database.
        Err(_) if only.is_none() => return Vec::new(),
        Err(failure) => {
            return vec![Finding::failure("targets", &failure, "`rolecall doctor` without --target")];
        }
    };
    if targets.is_empty() {
        let next = "`rolecall targets add`, or PUT /api/v2/targets/{env}/{database}, registers one";
        return match only {
            None => vec![Finding::well("targets", "none is registered")],
            Some(key) => vec![Finding::fault(format!("target {key}"), "it is not registered", next)],
        };
    }
    let looked = look_at(settings, keys, targets).map(|(target, look)| told(&target, look));
    looked.collect::<Vec<_>>().await.into_iter().flatten().collect()
}

async fn registered(control: &Control, only: Option<&TargetKey>) -> Result<Vec<Target>, Failure> {
    if let Some(key) = only {
        return Ok(control.find_target(key).await?.into_iter().collect());
    }
    let targets = control.list_all_targets().await?;
    Ok(targets.into_iter().filter(|target| target.active).collect())
}

fn told(target: &Target, look: Result<Look, TargetError>) -> Vec<Finding> {
    let subject = format!("target {} on {}", target.key, target.host);
    match look {
        Err(error) => {
            // A target that cannot be worked on is a warning: its jobs wait, and all others go on.
            let (what, next) = refusal(&error);
            vec![Finding::warning(subject, what, next)]
        }
        Ok(Look { report, beyond_reach }) => {
            let version = &report.server_version;
            let well = format!("PostgreSQL {version}, logged in as {}", report.user);
            let mut findings = vec![Finding::well(subject.clone(), well)];
            if report.superuser {
                let next = "make a role with CREATEROLE that is no superuser, and change the target's login";
                findings.push(Finding::warning(subject.clone(), "its log-in is a superuser", next));
            }
            if beyond_reach > 0 && !report.superuser {
                // Not wrong: most of them are nobody's business here.
                let what = format!("{beyond_reach} roles that were there before cannot be changed from here");
                let next = format!(
                    "for those that should: GRANT role TO {} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE",
                    report.user
                );
                findings.push(Finding::unseen(subject.clone(), what, next));
            }
            let problems = report.problems.into_iter();
            findings.extend(problems.map(|problem| {
                let next = format!("mend it, then `rolecall doctor --target {}`", target.key);
                Finding::warning(subject.clone(), problem, next)
            }));
            findings
        }
    }
}
