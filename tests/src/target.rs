//! A target server as a test sees it.

use serde_json::{Value, json};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use crate::stack::{Stack, checkout};

/// One of the stack's target clusters, with a database and a lock database of an installation's own.
///
/// Roles are cluster-wide and the clusters are shared, so a test makes its role names unique
/// ([`Installation::role`](crate::Installation::role)).
#[derive(Debug, Clone)]
pub struct Target {
    /// From 1, as in `STACK_TARGET_1_URL`.
    pub number: usize,
    /// Always 127.0.0.1.
    pub hostname: String,
    /// The cluster's port.
    pub port: u16,
    /// A database like the stack's `myapp_dev` (owner `app_owner`, a table `public.orders`), of this test only.
    pub database: String,
    /// Where the host lock is taken. Of this test only, so that tests do not wait for each other.
    pub lock_database: String,
    superuser_url: String,
    dba: [String; 2],
}

impl Target {
    /// The cluster with its databases as the stack made them; everybody who uses these shares one host lock.
    pub fn of(stack: &Stack, number: usize) -> Self {
        let port = stack.get(&format!("STACK_TARGET_{number}_PORT"));
        Self {
            number,
            hostname: "127.0.0.1".to_owned(),
            port: port.parse().expect("a port is a number"),
            database: "myapp_dev".to_owned(),
            lock_database: "postgres".to_owned(),
            superuser_url: stack.get(&format!("STACK_TARGET_{number}_URL")).to_owned(),
            dba: ["STACK_DBA_USER", "STACK_DBA_PASSWORD"].map(|key| stack.get(key).to_owned()),
        }
    }

    /// The cluster with new databases, which no other test uses.
    pub async fn private(stack: &Stack, number: usize, suffix: &str) -> Self {
        let target = Self {
            database: format!("app{number}_{suffix}"),
            lock_database: format!("lock_{suffix}"),
            ..Self::of(stack, number)
        };
        target.create_database(&target.database).await;
        let superuser = target.superuser("postgres").await;
        let create = format!("CREATE DATABASE {}", target.lock_database);
        superuser.batch_execute(&create).await.expect("a superuser may make databases");
        target
    }

    /// Makes one more database like `myapp_dev`. The name is not quoted.
    pub async fn create_database(&self, name: &str) {
        let seed = std::fs::read_to_string(checkout().join("tests/stack/seed/myapp_dev.sql"))
            .expect("the stack has its seeds");
        let superuser = self.superuser("postgres").await;
        let create = format!("CREATE DATABASE {name} OWNER app_owner");
        superuser.batch_execute(&create).await.expect("a superuser may make databases");
        self.superuser(name).await.batch_execute(&seed).await.expect("the seed is valid SQL");
    }

    /// The same as Rolecall reaches it on another port, such as a [`Gateway`](crate::Gateway)'s.
    #[must_use]
    pub fn behind(&self, port: u16) -> Self {
        Self { port, ..self.clone() }
    }

    /// hostname:port.
    pub fn host(&self) -> String {
        format!("{}:{}", self.hostname, self.port)
    }

    /// The body that registers it, with the default log-in.
    pub fn registration(&self) -> Value {
        json!({ "hostname": self.hostname, "port": self.port, "lock_database": self.lock_database })
    }

    /// The body of a job that makes a role of the kind `devqa` here, where it is registered in the env `dev`.
    pub fn create_role(&self, role: &str) -> Value {
        json!({
            "operation": "create_role", "kind": "devqa", "username": role,
            "env": "dev", "database": self.database,
        })
    }

    /// A session as superuser, to see and do what Rolecall may not.
    pub async fn superuser(&self, database: &str) -> Client {
        let mut config: Config = self.superuser_url.parse().expect("the stack's URLs are valid");
        connect(config.dbname(database)).await.expect("the superuser may log in")
    }

    /// Keeps the server's next role from being made or changed, until the session is dropped.
    pub async fn lock_roles(&self) -> Client {
        let session = self.superuser("postgres").await;
        let lock = "BEGIN; LOCK TABLE pg_authid IN SHARE ROW EXCLUSIVE MODE";
        session.batch_execute(lock).await.expect("a superuser may lock any table");
        session
    }

    /// A session as the role that Rolecall logs in as.
    pub async fn dba(&self, database: &str) -> Client {
        let [user, password] = &self.dba;
        self.login(user, password, database).await.expect("the DBA role may log in")
    }

    /// A real log-in over TCP with a password.
    ///
    /// # Errors
    /// Whatever the server says.
    pub async fn login(
        &self,
        user: &str,
        password: &str,
        database: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        let mut config = Config::new();
        config.host(&self.hostname).port(self.port).user(user).password(password).dbname(database);
        connect(&config).await
    }

    /// Whether the server lets this role in with this password; any other fault than a refused password panics.
    pub async fn accepts(&self, user: &str, password: &str) -> bool {
        match self.login(user, password, &self.database).await {
            Ok(_) => true,
            Err(error) if error.code() == Some(&SqlState::INVALID_PASSWORD) => false,
            Err(error) => panic!("the log-in of {user} fails otherwise: {error:?}"),
        }
    }

    /// The one text that a query of a superuser answers; none for no row or NULL.
    pub async fn text(&self, query: &str, parameters: &[&str]) -> Option<String> {
        let parameters: Vec<_> =
            parameters.iter().map(|p| p as &(dyn tokio_postgres::types::ToSql + Sync)).collect();
        let superuser = self.superuser(&self.database).await;
        let row = superuser.query_opt(query, &parameters).await.expect("the query of the test is valid");
        row.and_then(|row| row.get(0))
    }
}

async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    #[expect(clippy::disallowed_methods, reason = "ends with the session, or with the runtime of the test")]
    tokio::spawn(connection);
    Ok(client)
}
