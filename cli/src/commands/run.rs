//! What the services have in common: settings, log, runtime, signals, listeners.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use rolecall_api::{Certificate, Listeners, Socket};
use rolecall_shared::config::{ConfigFaults, Settings};
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
    /// The same over TLS.
    ApiTls,
    /// Health and metrics of the worker.
    Worker,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::ApiTls => "api-tls",
            Self::Worker => "worker",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Api => "api.listen",
            Self::ApiTls => "api.tls_listen",
            Self::Worker => "worker.listen",
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
    let key = part.key();
    let listener = TcpListener::bind(address).await.map_err(|error| {
        if error.kind() != io::ErrorKind::AddrInUse {
            return anyhow!("cannot listen on {address} ({key}): {error}");
        }
        anyhow!(
            "{address} ({key}) is taken by another process: stop that one, or choose another port with {key} or \
             ROLECALL__{}",
            key.to_uppercase().replace('.', "__")
        )
    })?;
    let addr = listener.local_addr().context("cannot read the address that was bound")?;
    tracing::info!(part = part.name(), %addr, "listening");
    Ok(listener)
}

/// Everything the api listens on. What is wrong with files is told at once, by key, before a port is taken.
pub async fn listen_for_api(process: &Process) -> anyhow::Result<Listeners> {
    let api = &process.settings.api;
    let mut faults = Vec::new();
    let certificate = api.tls.as_ref().and_then(|tls| match Certificate::load(tls) {
        Ok(certificate) => Some((tls.listen, certificate)),
        Err(found) => {
            faults.extend(found.0);
            None
        }
    });
    let mut unix = None;
    if let Some(setting) = &api.unix_socket {
        match Socket::bind(setting).await {
            Ok(socket) => unix = Some(socket),
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(ConfigFaults(faults).into());
    }
    let plain = listen(Part::Api, api.listen).await?;
    let tls = match certificate {
        Some((address, certificate)) => Some((listen(Part::ApiTls, address).await?, certificate)),
        None => None,
    };
    if let Some(setting) = &api.unix_socket {
        tracing::info!(part = "api-unix", path = %setting.path.display(), "listening");
    }
    Ok(Listeners { plain, tls, unix })
}

/// The worker's listener, unless it is off.
pub async fn listen_for_worker(process: &Process) -> anyhow::Result<Option<TcpListener>> {
    match process.settings.worker.listen {
        Some(address) => listen(Part::Worker, address).await.map(Some),
        None => Ok(None),
    }
}
