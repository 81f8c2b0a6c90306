//! `rolecall audit prove`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use rolecall_shared::audit::{Proof, PublicKey};
use serde_json::json;

use crate::args::{Output, ProveAudit};
use crate::output::print;

pub fn run(file: Option<&Path>, asked: &ProveAudit) -> anyhow::Result<ExitCode> {
    if let Some(proof) = &asked.check {
        return check(proof, &asked.keys.keys, asked.output);
    }
    let seq = asked.seq.unwrap_or_default();
    let proof = super::on_control(file, async |control| control.prove_event(seq).await)?;
    print(&serde_json::to_string_pretty(&proof)?)?;
    Ok(ExitCode::SUCCESS)
}

fn check(file: &Path, keys: &[PublicKey], output: Output) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let proof: Proof =
        serde_json::from_str(&text).with_context(|| format!("{} is not a proof", file.display()))?;
    let (text, code) = match (proof.check(keys), output.json) {
        (Ok((row, checkpoint)), true) => {
            let text = json!({ "ok": true, "row": row, "checkpoint": checkpoint.number, "signed_at": checkpoint.at });
            (text.to_string(), ExitCode::SUCCESS)
        }
        (Ok((row, checkpoint)), false) => {
            let (seq, number, at) = (row.seq, checkpoint.number, checkpoint.at);
            let text =
                format!("row {seq} stands under checkpoint {number}, signed at {at}:\n{}", row.to_text());
            (text, ExitCode::SUCCESS)
        }
        (Err(fault), true) => {
            (json!({ "ok": false, "what": fault.to_string() }).to_string(), ExitCode::FAILURE)
        }
        (Err(fault), false) => (format!("it proves nothing: {fault}"), ExitCode::FAILURE),
    };
    print(&text)?;
    Ok(code)
}
