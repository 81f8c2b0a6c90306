//! From settings to a running api or worker: the only place that knows every implementation.

use std::sync::Arc;
use std::time::Duration;

use rolecall_api::Listeners;
use rolecall_api::dead::DeadLetters;
use rolecall_api::health::{self, Health};
use rolecall_api::registry::Registry;
use rolecall_shared::audit::load_key;
use rolecall_shared::config::{self, ConfigFaults, NO_ACCOUNT, Settings};
use rolecall_shared::control::{Control, Outbox};
use rolecall_shared::domain::{Clock, Failure, SystemClock};
use rolecall_shared::notify::Notifier;
use rolecall_shared::outbound::{Outbound, SystemLookup, own_hosts};
use rolecall_shared::queue::{Queue, RabbitQueue};
use rolecall_shared::seal::{KeyRing, RELOAD_EVERY};
use rolecall_shared::target::{Connector, IdleSessions};
use rolecall_shared::telemetry::Metrics;
use rolecall_shared::tickets::{RedisTickets, Tickets};
use rolecall_worker::Worker;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::output;

/// How long connections may take to close when everything else has ended.
const CLOSING: Duration = Duration::from_secs(2);
/// The longest wait for the control database while a list of targets is imported.
const LONG_LIST: Duration = Duration::from_mins(1);

/// What the parts of one process share.
#[derive(Debug, Clone)]
pub struct Process {
    /// Everything, checked.
    pub settings: Arc<Settings>,
    /// The metrics of the process.
    pub metrics: Metrics,
    /// Cancelled when the process is to stop.
    pub stop: CancellationToken,
}

/// Serves HTTP on the listeners until the process is to stop, then within `api.grace`.
pub async fn serve_api(process: &Process, listeners: Listeners) -> anyhow::Result<()> {
    let servers = Servers::connect(process).map_err(|failure| described(&failure))?;
    servers.check_account(&process.settings).await?;
    let parts = rolecall_api::Parts {
        settings: Arc::clone(&process.settings),
        control: servers.control.clone(),
        tickets: Arc::clone(&servers.tickets),
        queue: Arc::clone(&servers.queue),
        connector: servers.connector.clone(),
        outbound: servers.outbound.clone(),
        keys: servers.keys.clone(),
        clock: Arc::clone(&servers.clock),
        metrics: process.metrics.clone(),
    };
    let served = rolecall_api::run(parts, listeners, process.stop.clone()).await;
    servers.disconnect().await;
    Ok(served?)
}

/// Works on jobs until the process is to stop, then within `worker.grace`; answers health and metrics on the
/// listener, if there is one.
pub async fn serve_worker(process: &Process, listener: Option<TcpListener>) -> anyhow::Result<()> {
    let servers = Servers::connect(process).map_err(|failure| described(&failure))?;
    let audit_key = process.settings.audit.signing_key_file.as_deref().map(load_key).transpose()?;
    let worker = Arc::new(Worker {
        settings: Arc::clone(&process.settings),
        control: servers.control.clone(),
        outbox: Outbox::new(&process.settings.control).map_err(|failure| described(&failure))?,
        notifier: notifier(&process.settings, &servers.control, &servers.clock)
            .map_err(|failure| described(&failure))?,
        outbound: servers.outbound.clone(),
        tickets: Arc::clone(&servers.tickets),
        queue: Arc::clone(&servers.queue),
        sessions: IdleSessions::new(servers.connector.clone()),
        connector: servers.connector.clone(),
        keys: servers.keys.clone(),
        audit_key,
        clock: Arc::clone(&servers.clock),
        metrics: process.metrics.clone(),
    });
    let ended = CancellationToken::new();
    if let Some(listener) = listener {
        let health = Health {
            control: servers.control.clone(),
            tickets: Arc::clone(&servers.tickets),
            queue: Arc::clone(&servers.queue),
            metrics: process.metrics.clone(),
            stop: process.stop.clone(),
        };
        let serve = axum::serve(listener, health::router(health))
            .with_graceful_shutdown(ended.clone().cancelled_owned());
        servers.tasks.spawn(async move {
            if let Err(error) = serve.await {
                tracing::warn!(%error, "health and metrics are not served any more");
            }
        });
    }
    let in_time = rolecall_worker::run(Arc::clone(&worker), process.stop.clone()).await;
    ended.cancel();
    worker.sessions.clear();
    servers.disconnect().await;
    if !in_time {
        anyhow::bail!(
            "lanes were still at work when the grace time ended; the broker gives their jobs to others"
        );
    }
    Ok(())
}

