//! `rolecall audit key create|show`.

use std::path::{Path, PathBuf};

use rolecall_shared::audit::{PublicKey, create_key, load_key};
use rolecall_shared::config::{self, ConfigFaults};
use serde_json::json;

use crate::args::{AuditKey, Output};
use crate::output::print;

pub fn run(file: Option<&Path>, command: &AuditKey) -> anyhow::Result<()> {
    match command {
        AuditKey::Create { name, output } => tell(create_key(&key_file(file)?, name)?.public(), *output),
        AuditKey::Show(output) => tell(load_key(&key_file(file)?)?.public(), *output),
    }
}

fn key_file(file: Option<&Path>) -> anyhow::Result<PathBuf> {
    let missing = || {
        let fault =
            "audit.signing_key_file: is missing; it is where `rolecall audit key create` makes the key";
        ConfigFaults(vec![fault.to_owned()])
    };
    Ok(config::Audit::load(file)?.signing_key_file.ok_or_else(missing)?)
}

fn tell(key: &PublicKey, output: Output) -> anyhow::Result<()> {
    if output.json {
        return print(&json!({ "name": key.name(), "public_key": key.to_string() }).to_string());
    }
    print(&key.to_string())
}
