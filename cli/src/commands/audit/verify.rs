//! `rolecall audit verify`.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use rolecall_shared::audit::{Checked, Fault, PublicKey, check_bundle, split_notes};
use rolecall_shared::config;
use rolecall_shared::control::Verdict;
use serde_json::json;

use crate::args::{Output, VerifyAudit};
use crate::output::{note, print};

pub fn run(file: Option<&Path>, asked: &VerifyAudit) -> anyhow::Result<ExitCode> {
    if let Some(bundle) = &asked.bundle {
        let cannot = || format!("cannot read {}", bundle.display());
        let opened = File::open(bundle).with_context(cannot)?;
        let verdict = check_bundle(BufReader::new(opened), &asked.keys.keys).with_context(cannot)?;
        return tell(&verdict, &asked.keys.keys, asked.output);
    }
    let keys = super::public_keys(file, &asked.keys.keys)?;
    // Before the database is asked: what is in these files by now is there as well.
    let outside = outside(file, &asked.checkpoints)?;
    let verdict = super::on_control(file, async |control| control.verify_ledger(&keys, &outside).await)?;
    tell(&verdict, &keys, asked.output)
}

/// The checkpoints of the files.
fn outside(file: Option<&Path>, named: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    let mut notes = Vec::new();
    for named in named {
        let text =
            std::fs::read_to_string(named).with_context(|| format!("cannot read {}", named.display()))?;
        notes.extend(split_notes(&text));
    }
    if named.is_empty()
        && let Some(own) = config::Audit::load(file)?.checkpoint_file
    {
        match std::fs::read_to_string(&own) {
            Ok(text) => notes.extend(split_notes(&text)),
            // Where it is written need not be where it is checked.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => note(&format!(
                "{} (audit.checkpoint_file) is not there: no checkpoint that was kept outside of the database was compared",
                own.display()
            )),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", own.display())),
        }
    }
    Ok(notes)
}

fn tell(verdict: &Verdict, keys: &[PublicKey], output: Output) -> anyhow::Result<ExitCode> {
    let signatures_checked = !keys.is_empty();
    let text = match (verdict, output.json) {
        (Ok(Checked { rows, blocks, checkpoints, signed_rows }), true) => json!({
            "ok": true, "rows": rows, "blocks": blocks, "checkpoints": checkpoints, "signed_rows": signed_rows,
            "signatures_checked": signatures_checked,
        })
        .to_string(),
        (Err(Fault { row, block, what }), true) => {
            json!({ "ok": false, "row": row, "block": block, "what": what }).to_string()
        }
        (Ok(checked), false) => good(checked, signatures_checked),
        (Err(fault), false) => bad(fault),
    };
    print(&text)?;
    Ok(if verdict.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn good(checked: &Checked, signatures_checked: bool) -> String {
    let Checked { rows, blocks, checkpoints, signed_rows } = checked;
    let mut lines = vec![format!("the audit is as it was: {rows} rows in {blocks} blocks")];
    if *checkpoints == 0 {
        let unsigned =
            "no checkpoint was signed over it: it may have been written anew as a whole (docs/AUDIT.md)";
        lines.push(unsigned.to_owned());
    } else {
        lines.push(format!("{checkpoints} checkpoints fit; the last one speaks for {signed_rows} rows"));
        if !signatures_checked {
            lines.push("their signatures were not checked: name the public key with --key".to_owned());
        }
    }
    lines.join("\n")
}

fn bad(Fault { row, block, what }: &Fault) -> String {
    let place = match (row, block) {
        (Some(row), Some(block)) => format!("row {row}, block {block}: "),
        (Some(row), None) => format!("row {row}: "),
        (None, Some(block)) => format!("block {block}: "),
        (None, None) => String::new(),
    };
    format!("the audit is not as it was\n{place}{what}")
}