/// What an operator works with on the registry.
pub struct Operator {
    /// Asks nobody for the right; see `rolecall_api::registry`.
    pub registry: Registry,
    broker: Arc<RabbitQueue>,
}

impl Operator {
    /// Waits for the broker, for at most `rabbitmq.timeout`. Whoever cannot do without it is told by what he asks of it.
    pub async fn connected(&self) {
        if let Err(failure) = self.broker.connected(self.registry.settings.rabbitmq.timeout).await {
            output::note(&format!(
                "rolecall: {}; hosts are not told of the change at once",
                failure.detail()
            ));
        }
    }
}

/// Does an operator's work on the registry. Needs the control database; broker and Redis only where hosts have to be told
/// or asked.
pub async fn with_registry<T>(
    settings: &Arc<Settings>,
    work: impl AsyncFnOnce(&Operator) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (tasks, disconnect) = (TaskTracker::new(), CancellationToken::new());
    let broker = RabbitQueue::start(&settings.rabbitmq, &tasks, &disconnect)?;
    let registry = Registry {
        settings: Arc::clone(settings),
        control: Control::new(&patient(settings))?,
        tickets: RedisTickets::connect(&settings.redis, &settings.tickets, &tasks, disconnect.clone())?,
        queue: Arc::clone(&broker) as Arc<dyn Queue>,
        keys: KeyRing::load(&settings.seal.key_file).map_err(Failure::internal)?,
        clock: Arc::new(SystemClock),
    };
    let done = work(&Operator { registry, broker }).await;
    close(&tasks, &disconnect).await;
    done
}

/// A handle on the control database as the owner of its tables.
pub fn as_owner(settings: &Settings) -> Result<Control, Failure> {
    Control::as_owner(&patient(settings))
}

/// A long list is one transaction, which takes longer than a caller of the API is kept waiting.
fn patient(settings: &Settings) -> config::Control {
    config::Control { timeout: settings.control.timeout.max(LONG_LIST), ..settings.control.clone() }
}

/// Ends what a command has begun.
async fn close(tasks: &TaskTracker, disconnect: &CancellationToken) {
    disconnect.cancel();
    tasks.close();
    // What is still open ends with the process.
    _ = tokio::time::timeout(CLOSING, tasks.wait()).await;
}

/// Does an operator's work on the dead queue, as soon as the broker answers; within `rabbitmq.timeout`, or not at all.
pub async fn with_dead_letters<T>(
    settings: &Settings,
    work: impl AsyncFnOnce(&DeadLetters) -> Result<T, Failure>,
) -> anyhow::Result<T> {
    let (tasks, disconnect) = (TaskTracker::new(), CancellationToken::new());
    let queue = RabbitQueue::start(&settings.rabbitmq, &tasks, &disconnect)?;
    let letters = DeadLetters {
        control: Control::new(&settings.control)?,
        tickets: RedisTickets::connect(&settings.redis, &settings.tickets, &tasks, disconnect.clone())?,
        queue: Arc::clone(&queue) as Arc<dyn Queue>,
        clock: Arc::new(SystemClock),
        confirm_timeout: settings.api.confirm_timeout,
    };
    let done = match queue.connected(settings.rabbitmq.timeout).await {
        Ok(()) => work(&letters).await,
        Err(failure) => Err(failure),
    };
    close(&tasks, &disconnect).await;
    Ok(done?)
}

