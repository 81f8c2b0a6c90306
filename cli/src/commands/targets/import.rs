//! `rolecall targets import`.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use rolecall_api::registry::RowFault;
use rolecall_shared::config::Settings;
use serde_json::json;

use super::change::{carry_out, plan};
use super::difference::{Difference, faults_json, faults_text};
use super::waiting;
use crate::args::ImportTargets;
use crate::commands::block_on;
use crate::compose::{self, Operator};
use crate::output::{DATA_FAULT, note, print};
use crate::registry_file::{self, Rows};

pub fn run(file: Option<&Path>, asked: &ImportTargets) -> anyhow::Result<ExitCode> {
    let settings = Arc::new(Settings::load(file)?);
    let path = asked.file.display();
    let read =
        registry_file::read(&asked.file, asked.format).with_context(|| format!("cannot read {path}"))?;
    match read {
        Ok(rows) => {
            block_on(compose::with_registry(&settings, async |operator| import(operator, asked, rows).await))
        }
        Err(unreadable) => {
            if asked.output.json {
                print(&json!({ "done": false, "unreadable": unreadable.to_string() }).to_string())?;
            } else {
                note(&format!("rolecall: {path} cannot be imported: {unreadable}; nothing was changed"));
            }
            Ok(ExitCode::from(DATA_FAULT))
        }
    }
}

async fn import(operator: &Operator, asked: &ImportTargets, read: Rows) -> anyhow::Result<ExitCode> {
    let remarks: Vec<_> =
        read.rows.iter().filter_map(|row| row.remark.map(|remark| (row.number, remark))).collect();
    let existing = operator.registry.control.list_all_targets().await?;
    let existing = existing.into_iter().map(|target| (target.key.clone(), target)).collect();
    let plan = match plan(&operator.registry, read.rows, &existing).await? {
        Ok(plan) if read.faults.is_empty() => plan,
        Ok(_) => return refuse(asked, read.faults),
        Err(faults) => return refuse(asked, [read.faults, faults].concat()),
    };
    let is_done = if asked.dry_run {
        false
    } else {
        let can_ask = asked.file != Path::new("-");
        let puts = carry_out(operator, &plan, waiting(asked.fail_waiting), (asked.trusting, can_ask)).await?;
        anyhow::ensure!(puts.is_some(), "nothing was imported");
        true
    };
    let difference = Difference::new(&plan, &existing, &remarks);
    print(&if asked.output.json { difference.json(is_done).to_string() } else { difference.text(is_done) })?;
    Ok(ExitCode::SUCCESS)
}

fn refuse(asked: &ImportTargets, mut faults: Vec<RowFault>) -> anyhow::Result<ExitCode> {
    faults.sort_by_key(|fault| fault.row);
    if asked.output.json {
        print(&faults_json(&faults).to_string())?;
    } else {
        note(&format!(
            "rolecall: {} cannot be imported, nothing was changed; {} to mend:\n{}",
            asked.file.display(),
            faults.len(),
            faults_text(&faults)
        ));
    }
    Ok(ExitCode::from(DATA_FAULT))
}
