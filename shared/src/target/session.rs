//! A session: statements, commit, and the rule that every wait ends.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Connection, Row, Socket};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config;
use crate::ddl::{self, Statement};
use crate::domain::{DatabaseName, RoleName, Target};

use super::idle::Key;
use super::judge::Phase;
use super::purpose::Limits;
use super::{Purpose, TargetError};

/// How long `close` waits for the goodbye to be sent.
const GOODBYE: Duration = Duration::from_secs(1);

/// The driver's client and the task that moves its bytes.
pub(super) struct Link {
    client: Client,
    cut: CancellationToken,
    moving: JoinHandle<()>,
}

impl Link {
    pub(super) fn spawn<S>(client: Client, connection: Connection<Socket, S>, tracker: &TaskTracker) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let cut = CancellationToken::new();
        let stop = cut.clone();
        let moving = tracker.spawn(async move {
            // Ends by itself when the client is dropped (after a goodbye), or at once when it is cut.
            match select(pin!(connection), pin!(stop.cancelled())).await {
                Either::Left((Err(error), _)) => tracing::debug!(%error, "a target closed a session"),
                Either::Left((Ok(()), _)) | Either::Right(_) => {}
            }
        });
        Self { client, cut, moving }
    }
}

/// A session on a target's host.
///
/// Every wait has a limit. A wait that is given up, by that limit or because its future was dropped, cuts the
/// connection: nobody can know what the server is doing there, and it must not be used for the next statement.
pub struct Session {
    link: Link,
    limits: Limits,
    key: Key,
    database: DatabaseName,
    user: String,
    settings: Arc<config::Target>,
    /// May hold an advisory lock.
    locked: AtomicBool,
    /// May be in a transaction block.
    in_transaction: AtomicBool,
}

impl Session {
    pub(super) fn new(
        link: Link,
        limits: Limits,
        purpose: Purpose,
        target: &Target,
        database: &DatabaseName,
        user: String,
        settings: Arc<config::Target>,
    ) -> Self {
        Self {
            link,
            limits,
            key: Key::new(target, database, purpose),
            database: database.clone(),
            user,
            settings,
            locked: AtomicBool::new(false),
            in_transaction: AtomicBool::new(false),
        }
    }

    /// Whether the connection is known to be gone. A peer that died without a word is noticed by the next answer
    /// that does not come.
    pub fn is_closed(&self) -> bool {
        self.link.client.is_closed() || self.link.cut.is_cancelled()
    }

    /// The PostgreSQL role this session is logged in as.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The database it is in.
    pub fn database(&self) -> &DatabaseName {
        &self.database
    }

    /// Asks for a sign of life.
    pub async fn ping(&self) -> Result<(), TargetError> {
        self.simple(Phase::Statement, "SELECT 1").await
    }

    /// Sends statements as one simple query and reads all answers. After an error the rest is not run; inside a
    /// transaction block the caller rolls back (to a savepoint).
    ///
    /// With a COMMIT among them, an error says in [`TargetError::commit_unknown`] whether the transaction may be
    /// committed all the same.
    pub async fn execute(&self, statements: &[Statement]) -> Result<(), TargetError> {
        if statements.is_empty() {
            return Ok(());
        }
        let commits = statements.iter().any(|statement| matches!(statement, Statement::Commit));
        let phase = if commits { Phase::Commit } else { Phase::Statement };
        if statements.iter().any(|statement| matches!(statement, Statement::Begin)) {
            self.in_transaction.store(true, Ordering::Relaxed);
        }
        self.simple(phase, &text(statements)).await?;
        if matches!(statements.last(), Some(Statement::Commit | Statement::Rollback)) {
            self.in_transaction.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Commits. `Ok` means committed: a transaction block that an error has ended is refused, although
    /// PostgreSQL itself would answer success with the tag ROLLBACK.
    pub async fn commit(&self) -> Result<(), TargetError> {
        self.execute(&[Statement::Commit]).await
    }

    /// Ends the session in an orderly way; returns when the goodbye is sent, or after a second.
    pub async fn close(self) {
        let Link { client, cut, moving } = self.link;
        drop(client);
        if timeout(GOODBYE, moving).await.is_err() {
            cut.cancel();
        }
    }

    /// One query with bind parameters.
    pub(super) async fn query(
        &self,
        sql: &'static str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, TargetError> {
        self.answered(Phase::Statement, self.link.client.query_typed(sql, params)).await
    }

    /// One query with exactly one row.
    pub(super) async fn query_one(
        &self,
        sql: &'static str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Row, TargetError> {
        self.answered(Phase::Statement, self.link.client.query_typed_one(sql, params)).await
    }

    async fn simple(&self, phase: Phase, sql: &str) -> Result<(), TargetError> {
        self.answered(phase, self.link.client.batch_execute(sql)).await
    }

    async fn answered<T>(
        &self,
        phase: Phase,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, TargetError> {
        if self.is_closed() {
            return Err(TargetError::closed_before_sending(phase));
        }
        let cut_if_given_up = self.link.cut.clone().drop_guard();
        let result = timeout(self.limits.answer, answer).await;
        match result {
            Ok(result) => {
                cut_if_given_up.disarm();
                result.map_err(|error| TargetError::from_driver(phase, error))
            }
            Err(_) => Err(TargetError::timed_out(phase, self.limits.answer)),
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    pub(super) fn protected_roles(&self) -> &[RoleName] {
        &self.settings.protected_roles
    }

    /// Whether it may hold a lock or a transaction, and so cannot be kept for others.
    pub(super) fn is_busy(&self) -> bool {
        self.locked.load(Ordering::Relaxed) || self.in_transaction.load(Ordering::Relaxed)
    }

    pub(super) fn set_locked(&self, locked: bool) {
        self.locked.store(locked, Ordering::Relaxed);
    }
}

/// Before each COMMIT stands a query that fails in a transaction block that an error has ended, and with it the
/// rest of the script; a bare COMMIT there rolls back and answers success, and the driver drops the tag that tells.
fn text(statements: &[Statement]) -> String {
    let mut text = String::new();
    for part in statements.split_inclusive(|statement| matches!(statement, Statement::Commit)) {
        let (commit, before) = match part.split_last() {
            Some((last @ Statement::Commit, before)) => (Some(last), before),
            _ => (None, part),
        };
        if !text.is_empty() {
            text.push_str(";\n");
        }
        text.push_str(&ddl::script(before));
        if let Some(commit) = commit {
            if !before.is_empty() {
                text.push_str(";\n");
            }
            text.push_str("SELECT 1;\n");
            text.push_str(&ddl::script(std::slice::from_ref(commit)));
        }
    }
    text
}
