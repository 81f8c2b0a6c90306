//! `rolecall config sample|check`.

use std::path::Path;
use std::process::ExitCode;

use rolecall_shared::config::{self, ConfigFaults, Settings};
use serde_json::json;

use crate::args::Output;
use crate::output::{CONFIG_FAULT, print};

pub fn sample() -> anyhow::Result<()> {
    print(&config::sample())
}

pub fn check(file: Option<&Path>, output: Output) -> anyhow::Result<ExitCode> {
    match (Settings::load(file), output.json) {
        (Ok(_), false) => print("ok")?,
        (Ok(_), true) => print(&json!({ "ok": true, "faults": [] }).to_string())?,
        (Err(faults), false) => return Err(faults.into()),
        (Err(ConfigFaults(faults)), true) => {
            print(&json!({ "ok": false, "faults": faults }).to_string())?;
            return Ok(ExitCode::from(CONFIG_FAULT));
        }
    }
    Ok(ExitCode::SUCCESS)
}
