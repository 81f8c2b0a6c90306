//! `rolecall doctor`: is everything there that Rolecall needs, and set so that its promises hold?
//!
//! Asks each server once, changes nothing, and says for everything that is wrong what to type next. Prints no secret.
//! Tested in `tests/tests/doctor.rs`.

mod finding;
mod own;
mod targets;

use std::path::Path;
use std::process::ExitCode;

use rolecall_shared::config::Settings;
use rolecall_shared::control::Control;
use rolecall_shared::seal::KeyRing;
use serde_json::json;

use self::finding::{Finding, Level};
use crate::args::Doctor;
use crate::output::print;

/// Ends with 0 unless there is a fault.
pub fn run(file: Option<&Path>, asked: &Doctor) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(file)?;
    let findings = super::block_on(examine(&settings, asked))?;
    print(&if asked.output.json { as_json(&findings) } else { as_text(&findings) })?;
    Ok(if findings.iter().any(|finding| finding.level == Level::Fault) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

async fn examine(settings: &Settings, asked: &Doctor) -> anyhow::Result<Vec<Finding>> {
    let control = Control::new(&settings.control)?;
    let (broker, store, database) =
        tokio::join!(own::broker(settings), own::store(settings), own::control(settings, &control));
    let mut findings = vec![Finding::well("configuration", "no faults")];
    let keys = match KeyRing::load(&settings.seal.key_file) {
        Ok(keys) => {
            findings.push(Finding::well("seal keys", "the key file can be read"));
            Some(keys)
        }
        Err(error) => {
            let next = "make the file with `rolecall keys add`, or bring it from another machine";
            findings.push(Finding::fault("seal keys", error, next));
            None
        }
    };
    findings.push(own::audit_key(settings));
    findings.extend(broker.into_iter().chain(store).chain(database));
    if let Some(keys) = keys {
        findings.extend(targets::examine(settings, &control, keys, asked.target.as_ref()).await);
    }
    Ok(findings)
}

fn as_json(findings: &[Finding]) -> String {
    let is_well = findings.iter().all(|finding| finding.level != Level::Fault);
    let findings: Vec<_> = findings.iter().map(Finding::json).collect();
    json!({ "ok": is_well, "findings": findings }).to_string()
}

fn as_text(findings: &[Finding]) -> String {
    let told: String = findings.iter().map(Finding::to_string).collect();
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    format!("{told}\n{} faults, {} warnings\n", count(Level::Fault), count(Level::Warning))
}
