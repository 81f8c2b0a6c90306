//! The connection for commands: one, shared, made again whenever it breaks; and what its errors mean.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    Client, Cmd, ConnectionInfo, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline, ProtocolVersion,
    RedisError, RedisResult, ScriptInvocation, ServerErrorKind,
};
use secrecy::ExposeSecret;
use tokio::sync::watch;

use crate::config;
use crate::domain::{Code, Failure};

/// The longest pause between two attempts to connect, and so about how long an outage seems to last after its end.
const RECONNECT_CAP: Duration = Duration::from_millis(250);

/// Why the store cannot be reached, as the subscription last saw it; none if all is well.
pub(super) type LastFault = watch::Sender<Option<String>>;

/// A client for the configured server. Connects to nothing yet.
pub(super) fn client(settings: &config::Redis) -> Result<Client, Failure> {
    let info = settings.url.expose_secret().into_connection_info().map_err(Failure::internal)?;
    Client::open(with_limits(info, settings.timeout)).map_err(Failure::internal)
}

/// RESP3 because over it the connection notices by itself that it broke: with RESP2 the first command after an idle
/// outage would fail. The TCP limits are for peers that vanish without a word.
fn with_limits(info: ConnectionInfo, timeout: Duration) -> ConnectionInfo {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(5))
        .with_interval(Duration::from_secs(2))
        .with_retries(3);
    let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let tcp = tcp.set_user_timeout(timeout.saturating_mul(4));
    let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    info.set_tcp_settings(tcp).set_redis_settings(redis)
}

/// Carries commands, each within the timeout.
pub(super) struct Link {
    manager: ConnectionManager,
    timeout: Duration,
    fault: LastFault,
}

impl Link {
    /// Connects lazily, so that a process starts while Redis is away. Must be called within a runtime.
    pub(super) fn new(client: Client, timeout: Duration, fault: LastFault) -> Result<Self, Failure> {
        let config = ConnectionManagerConfig::new()
            .set_min_delay(Duration::from_millis(20))
            .set_max_delay(RECONNECT_CAP)
            // It must never stop trying: once it does, the next command fails with the error it stopped on, however
            // long Redis has been back by then. Callers are bounded by the timeout below.
            .set_number_of_retries(usize::MAX)
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout));
        let manager = ConnectionManager::new_lazy_with_config(client, config).map_err(Failure::internal)?;
        Ok(Self { manager, timeout, fault })
    }

    /// Runs a script; loads it first if the server does not know it (a restart, `SCRIPT FLUSH`).
    pub(super) async fn invoke<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T, Failure> {
        self.bounded(call.invoke_async(&mut self.manager.clone())).await
    }

    /// Runs a command.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        self.bounded(command.query_async(&mut self.manager.clone())).await
    }

    /// Runs commands in one round trip.
    pub(super) async fn pipeline<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Failure> {
        self.bounded(commands.query_async(&mut self.manager.clone())).await
    }

    async fn bounded<T>(&self, answer: impl Future<Output = RedisResult<T>>) -> Result<T, Failure> {
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(answer) => answer.map_err(failure),
            Err(elapsed) => {
                let fault = self.fault.borrow().clone();
                Err(unavailable().caused_by(fault.unwrap_or_else(|| elapsed.to_string())))
            }
        }
    }
}

fn unavailable() -> Failure {
    Failure::new(Code::TicketStoreUnavailable, "The ticket store does not answer; try again.")
}

/// A fault in a script or in the shape of an answer is ours. All else means that the store cannot do its part now:
/// the network, and also `LOADING`, `MISCONF`, `OOM`, `READONLY`, `NOAUTH`.
fn failure(error: RedisError) -> Failure {
    let ours = matches!(
        error.kind(),
        ErrorKind::UnexpectedReturnType | ErrorKind::Server(ServerErrorKind::ResponseError)
    ) || error.code() == Some("WRONGTYPE");
    if ours { Failure::internal(error) } else { unavailable().caused_by(error) }
}
