//! Opening sessions: log-in, TLS, limits.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::config::SslMode as DriverSslMode;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::TaskTracker;

use crate::config;
use crate::domain::{DatabaseName, SslMode, Target};
use crate::seal::KeyRing;

use super::judge::{self, Phase};
use super::login::{self, Credentials};
use super::session::{Link, Session};
use super::tls::TlsConfigs;
use super::{Purpose, TargetError, Verdict};

/// What the keepalives of `driver_config` add up to; holds for unacknowledged data as well.
const TCP_GIVES_UP: Duration = Duration::from_secs(11);

/// Session settings that some servers do not take: unknown before `PostgreSQL` 14, and
/// `client_connection_check_interval` must be 0 on systems that cannot look at a socket without reading it.
const OPTIONAL: [&str; 2] = ["client_connection_check_interval", "idle_session_timeout"];

/// What our sessions call themselves (`application_name`).
pub(super) const APPLICATION_NAME: &str = "rolecall";

/// Opens sessions; knows log-ins, TLS and limits. Clones share.
#[derive(Clone)]
pub struct Connector {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Arc<config::Target>,
    default_login: Option<config::DefaultLogin>,
    ring: KeyRing,
    tls: TlsConfigs,
    connections: TaskTracker,
}

impl Connector {
    /// A connector with the operator's limits, the default log-in and the keys that open sealed passwords.
    pub fn new(
        settings: &config::Target,
        default_login: Option<config::DefaultLogin>,
        ring: KeyRing,
    ) -> Self {
        let shared = Shared {
            settings: Arc::new(settings.clone()),
            default_login,
            ring,
            tls: TlsConfigs::default(),
            connections: TaskTracker::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(super) fn target_settings(&self) -> &config::Target {
        &self.shared.settings
    }

    /// Opens a session on the target's host in a database of it.
    ///
    /// Everything from reading the password to the server's first "ready" has `connect_timeout` to happen in; a
    /// server that accepts and never answers costs no more.
    pub async fn open(
        &self,
        target: &Target,
        database: &DatabaseName,
        purpose: Purpose,
    ) -> Result<Session, TargetError> {
        let limit = self.shared.settings.connect_timeout;
        timeout(limit, self.connect(target, database, purpose))
            .await
            .unwrap_or_else(|_| Err(TargetError::timed_out(Phase::Connect, limit)))
    }

    /// Waits until the connections of all sessions are closed. Call it last: it does not close any.
    pub async fn wait_closed(&self) {
        self.shared.connections.close();
        self.shared.connections.wait().await;
    }

    async fn connect(
        &self,
        target: &Target,
        database: &DatabaseName,
        purpose: Purpose,
    ) -> Result<Session, TargetError> {
        let shared = &self.shared;
        let credentials =
            login::credentials(target, &shared.settings, shared.default_login.as_ref(), &shared.ring).await?;
        let tls = shared.tls.find(target).await?;
        let limits = purpose.limits(&shared.settings);
        let mut settings = purpose.settings(&limits);
        let link = loop {
            let config = driver_config(target, database, &credentials, &settings);
            match self.dial(config, tls.as_ref(), target.sslmode).await {
                Ok(link) => break link,
                Err(error) => match refused_setting(&error, &settings) {
                    Some(place) => drop(settings.remove(place)),
                    None => {
                        return Err(without_password(
                            TargetError::from_driver(Phase::Connect, error),
                            &credentials,
                        ));
                    }
                },
            }
        };
        Ok(Session::new(link, limits, purpose, target, database, credentials.user, shared.settings.clone()))
    }

    async fn dial(
        &self,
        mut config: Config,
        tls: Option<&MakeRustlsConnect>,
        mode: SslMode,
    ) -> Result<Link, tokio_postgres::Error> {
        let Some(tls) = tls else {
            config.ssl_mode(DriverSslMode::Disable);
            return self.dial_plain(&config).await;
        };
        let prefer = mode == SslMode::Prefer;
        config.ssl_mode(if prefer { DriverSslMode::Prefer } else { DriverSslMode::Require });
        match config.connect(tls.clone()).await {
            Ok((client, connection)) => Ok(Link::spawn(client, connection, &self.shared.connections)),
            // As libpq does it: `prefer` goes on without TLS when the handshake fails, and when the server's
            // pg_hba.conf has no line for this user with TLS.
            Err(error)
                if prefer
                    && (judge::is_tls_failure(&error)
                        || error.code().is_some_and(|code| code.code() == "28000")) =>
            {
                config.ssl_mode(DriverSslMode::Disable);
                self.dial_plain(&config).await
            }
            Err(error) => Err(error),
        }
    }

    async fn dial_plain(&self, config: &Config) -> Result<Link, tokio_postgres::Error> {
        let (client, connection) = config.connect(NoTls).await?;
        Ok(Link::spawn(client, connection, &self.shared.connections))
    }
}

/// The driver copies the password and does not wipe its copy; the configuration lives while the session opens.
fn driver_config(
    target: &Target,
    database: &DatabaseName,
    credentials: &Credentials,
    settings: &[(&'static str, String)],
) -> Config {
    let options: Vec<String> = settings.iter().map(|(name, value)| format!("-c {name}={value}")).collect();
    let mut config = Config::new();
    config
        .host(target.host.hostname())
        .port(target.host.port())
        .user(&credentials.user)
        .password(credentials.password.expose())
        .dbname(database.as_str())
        .application_name(APPLICATION_NAME)
        .options(options.join(" "))
        .keepalives_idle(Duration::from_secs(5))
        .keepalives_interval(Duration::from_secs(2))
        .keepalives_retries(3)
        .tcp_user_timeout(TCP_GIVES_UP);
    config
}

/// Which optional setting the server refused, if it was one: 42704 (unknown) or 22023 (not on this system).
fn refused_setting(error: &tokio_postgres::Error, settings: &[(&'static str, String)]) -> Option<usize> {
    let db = error.as_db_error()?;
    if !matches!(db.code().code(), "42704" | "22023") {
        return None;
    }
    settings.iter().position(|(name, _)| OPTIONAL.contains(name) && db.message().contains(name))
}

/// A server that asked for the password in clear could repeat it in its error.
fn without_password(mut error: TargetError, credentials: &Credentials) -> TargetError {
    let password = credentials.password.expose();
    let text = match &mut error.verdict {
        Verdict::Permanent { detail: text, .. }
        | Verdict::Host { cause: text }
        | Verdict::Login { cause: text } => text,
        Verdict::Exists | Verdict::TryAgain => return error,
    };
    if !password.is_empty() && text.contains(password) {
        "the server's message is left out: it repeats the password".clone_into(text);
        error.source = None;
    }
    error
}
