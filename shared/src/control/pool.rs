//! Connections to the control database. Nothing here waits longer than `control.timeout`.

use std::fmt;
use std::time::Duration;

use deadpool_postgres::{Client, Manager, ManagerConfig, RecyclingMethod, Runtime};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Config, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::Error;
use super::tls;
use crate::domain::{Code, Failure};

/// What our sessions are called in `pg_stat_activity`.
const APPLICATION_NAME: &str = "rolecall";

/// TCP keepalive: a server that vanished without a word is noticed after about 11 s even where nobody waits.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_RETRIES: u32 = 3;

/// How a session guards the server against us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// The server ends a statement and an idle transaction after `control.timeout`, so that a call nobody waits for
    /// any more holds no locks.
    Service,
    /// The same, and a commit is not waited for on the disk: what is lost is done again.
    Outbox,
    /// Migrations may take as long as they need.
    Migrations,
}

type TlsStream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// Shared by all clones.
#[derive(Clone)]
pub(super) struct Pool {
    connections: deadpool_postgres::Pool,
    config: Config,
    timeout: Duration,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("status", &self.connections.status()).finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool of at most `size` connections; opens none yet.
    pub(super) fn new(
        url: &SecretString,
        size: usize,
        timeout: Duration,
        guard: Guard,
    ) -> Result<Self, Failure> {
        let mut config = parse(url)?;
        config
            .connect_timeout(timeout)
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVE_RETRIES)
            .tcp_user_timeout(timeout.saturating_add(KEEPALIVE_IDLE));
        if config.get_application_name().is_none() {
            config.application_name(APPLICATION_NAME);
        }
        let commits = match guard {
            Guard::Service => Some(""),
            Guard::Outbox => Some(" -c synchronous_commit=off"),
            Guard::Migrations => None,
        };
        if let Some(commits) = commits {
            let limits = format!(
                "{} -c statement_timeout={ms} -c idle_in_transaction_session_timeout={ms}{commits}",
                config.get_options().unwrap_or_default(),
                ms = timeout.as_millis().max(1)
            );
            config.options(limits.trim_start());
        }
        let connector = tls::connector(config.get_ssl_mode()).map_err(Failure::internal)?;
        // `Fast` looks only whether the connection is closed. A dead one that does not look it costs one call its
        // timeout; that call then throws away all idle ones (see `run`).
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let connections =
            deadpool_postgres::Pool::builder(Manager::from_config(config.clone(), connector, recycling))
                .max_size(size)
                .wait_timeout(Some(timeout))
                .create_timeout(Some(timeout))
                .recycle_timeout(Some(timeout))
                .runtime(Runtime::Tokio1)
                .build()
                .map_err(Failure::internal)?;
        Ok(Self { connections, config, timeout })
    }

    /// Does `work` on a connection. Waiting for the connection, opening it and all of the work together end within
    /// `control.timeout`.
    ///
    /// After anything but success or a refusal the connection is closed and not used again: the work may have been
    /// stopped in the middle of an answer or a transaction.
    pub(super) async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + self.timeout;
        let mut lease = self.lease(deadline).await?;
        let result = match timeout_at(deadline, work(lease.client()?)).await {
            Ok(result) => result,
            Err(_) => Err(Error::TimedOut),
        };
        match &result {
            Ok(_) | Err(Error::Refused(_)) => lease.give_back(),
            // The other idle connections most likely lead to the same dead server.
            Err(error) if error.is_unavailable() => drop(self.connections.retain(|_, _| false)),
            Err(_) => {}
        }
        result
    }

    /// A connection for as long as it is held; closed when it is dropped.
    pub(super) async fn session(&self) -> Result<Lease, Error> {
        self.lease(Instant::now() + self.timeout).await
    }

    /// The longest wait for an answer.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A connection that is none of the pool's, to be driven by whoever asks for it.
    pub(super) async fn connect_alone(
        &self,
    ) -> Result<(tokio_postgres::Client, tokio_postgres::Connection<Socket, TlsStream>), Error> {
        let tls = tls::connector(self.config.get_ssl_mode()).map_err(|error| Error::Away(error.into()))?;
        let connecting = self.config.connect(tls);
        let connected = tokio::time::timeout(self.timeout, connecting).await.map_err(|_| Error::TimedOut)?;
        connected.map_err(|error| Error::Away(super::error::described(error)))
    }

    async fn lease(&self, deadline: Instant) -> Result<Lease, Error> {
        match timeout_at(deadline, self.connections.get()).await {
            Ok(Ok(connection)) => Ok(Lease(Some(connection))),
            Ok(Err(deadpool_postgres::PoolError::Backend(error))) => {
                Err(Error::Away(super::error::described(error)))
            }
            Ok(Err(error)) => Err(Error::Away(error.into())),
            Err(_) => Err(Error::Away("no connection within control.timeout".into())),
        }
    }
}

/// A connection that is closed when dropped, unless it was given back. A call can be dropped at any await (a caller
/// who hangs up, a timeout), and then nobody knows what its connection is in the middle of.
pub(super) struct Lease(Option<Client>);

impl Lease {
    /// The connection.
    pub(super) fn client(&mut self) -> Result<&mut Client, Error> {
        self.0.as_mut().ok_or_else(|| Error::Away("the connection was given back".into()))
    }

    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Client::take(connection));
        }
    }
}

/// Reads a URL. The driver's own complaint is not repeated: a password with an unescaped `@`, `/` or `?` in it ends
/// up in the wrong part of the URL, and so in the complaint.
pub(super) fn parse(url: &SecretString) -> Result<Config, Failure> {
    let config: Config = url.expose_secret().parse().map_err(|_| {
        Failure::new(
            Code::Internal,
            "control.url and control.owner_url must be PostgreSQL URLs \
             (postgres://user:password@host:port/database?sslmode=require; sslmode is disable, prefer or require, \
             and special characters in the password are written as %XX)",
        )
    })?;
    if config.get_hosts().is_empty() || config.get_user().is_none() {
        return Err(Failure::new(Code::Internal, "control.url must name a host and a user"));
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faulty_url_is_refused_without_its_password() {
        for url in [
            "postgres://u:hunter2@h:x/d",
            "postgres://u:p@h/d?hunter2=1",
            "host=h hunter2",
            "postgres://:hunter2@/d",
            "hunter2",
        ] {
            let failure = parse(&SecretString::from(url)).unwrap_err();
            let text = format!("{failure} {failure:?} {:?}", failure.cause_chain());
            assert!(!text.contains("ter2"), "{text}");
        }
    }

    #[test]
    fn the_password_is_not_in_the_debug_text() {
        let url = SecretString::from("postgres://u:hunter2@h/d");
        let pool = Pool::new(&url, 1, Duration::from_secs(1), Guard::Service).unwrap();
        assert!(!format!("{pool:?}").contains("hunter2"));
    }
}