/// Connections to our own servers, each with its supervisor.
struct Servers {
    control: Control,
    tickets: Arc<dyn Tickets>,
    queue: Arc<dyn Queue>,
    keys: KeyRing,
    connector: Connector,
    outbound: Outbound,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
    /// Ends the supervisors; later than the process is told to stop, since stopping needs the servers.
    disconnect: CancellationToken,
}

impl Servers {
    /// Waits for no server: until one answers, what needs it fails, and readiness says so.
    fn connect(process: &Process) -> Result<Self, Failure> {
        let settings = &process.settings;
        let (tasks, disconnect) = (TaskTracker::new(), CancellationToken::new());
        let keys = KeyRing::load(&settings.seal.key_file).map_err(Failure::internal)?;
        tasks.spawn(disconnect.clone().run_until_cancelled_owned(reload(keys.clone())));
        let control = Control::new(&settings.control)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Ok(Self {
            outbound: outbound(&settings.outbound, settings, &control, &clock)?,
            control,
            tickets: RedisTickets::connect(&settings.redis, &settings.tickets, &tasks, disconnect.clone())?,
            queue: RabbitQueue::start(&settings.rabbitmq, &tasks, &disconnect)?,
            connector: Connector::new(&settings.target, settings.default_login.clone(), keys.clone()),
            keys,
            clock,
            tasks,
            disconnect,
        })
    }

    /// Without any account nobody could call. A control database that is away is no reason to stay down: it may
    /// come back, and until then every call says so.
    async fn check_account(&self, settings: &Settings) -> anyhow::Result<()> {
        if settings.account.is_some() {
            return Ok(());
        }
        match self.control.has_accounts().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ConfigFaults(vec![NO_ACCOUNT.to_owned()]).into()),
            Err(failure) => {
                tracing::warn!(%failure, "cannot see whether there is an account");
                Ok(())
            }
        }
    }

    async fn disconnect(self) {
        self.disconnect.cancel();
        self.tasks.close();
        let closed = async {
            self.tasks.wait().await;
            self.connector.wait_closed().await;
        };
        if tokio::time::timeout(CLOSING, closed).await.is_err() {
            tracing::debug!("connections were still open at the end");
        }
    }
}

fn outbound(
    rules: &config::Outbound,
    settings: &Settings,
    control: &Control,
    clock: &Arc<dyn Clock>,
) -> Result<Outbound, Failure> {
    let (own, targets) = (own_hosts(settings), Arc::new(control.clone()));
    let lookup = Arc::new(SystemLookup);
    Outbound::new(rules, own, targets, lookup, Arc::clone(clock)).map_err(Failure::internal)
}

/// What sends notifications: through the same checks as webhooks, but for channels that the operator trusts.
pub fn notifier(settings: &Settings, control: &Control, clock: &Arc<dyn Clock>) -> Result<Notifier, Failure> {
    let guarded = outbound(&settings.outbound, settings, control, clock)?;
    let trusted = outbound(&settings.outbound.opened(), settings, control, clock)?;
    let timeout = settings.webhooks.timeout;
    Ok(Notifier::new(&settings.notify, guarded, trusted, Arc::clone(clock), timeout))
}

/// A key that was added is known here before any process seals with it.
async fn reload(keys: KeyRing) {
    let mut every = tokio::time::interval(RELOAD_EVERY);
    loop {
        every.tick().await;
        if let Err(error) = keys.reload() {
            tracing::warn!(%error, "the key file cannot be read again; the keys stay as they were");
        }
    }
}

fn described(failure: &Failure) -> anyhow::Error {
    match failure.cause_chain() {
        Some(cause) => anyhow::anyhow!(cause),
        None => anyhow::anyhow!("{failure}"),
    }
}
