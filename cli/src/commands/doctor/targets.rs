//! The registered targets: log-in, rights and version, as `POST …/check` reports them.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use rolecall_shared::config::Settings;
use rolecall_shared::control::Control;
use rolecall_shared::domain::{Failure, Target, TargetKey};
use rolecall_shared::seal::KeyRing;
use rolecall_shared::target::{Connector, Purpose, TargetError, Verdict};

use super::finding::Finding;

/// Targets that are asked at once. Each takes at most `target.connect_timeout` and a few `statement_timeout`s.
const AT_ONCE: usize = 8;
const PAGE: usize = 200;

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
        let next = "PUT /api/v2/targets/{env}/{database} registers one";
        return match only {
            None => vec![Finding::well("targets", "none is registered")],
            Some(key) => vec![Finding::fault(format!("target {key}"), "it is not registered", next)],
        };
    }
    let connector = Arc::new(Connector::new(&settings.target, settings.default_login.clone(), keys));
    let findings = stream::iter(targets)
        .map(|target| {
            let connector = Arc::clone(&connector);
            async move { examine_one(&connector, &target).await }
        })
        .buffered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    findings.into_iter().flatten().collect()
}

async fn registered(control: &Control, only: Option<&TargetKey>) -> Result<Vec<Target>, Failure> {
    if let Some(key) = only {
        return Ok(control.find_target(key).await?.into_iter().collect());
    }
    let mut targets: Vec<Target> = Vec::new();
    loop {
        let page = control.list_targets(targets.last().map(|target| &target.key), PAGE).await?;
        let is_last = page.len() < PAGE;
        targets.extend(page);
        if is_last {
            targets.retain(|target| target.active);
            return Ok(targets);
        }
    }
}

async fn examine_one(connector: &Connector, target: &Target) -> Vec<Finding> {
    let subject = format!("target {} on {}", target.key, target.host);
    let report = async {
        let session = connector.open(target, &target.key.database, Purpose::Read).await?;
        let report = match session.check().await {
            Ok(report) => session.count_beyond_reach().await.map(|beyond| (report, beyond)),
            Err(error) => Err(error),
        };
        session.close().await;
        report
    };
    match report.await {
        Err(error) => vec![refused(subject, &error)],
        Ok((report, beyond_reach)) => {
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

/// A target that cannot be worked on is a warning: its jobs wait, and all others go on.
fn refused(subject: String, error: &TargetError) -> Finding {
    let (what, next) = match &error.verdict {
        Verdict::Login { cause } => (cause.clone(), "give the target a log-in that the server lets in"),
        Verdict::Host { cause } => {
            (cause.clone(), "see whether the server runs and can be reached from here")
        }
        Verdict::Permanent { detail, .. } => (detail.clone(), "see what the server's log says"),
        Verdict::Exists | Verdict::TryAgain => ("the server asks to try again".to_owned(), "try again"),
    };
    Finding::warning(subject, what, next)
}
