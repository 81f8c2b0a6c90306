//! The audit's checkpoints: signed when they are due, and kept outside of the control database too. And events that
//! somebody recorded who died before they stood in the ledger.
//!
//! Every worker does both; of several, one signs each checkpoint.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rolecall_shared::audit::SigningKey;
use rolecall_shared::control::Due;
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::Worker;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);
/// How long the hook may take.
const HOOK_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) async fn run(worker: Arc<Worker>) {
    tokio::join!(catch_up(&worker), sign(&worker));
}

async fn catch_up(worker: &Worker) {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(failure) = worker.control.catch_up().await {
            tracing::debug!(%failure, "the audit's inbox not looked at");
        }
    }
}

async fn sign(worker: &Worker) {
    let Some(key) = &worker.audit_key else {
        tracing::warn!(
            "audit.signing_key_file is not set: no checkpoints of the audit are signed; `rolecall audit key create`"
        );
        return;
    };
    loop {
        sign_due(worker, key).await;
        tokio::time::sleep(EVERY).await;
    }
}

async fn sign_due(worker: &Worker, key: &SigningKey) {
    let settings = &worker.settings.audit;
    let due = Due { every: settings.checkpoint_every, rows: settings.checkpoint_rows };
    let notes = match worker.control.sign_due(key, due).await {
        Ok(notes) => notes,
        Err(failure) => {
            tracing::warn!(%failure, cause = failure.cause_chain(), "no checkpoint of the audit could be signed");
            return;
        }
    };
    for note in &notes {
        worker.metrics.checkpoint_signed();
        if let Some(file) = &settings.checkpoint_file
            && let Err(error) = append(file, note).await
        {
            tracing::error!(%error, file = %file.display(), "a checkpoint of the audit is not in the file outside");
        }
        if let Some((program, arguments)) = settings.checkpoint_hook.split_first()
            && let Err(error) = tell(program, arguments, note).await
        {
            tracing::error!(%error, program, "audit.checkpoint_hook has not taken a checkpoint of the audit");
        }
    }
}

async fn append(file: &Path, note: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(file).await?;
    let before = file.metadata().await?.len();
    let written = write(&mut file, note).await;
    if written.is_err() {
        // A part of a note would spoil those that come after it.
        file.set_len(before).await?;
    }
    written
}

async fn write(file: &mut File, note: &str) -> std::io::Result<()> {
    file.write_all(format!("{note}\n").as_bytes()).await?;
    // What is written in the background has failed here at the latest.
    file.flush().await?;
    file.sync_data().await
}

/// Gives the hook a checkpoint. It has a share in nothing: no variables of ours but the path of programs.
async fn tell(program: &str, arguments: &[String], note: &str) -> std::io::Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    let told = async {
        let mut child = command.spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(note.as_bytes()).await?;
        }
        let status = child.wait().await?;
        if status.success() { Ok(()) } else { Err(std::io::Error::other(format!("it ended with {status}"))) }
    };
    let late = || std::io::Error::new(std::io::ErrorKind::TimedOut, "it took more than 30 seconds");
    tokio::time::timeout(HOOK_TIMEOUT, told).await.map_err(|_| late())?
}
