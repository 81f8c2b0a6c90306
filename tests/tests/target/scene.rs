//! What every test here starts from.

use std::time::Duration;

use jiff::Timestamp;
use rolecall_shared::config;
use rolecall_shared::ddl::Statement;
use rolecall_shared::domain::{
    DatabaseName, Env, HostKey, Login, LoginPassword, NameRules, RoleName, SslMode, Target, TargetKey,
};
use rolecall_shared::seal::{self, KeyRing, Password, Verifier};
use rolecall_shared::target::{Connector, Purpose, Session, TargetError, Verdict, seal_login_password};
use rolecall_tests::stack::Stack;
use tempfile::TempDir;
use tokio_util::task::TaskTracker;

/// No test waits longer for a condition.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connector, keys of its own, and a superuser's connection to the server it works on.
pub struct Scene {
    pub folder: TempDir,
    pub ring: KeyRing,
    pub settings: config::Target,
    pub connector: Connector,
    pub admin: tokio_postgres::Client,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings than the defaults.
    pub async fn with(change: impl FnOnce(&mut config::Target)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        seal::add_key(&keys, Timestamp::UNIX_EPOCH, Duration::ZERO).unwrap();
        let ring = KeyRing::load(&keys).unwrap();
        let mut settings = settings();
        change(&mut settings);
        let connector = Connector::new(&settings, None, ring.clone());
        Self { folder, ring, settings, connector, admin: admin("postgres").await }
    }

    /// The server's sample database, as its DBA role.
    pub fn target(&self) -> Target {
        self.target_as(stack().get("STACK_DBA_USER"), stack().get("STACK_DBA_PASSWORD"))
    }

    pub fn target_as(&self, user: &str, password: &str) -> Target {
        let key = TargetKey { env: Env::parse("dev").unwrap(), database: database("myapp_dev") };
        let password = Password::from_string(password.to_owned().into());
        let sealed = seal_login_password(&self.ring, &key, user, &password, Timestamp::UNIX_EPOCH).unwrap();
        Target {
            key,
            host: HostKey::new("127.0.0.1", port()).unwrap(),
            login: Login::Own { user: user.to_owned(), password: LoginPassword::Sealed(sealed) },
            sslmode: SslMode::Disable,
            ca_file: None,
            lock_database: database("postgres"),
            active: true,
            notes: String::new(),
            is_trusted: false,
            revision: 1,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    pub async fn open(&self, database: &str, purpose: Purpose) -> Session {
        self.connector.open(&self.target(), &self::database(database), purpose).await.unwrap()
    }

    /// A fresh lock database, so that a test's host lock is its own.
    pub async fn own_database(&self) -> DatabaseName {
        let name = unique("db");
        self.sql(&format!("CREATE DATABASE {name}")).await;
        database(&name)
    }

    /// As superuser, in `postgres`.
    pub async fn sql(&self, sql: &str) {
        self.admin.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// Whether a role exists, as a stranger sees it.
    pub async fn role_exists(&self, role: &RoleName) -> bool {
        let sql = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)";
        self.admin.query_one(sql, &[&role.as_str()]).await.unwrap().get(0)
    }

    /// Ends the backend of a session that holds the host lock of its database, and waits until it is gone.
    pub async fn end_backend_of(&self, session: &Session) {
        let holder = session.host_lock_holder().await.unwrap().expect("the session holds the host lock");
        let pid = holder.pid;
        self.admin.query_one("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
        until("the backend is gone", async || {
            let sql = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
            self.admin.query_one(sql, &[&pid]).await.unwrap().get(0)
        })
        .await;
    }
}

pub fn stack() -> &'static Stack {
    Stack::shared()
}

pub fn port() -> u16 {
    stack().get("STACK_TARGET_1_PORT").parse().unwrap()
}

/// A superuser's connection.
pub async fn admin(database: &str) -> tokio_postgres::Client {
    let mut config: tokio_postgres::Config = stack().get("STACK_TARGET_1_URL").parse().unwrap();
    config.dbname(database);
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    TaskTracker::new().spawn(connection);
    client
}

fn settings() -> config::Target {
    config::Target {
        connect_timeout: Duration::from_secs(5),
        lock_timeout: Duration::from_secs(5),
        statement_timeout: Duration::from_secs(10),
        idle_close: Duration::from_mins(1),
        scram_iterations: 4096,
        protected_roles: Vec::new(),
        password_folders: Vec::new(),
        password_variables: "TARGET_PASSWORD_".to_owned(),
        backoff_first: Duration::from_millis(200),
        backoff_cap: Duration::from_secs(30),
    }
}

/// A name nobody else uses: roles belong to the whole server.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}_{}", uuid::Uuid::new_v4().simple())
}

pub fn role(name: &str) -> RoleName {
    RoleName::parse(name, &NameRules::default()).unwrap()
}

pub fn database(name: &str) -> DatabaseName {
    DatabaseName::parse(name).unwrap()
}

pub fn create(role: &RoleName) -> Statement {
    Statement::CreateRole {
        role: role.clone(),
        createdb: false,
        createrole: false,
        connection_limit: 5,
        verifier: Verifier::make(&Password::from_string("secret".to_owned().into()), 4096),
    }
}

/// The cause of a host's trouble; anything else fails the test.
pub fn host_cause(error: &TargetError) -> &str {
    match &error.verdict {
        Verdict::Host { cause } => cause,
        Verdict::Permanent { .. } | Verdict::Exists | Verdict::TryAgain | Verdict::Login { .. } => {
            panic!("not the host's trouble: {error:?}")
        }
    }
}

/// Why the log-in is refused; anything else fails the test.
pub fn login_cause(error: &TargetError) -> &str {
    match &error.verdict {
        Verdict::Login { cause } => cause,
        Verdict::Permanent { .. } | Verdict::Exists | Verdict::TryAgain | Verdict::Host { .. } => {
            panic!("not a refused log-in: {error:?}")
        }
    }
}

/// Asks again until it is so.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    tokio::time::timeout(PATIENCE, async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("never: {what}"));
}
