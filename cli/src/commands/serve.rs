//! `rolecall serve`: api and worker in one process.

use std::path::Path;

use super::run;
use crate::compose::{self, Process};

pub fn run(file: Option<&Path>) -> anyhow::Result<()> {
    run::service(file, async |process| {
        let for_api = run::listen_for_api(&process).await?;
        let for_worker = run::listen_for_worker(&process).await?;
        let (api, worker) = tokio::join!(
            ending(&process, compose::serve_api(&process, for_api)),
            ending(&process, compose::serve_worker(&process, for_worker)),
        );
        if let (Err(_), Err(error)) = (&api, &worker) {
            tracing::error!("the worker failed too: {error:#}");
        }
        api.and(worker)
    })
}

/// When one half ends, for whatever reason, the other is told to stop: half a service looks alive and is not.
async fn ending(process: &Process, half: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let ended = half.await;
    process.stop.cancel();
    ended
}
