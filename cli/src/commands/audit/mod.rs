//! `rolecall audit export|verify|prove|key`.

mod export;
mod key;
mod prove;
mod verify;

use std::path::Path;
use std::process::ExitCode;

use rolecall_shared::audit::{KeyFileError, PublicKey, load_key};
use rolecall_shared::config;
use rolecall_shared::control::Control;
use rolecall_shared::domain::Failure;

use crate::args::Audit;

pub fn run(file: Option<&Path>, command: &Audit) -> anyhow::Result<ExitCode> {
    match command {
        Audit::Export(asked) => export::run(file, asked).map(|()| ExitCode::SUCCESS),
        Audit::Verify(asked) => verify::run(file, asked),
        Audit::Prove(asked) => prove::run(file, asked),
        Audit::Key { command } => key::run(file, command).map(|()| ExitCode::SUCCESS),
    }
}

/// Asks the control database, which must be migrated.
fn on_control<T>(
    file: Option<&Path>,
    ask: impl AsyncFnOnce(&Control) -> Result<T, Failure>,
) -> anyhow::Result<T> {
    let settings = config::Control::load(file)?;
    super::block_on(async {
        let control = Control::new(&settings)?;
        control.check_migrated().await?;
        Ok(ask(&control).await?)
    })
}

/// The keys that were typed, or that of the configuration, if it has one.
fn public_keys(file: Option<&Path>, typed: &[PublicKey]) -> anyhow::Result<Vec<PublicKey>> {
    if !typed.is_empty() {
        return Ok(typed.to_vec());
    }
    let Some(key_file) = config::Audit::load(file)?.signing_key_file else { return Ok(Vec::new()) };
    match load_key(&key_file) {
        Ok(key) => Ok(vec![key.public().clone()]),
        // The key is where checkpoints are signed, and need not be where they are checked.
        Err(KeyFileError::Missing(_)) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}
