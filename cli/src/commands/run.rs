//! What the services have in common: settings, log, runtime, signals, listeners.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use rolecall_shared::config::Settings;
use rolecall_shared::telemetry::{self, Metrics};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::compose::Process;

/// How long threads that block (a DNS look-up, a password hash) may hold up the exit after a service has ended.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Who listens.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// The HTTP door.
    Api,
    /// Health and metrics of the worker.
    Worker,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
        }
    }
}

/// Runs a service until it ends or the process is told to stop.
pub fn service(
    file: Option<&Path>,
    run: impl AsyncFnOnce(Process) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let settings = Settings::load(file)?;
    super::install_crypto();
    telemetry::init(&settings.log);
    let process = Process {
        settings: Arc::new(settings),
        metrics: Metrics::new(env!("CARGO_PKG_VERSION")),
        stop: CancellationToken::new(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the async runtime")?;
    let ended = runtime.block_on(async {
        let tasks = TaskTracker::new();
        stop_on_signals(&tasks, process.stop.clone()).context("cannot listen for signals")?;
        run(process).await
    });
    runtime.shutdown_timeout(EXIT_TIMEOUT);
    ended
}

/// The first SIGTERM or SIGINT stops gracefully. A second one of either ends the process at once with the code a
/// shell reports for that signal: jobs are then where a crash would leave them, which is a state they survive.
fn stop_on_signals(tasks: &TaskTracker, stop: CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tasks.spawn(async move {
        let (name, _) = next_signal(&mut terminate, &mut interrupt).await;
        tracing::info!(signal = name, "stopping");
        stop.cancel();
        let (name, code) = next_signal(&mut terminate, &mut interrupt).await;
        tracing::warn!(signal = name, "leaving at once");
        std::process::exit(code);
    });
    Ok(())
}

async fn next_signal(terminate: &mut Signal, interrupt: &mut Signal) -> (&'static str, i32) {
    tokio::select! {
        _ = terminate.recv() => ("SIGTERM", 143),
        _ = interrupt.recv() => ("SIGINT", 130),
    }
}

/// Binds, and logs the address that it got: with port 0 nobody else knows it.
pub async fn listen(part: Part, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let name = part.name();
    let listener = TcpListener::bind(address).await.map_err(|error| {
        if error.kind() != io::ErrorKind::AddrInUse {
            return anyhow!("cannot listen on {address} ({name}.listen): {error}");
        }
        anyhow!(
            "{address} ({name}.listen) is taken by another process: stop that one, or choose another port with \
             {name}.listen or ROLECALL__{}__LISTEN",
            name.to_uppercase()
        )
    })?;
    let addr = listener.local_addr().context("cannot read the address that was bound")?;
    tracing::info!(part = name, %addr, "listening");
    Ok(listener)
}

/// The worker's listener, unless it is off.
pub async fn listen_for_worker(process: &Process) -> anyhow::Result<Option<TcpListener>> {
    match process.settings.worker.listen {
        Some(address) => listen(Part::Worker, address).await.map(Some),
        None => Ok(None),
    }
}
