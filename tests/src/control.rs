//! A control database for one test: its own database, owner and writer on the stack's control server.

#![expect(clippy::expect_used, reason = "a harness without its server can only stop the test")]

use std::time::Duration;

use rolecall_shared::config;
use rolecall_shared::control::{Control, migrate};
use tokio_postgres::NoTls;

use crate::stack::Stack;

/// An empty database, not migrated, with an owner and a writer who may log in to it.
#[derive(Debug, Clone)]
pub struct ControlDatabase {
    /// The database's name, unique; the roles are called by it with `_owner` and `_writer` behind.
    pub name: String,
    /// For `control.owner_url`.
    pub owner_url: String,
    /// For `control.url`.
    pub writer_url: String,
    /// A superuser's, to look at what the product may not see.
    pub superuser_url: String,
}

impl ControlDatabase {
    /// Makes the database and both roles.
    ///
    /// # Panics
    /// When the stack's control server refuses.
    pub async fn create(stack: &Stack) -> Self {
        let superuser_url = stack.get("STACK_CONTROL_URL");
        let name = format!("control_{}", unique());
        let [owner_password, writer_password] = [unique(), unique()];
        let client = connect(superuser_url).await;
        for statement in [
            format!("CREATE ROLE {name}_owner LOGIN PASSWORD '{owner_password}'"),
            format!("CREATE ROLE {name}_writer LOGIN PASSWORD '{writer_password}'"),
            format!("CREATE DATABASE {name} OWNER {name}_owner"),
        ] {
            client.batch_execute(&statement).await.expect("the superuser may make roles and databases");
        }
        let (superuser, address) = superuser_url.rsplit_once('@').expect("a URL with user and host");
        let (address, _) = address.split_once('/').expect("a URL with a database");
        Self {
            owner_url: format!("postgres://{name}_owner:{owner_password}@{address}/{name}"),
            writer_url: format!("postgres://{name}_writer:{writer_password}@{address}/{name}"),
            superuser_url: format!("{superuser}@{address}/{name}"),
            name,
        }
    }

    /// The same, migrated, and a handle on it as the writer.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn migrated(stack: &Stack) -> (Self, Control) {
        let database = Self::create(stack).await;
        migrate(&database.settings()).await.expect("the migrations apply to an empty database");
        let control = Control::new(&database.settings()).expect("a valid URL");
        (database, control)
    }

    /// The section `control` of a configuration that uses it.
    pub fn settings(&self) -> config::Control {
        config::Control {
            url: self.writer_url.clone().into(),
            owner_url: Some(self.owner_url.clone().into()),
            pool: 8,
            timeout: Duration::from_secs(10),
            history: config::History { keep_months: 24, archive_folder: None },
        }
    }

    /// A connection as the writer.
    pub async fn writer(&self) -> tokio_postgres::Client {
        connect(&self.writer_url).await
    }

    /// A connection as a superuser.
    pub async fn superuser(&self) -> tokio_postgres::Client {
        connect(&self.superuser_url).await
    }
}

/// A connection that lives as long as the test's runtime.
///
/// # Panics
/// When the server refuses.
pub async fn connect(url: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the stack's server answers");
    #[expect(clippy::disallowed_methods, reason = "ends with the runtime of the test")]
    tokio::spawn(connection);
    client
}

/// Text of 16 letters and digits that no other test uses.
pub fn unique() -> String {
    uuid::Uuid::new_v4().simple().to_string()[..16].to_owned()
}
