//! Migrations, applied by the owner, and what the writer may do.

use std::time::Duration;

use deadpool_postgres::Client;
use refinery::Migration;
use secrecy::SecretString;
use tokio_postgres::error::SqlState;

use super::error::Error;
use super::pool::{Guard, Pool, parse};
use super::{Control, error, ledger};
use crate::config;
use crate::domain::{Code, Failure};

mod embedded {
    #![allow(
        missing_docs,
        unused_imports,
        clippy::pedantic,
        clippy::unwrap_used,
        reason = "written by the macro; a file it cannot read stops every test"
    )]
    refinery::embed_migrations!("../migrations");
}

/// The advisory lock of a running migration: "rolecall" in ASCII. refinery itself takes none.
const LOCK: i64 = 0x726f_6c65_6361_6c6c;

/// How long a migration waits for another one, and for locks on tables that the running service uses.
const LOCK_TIMEOUT: Duration = Duration::from_mins(1);

/// All that the writer may do. A table that is not named here cannot be used by the service.
const GRANTS: &[(&str, &str)] = &[
    ("hosts", "SELECT, INSERT, UPDATE, DELETE"),
    ("targets", "SELECT, INSERT, UPDATE, DELETE"),
    ("default_login_hosts", "SELECT"),
    ("accounts", "SELECT, INSERT, UPDATE, DELETE"),
    ("api_tokens", "SELECT, INSERT, UPDATE, DELETE"),
    ("revoked_sessions", "SELECT, INSERT, DELETE"),
    ("identity_tokens_used", "SELECT, INSERT, DELETE"),
    ("audit_inbox", "SELECT, INSERT"),
    ("audit_pending", "SELECT, INSERT, DELETE"),
    ("audit_blocks", "SELECT, INSERT"),
    ("audit_ledger", "SELECT, INSERT"),
    ("audit_checkpoints", "SELECT, INSERT"),
    ("secrets_taken", "SELECT, INSERT"),
    ("history", "SELECT, INSERT"),
    ("history_tickets", "SELECT, INSERT"),
    ("history_archives", "SELECT"),
    ("history_archive_blocks", "SELECT"),
    ("webhook_settings", "SELECT, UPDATE"),
    ("webhook_endpoints", "SELECT, INSERT, UPDATE, DELETE"),
    ("webhook_events", "SELECT, INSERT, DELETE"),
    ("webhook_deliveries", "SELECT, INSERT, UPDATE, DELETE"),
    ("webhook_attempts", "SELECT, INSERT, DELETE"),
    ("refinery_schema_history", "SELECT"),
];

/// What the writer may call, besides.
const CALLS: &[&str] = &["history_make_months(integer)"];

/// Applies the migrations that are due, as the owner (`control.owner_url`, or `control.url` if there is none), and
/// gives the writer (the user of `control.url`) exactly its rights. Returns the names of what was applied now, such
/// as `V1__registry`. Safe to run at any time, also by several at once: they take turns.
///
/// # Errors
/// `Code::ControlDatabaseUnavailable` when the database does not answer, or another migration does not end within a
/// minute; `Code::Internal` when a migration fails (it is rolled back, earlier ones stay), when an applied one was
/// edited since, or when the writer's role does not exist.
pub async fn migrate(settings: &config::Control) -> Result<Vec<String>, Failure> {
    let owner_url = settings.owner_url.as_ref().unwrap_or(&settings.url);
    let pool = Pool::new(owner_url, 1, settings.timeout, Guard::Migrations)?;
    // The lease closes its connection at the end, and with it goes the advisory lock, however this ends.
    let mut lease = pool.session().await?;
    let client = lease.client()?;
    apply(client, &settings.url).await
}

async fn apply(client: &mut Client, writer_url: &SecretString) -> Result<Vec<String>, Failure> {
    let sql = format!("SET lock_timeout = {}; SELECT pg_advisory_lock({LOCK})", LOCK_TIMEOUT.as_millis());
    client.batch_execute(&sql).await.map_err(|error| match error.code() {
        Some(&SqlState::LOCK_NOT_AVAILABLE) => Failure::new(
            Code::ControlDatabaseUnavailable,
            "Another migration is still running; try again later.",
        ),
        Some(_) | None => Error::Postgres(error).into(),
    })?;
    let report =
        embedded::migrations::runner().run_async(&mut ***client).await.map_err(|error| refused(&error))?;
    grant(client, writer_url).await?;
    // What was recorded before there was a ledger: it would keep the first who record something waiting.
    ledger::catch_up(client).await?;
    Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
}

