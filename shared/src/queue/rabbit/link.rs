//! One supervised connection to the broker.
//!
//! The client's own recovery is off: it cannot know in which order a lane has to take its steps again. Whoever
//! meets an error reports it, the supervisor drops the connection with everything on it, waits with jitter and
//! connects anew; users take the new one with their next call.

use std::collections::HashSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::options::ConfirmSelectOptions;
use lapin::types::ShortString;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind};
use secrecy::ExposeSecret;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::topology::Topology;
use crate::config;
use crate::domain::{Code, Failure};
use crate::retry::Delays;

/// Seconds between heartbeats. Session settings on targets are chosen from it: three missed ones end a dead
/// worker's connection before its host lock can be taken for lost.
const HEARTBEAT_SECONDS: u16 = 4;
/// How often a connection is looked at for having died while nobody used it.
const WATCH_EVERY: Duration = Duration::from_millis(500);

/// Where the broker is, with our heartbeat and limit.
pub(super) fn uri(settings: &config::RabbitMq) -> Result<AMQPUri, Failure> {
    // The parser's message may repeat the URL, and with it the password.
    let mut uri: AMQPUri = (settings.url.expose_secret().parse())
        .map_err(|_| Failure::internal("rabbitmq.url is not an amqp:// or amqps:// URL"))?;
    uri.query.heartbeat = Some(HEARTBEAT_SECONDS);
    uri.query.connection_timeout = u64::try_from(settings.timeout.as_millis()).ok();
    Ok(uri)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Publishing,
    Consuming,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Publishing => "rolecall publishing",
            Self::Consuming => "rolecall consuming",
        }
    }
}

/// A connection that was set up, with a channel in confirm mode.
pub(super) struct Live {
    pub(super) connection: Connection,
    pub(super) channel: Channel,
    /// Queues of hosts that were declared on this connection: as many as there are hosts.
    queues: Mutex<HashSet<ShortString>>,
    broken: Notify,
}

impl Live {
    pub(super) fn has_queue(&self, name: &ShortString) -> bool {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    pub(super) fn note_queue(&self, name: ShortString) {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

/// A handle on a supervised connection; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Link {
    live: watch::Receiver<Option<Arc<Live>>>,
    timeout: Duration,
}

struct Supervisor {
    purpose: Purpose,
    uri: AMQPUri,
    timeout: Duration,
    topology: Arc<Topology>,
    live: watch::Sender<Option<Arc<Live>>>,
}

impl Link {
    pub(super) fn start(
        purpose: Purpose,
        settings: &config::RabbitMq,
        topology: Arc<Topology>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Self, Failure> {
        let uri = uri(settings)?;
        let (sender, receiver) = watch::channel(None);
        let supervisor = Supervisor { purpose, uri, timeout: settings.timeout, topology, live: sender };
        tasks.spawn(stop.clone().run_until_cancelled_owned(supervisor.run()));
        Ok(Self { live: receiver, timeout: settings.timeout })
    }

    /// The connection as it is now.
    pub(super) fn live(&self) -> Result<Arc<Live>, Failure> {
        let live = self.live.borrow().clone();
        match live {
            Some(live) if live.connection.status().blocked() => {
                Err(unavailable("RabbitMQ has blocked publishers (an alarm of memory or disk)."))
            }
            Some(live) if live.connection.status().connected() => Ok(live),
            Some(_) | None => Err(unavailable("RabbitMQ cannot be reached.")),
        }
    }

    /// Waits for a connection; for ever, if there never is one.
    pub(super) async fn connected(&self) {
        // Fails only when the supervisor has ended, and then nothing is to come.
        drop(self.live.clone().wait_for(Option::is_some).await);
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Awaits a call on a channel of this connection; an error or a timeout ends the connection.
    ///
    /// Whoever keeps a channel keeps the connection it came from as well: by the time of the call another one may
    /// be the link's, which has nothing to do with the failure.
    pub(super) async fn call_on<T>(
        &self,
        live: &Live,
        call: impl Future<Output = Result<T, lapin::Error>>,
    ) -> Result<T, Failure> {
        within(self.timeout, call).await.map_err(|error| self.failed(live, error))
    }

    /// Reports a connection as broken and phrases the failure.
    #[expect(clippy::unused_self, reason = "reads as the link's verdict at the call sites")]
    pub(super) fn failed(&self, live: &Live, error: CallError) -> Failure {
        live.broken.notify_one();
        unavailable("RabbitMQ did not answer as it should.").caused_by(error)
    }
}

/// Why a call on a connection did not end well.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("no answer from RabbitMQ in {0:?}")]
    TimedOut(Duration),
    #[error(transparent)]
    Amqp(#[from] lapin::Error),
    #[error("{0}")]
    Refused(&'static str),
}

/// Bounds a wait for the broker.
pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, lapin::Error>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => answer.map_err(CallError::from),
        Err(_) => Err(CallError::TimedOut(limit)),
    }
}

pub(super) fn unavailable(detail: &str) -> Failure {
    Failure::new(Code::BrokerUnavailable, detail)
}

/// AMQP 404: no such queue.
pub(super) fn is_not_found(error: &CallError) -> bool {
    has_reply_code(error, 404)
}

/// AMQP 403: another consumer is exclusive.
pub(super) fn is_refused(error: &CallError) -> bool {
    has_reply_code(error, 403)
}

fn has_reply_code(error: &CallError, code: u16) -> bool {
    matches!(error, CallError::Amqp(error)
        if matches!(error.kind(), ErrorKind::ProtocolError(amqp) if amqp.get_id() == code))
}

impl Supervisor {
    async fn run(self) {
        let mut delays = Delays::full_jitter(Duration::from_millis(200), Duration::from_secs(5));
        loop {
            match self.connect().await {
                Ok(live) => {
                    delays.reset();
                    tracing::info!(connection = self.purpose.name(), "connected to RabbitMQ");
                    let live = Arc::new(live);
                    self.live.send_replace(Some(Arc::clone(&live)));
                    until_broken(&live).await;
                    self.live.send_replace(None);
                    tracing::warn!(connection = self.purpose.name(), "connection to RabbitMQ lost");
                    let closing = live.connection.close(320, "connection given up".into());
                    // Best effort: the socket may be dead already.
                    drop(within(Duration::from_secs(1), closing).await);
                }
                Err(error) => {
                    tracing::warn!(connection = self.purpose.name(), %error, "cannot connect to RabbitMQ");
                }
            }
            tokio::time::sleep(delays.next_delay()).await;
        }
    }

    async fn connect(&self) -> Result<Live, CallError> {
        let properties = ConnectionProperties::default().with_connection_name(self.purpose.name().into());
        let connection = within(self.timeout, Connection::connect_uri(self.uri.clone(), properties)).await?;
        let channel = within(self.timeout, connection.create_channel()).await?;
        within(self.timeout, channel.confirm_select(ConfirmSelectOptions::default())).await?;
        within(self.timeout, self.topology.declare(&channel)).await?;
        Ok(Live { connection, channel, queues: Mutex::default(), broken: Notify::new() })
    }
}

async fn until_broken(live: &Live) {
    let mut watch = tokio::time::interval(WATCH_EVERY);
    loop {
        tokio::select! {
            () = live.broken.notified() => return,
            _ = watch.tick() => {
                if !live.connection.status().connected() || !live.channel.status().connected() {
                    return;
                }
            }
        }
    }
}