/// A migration's failure, by the driver's error in it if there is one.
fn refused(error: &refinery::Error) -> Failure {
    let text = error.to_string();
    match error.kind() {
        refinery::error::Kind::Connection(what, cause) => {
            match cause.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::as_db_error) {
                Some(db) => {
                    Failure::internal(format!("{what}: {} (SQLSTATE {})", db.message(), db.code().code()))
                }
                None => error::unavailable(text),
            }
        }
        refinery::error::Kind::DivergentVersion(..) => Failure::new(
            Code::Internal,
            "A migration that was applied differs from the one in this program; applied migrations are never edited.",
        )
        .caused_by(text),
        refinery::error::Kind::MissingVersion(..) => Failure::new(
            Code::Internal,
            "The control database was migrated by a newer Rolecall than this one, or out of order.",
        )
        .caused_by(text),
        refinery::error::Kind::InvalidName
        | refinery::error::Kind::InvalidVersion
        | refinery::error::Kind::RepeatedVersion(_)
        | refinery::error::Kind::InvalidMigrationPath(..)
        | refinery::error::Kind::ConfigError(_)
        | refinery::error::Kind::InvalidMigrationFile(..) => Failure::internal(text),
    }
}

/// Takes everything away from the writer and grants what the table says, in one transaction: a right that a newer
/// version gives up is gone after its `migrate`.
async fn grant(client: &mut Client, writer_url: &SecretString) -> Result<(), Failure> {
    let writer = parse(writer_url)?.get_user().unwrap_or_default().to_owned();
    let transaction = client.transaction().await.map_err(Error::Postgres)?;
    let row = transaction
        .query_one(
            "SELECT $1 = current_user AS is_owner, EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS exists, \
             current_schema() AS schema",
            &[&writer],
        )
        .await
        .map_err(Error::Postgres)?;
    if row.get::<_, bool>("is_owner") {
        return Ok(());
    }
    if !row.get::<_, bool>("exists") {
        return Err(Failure::new(
            Code::Internal,
            format!(
                "The role {writer:?} of control.url does not exist on the control database; create it first."
            ),
        ));
    }
    let schema: String = row.get("schema");
    // The server quotes the names, and GRANT takes no parameters.
    let template = transaction
        .prepare(
            "SELECT format('REVOKE ALL ON %1$I.%2$I FROM %3$I; GRANT ' || $4 || ' ON %1$I.%2$I TO %3$I', \
             $1::text, $2::text, $3::text)",
        )
        .await
        .map_err(Error::Postgres)?;
    for (table, rights) in GRANTS {
        let row = transaction
            .query_one(&template, &[&schema, table, &writer, rights])
            .await
            .map_err(Error::Postgres)?;
        transaction.batch_execute(row.get(0)).await.map_err(Error::Postgres)?;
    }
    for call in CALLS {
        let sql = format!("SELECT format('GRANT EXECUTE ON FUNCTION %I.{call} TO %I', $1::text, $2::text)");
        let row = transaction.query_one(&sql, &[&schema, &writer]).await.map_err(Error::Postgres)?;
        transaction.batch_execute(row.get(0)).await.map_err(Error::Postgres)?;
    }
    transaction.commit().await.map_err(Error::Postgres)?;
    Ok(())
}

impl Control {
    /// The newest migration that was applied is the newest this program knows.
    ///
    /// # Errors
    /// `Code::ControlDatabaseUnavailable` with what to do, also when it is not migrated: a process that waits for its
    /// servers at the start waits for this, too.
    pub async fn check_migrated(&self) -> Result<(), Failure> {
        let newest = embedded::migrations::runner().get_migrations().iter().map(Migration::version).max();
        let applied = self
            .pool
            .run(async |client| {
                match client.query_one("SELECT max(version) FROM refinery_schema_history", &[]).await {
                    Ok(row) => Ok(row.get::<_, Option<i32>>(0)),
                    // No such table, or no right to read it: the grants come with the migrations.
                    Err(error) if error.code().is_some_and(|s| matches!(s.code(), "42P01" | "42501")) => {
                        Ok(None)
                    }
                    Err(error) => Err(Error::Postgres(error)),
                }
            })
            .await?;
        if applied == newest {
            return Ok(());
        }
        let detail = if applied < newest {
            "The control database is not migrated to this version; run `rolecall migrate`."
        } else {
            "The control database is migrated to a newer version than this program's."
        };
        Err(Failure::new(Code::ControlDatabaseUnavailable, detail))
    }
}
