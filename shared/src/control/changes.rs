//! Targets: registering, changing and removing them.

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio_postgres::Statement;

use super::error::Error;
use super::{Control, registry, targets, trust};
use crate::domain::{
    Actor, Code, DatabaseName, Event, EventName, Failure, HostKey, Login, LoginPassword, SslMode, Target,
    TargetKey,
};

/// What a target shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTarget {
    /// Its name in the registry.
    pub key: TargetKey,
    /// Where it stands.
    pub host: HostKey,
    /// As whom to log in.
    pub login: Login,
    /// How TLS is demanded.
    pub sslmode: SslMode,
    /// A file with the certificates to trust; the system's if none.
    pub ca_file: Option<String>,
    /// The database in which the host lock is taken; all targets of the host say the same.
    pub lock_database: DatabaseName,
    /// Whether jobs are accepted for it.
    pub active: bool,
    /// Free text.
    pub notes: String,
}

impl NewTarget {
    /// The target that is all that. What it does not say is as it was, or as in a target that was made at `at`.
    pub fn as_target(&self, before: Option<&Target>, at: Timestamp) -> Target {
        let Self { key, host, login, sslmode, ca_file, lock_database, active, notes } = self.clone();
        Target {
            key,
            host,
            login,
            sslmode,
            ca_file,
            lock_database,
            active,
            notes,
            is_trusted: before.is_some_and(|target| target.is_trusted),
            revision: before.map_or(1, |target| target.revision),
            created_at: before.map_or(at, |target| target.created_at),
            updated_at: before.map_or(at, |target| target.updated_at),
        }
    }

    /// Whether a target is all that already.
    pub fn describes(&self, target: &Target) -> bool {
        let Self { key, host, login, sslmode, ca_file, lock_database, active, notes } = self;
        *key == target.key
            && *host == target.host
            && *login == target.login
            && *sslmode == target.sslmode
            && *ca_file == target.ca_file
            && *lock_database == target.lock_database
            && *active == target.active
            && *notes == target.notes
    }
}

/// What a put did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one per request, and never kept")]
pub enum Put {
    /// There was none of that name.
    Added(Target),
    /// It is another now.
    Changed {
        /// As it was.
        before: Target,
        /// As it is.
        now: Target,
    },
    /// It was all that already; nothing was written.
    Unchanged(Target),
}

impl Control {
    /// Adds or changes a target, with its audit row, in one transaction. The row of its host comes, changes and goes
    /// with it; a host that loses its last target loses its pause.
    ///
    /// `expected`: `Some(0)`, it must not exist (`If-None-Match: *`); `Some(n)`, it must have that revision
    /// (`If-Match`); `None`, whatever is there.
    ///
    /// # Errors
    /// `Code::RevisionMismatch`; `Code::HostSettingsConflict` when another target of the host states another lock
    /// database.
    pub async fn put_target(
        &self,
        target: &NewTarget,
        expected: Option<i64>,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<Put, Failure> {
        let put = self
            .recorded(async |client| {
                let transaction = registry::begin(client).await?;
                let put = put(&transaction, target, expected, at).await?;
                if let Some(event) = event_of(&put, actor, at) {
                    registry::finish(transaction, &event).await?;
                }
                Ok(put)
            })
            .await?;
        Ok(put)
    }

    /// Removes a target, with its audit row, in one transaction, and its host's row (and pause) if it was the last one
    /// there. `None`: there is no such target.
    ///
    /// # Errors
    /// `Code::RevisionMismatch` when it does not have the expected revision.
    pub async fn remove_target(
        &self,
        key: &TargetKey,
        expected: Option<i64>,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<Option<Target>, Failure> {
        let removed = self
            .recorded(async |client| {
                let transaction = registry::begin(client).await?;
                let Some(target) = targets::find(&transaction, key).await? else { return Ok(None) };
                check_revision(Some(&target), expected)?;
                transaction
                    .execute(
                        "DELETE FROM targets WHERE env = $1 AND database = $2",
                        &[&key.env.as_str(), &key.database.as_str()],
                    )
                    .await?;
                registry::forget_unused_host(&transaction, &target.host).await?;
                let event = event(EventName::TargetRemoved, at, actor, Some(&target), None);
                registry::finish(transaction, &event).await?;
                Ok(Some(target))
            })
            .await?;
        Ok(removed)
    }
}

/// Adds or changes a target in the caller's transaction. The caller records it.
pub(super) async fn put(
    transaction: &Transaction<'_>,
    target: &NewTarget,
    expected: Option<i64>,
    at: Timestamp,
) -> Result<Put, Error> {
    let before = targets::find(transaction, &target.key).await?;
    check_revision(before.as_ref(), expected)?;
    let is_trusted = trust::is_trusted(transaction, &target.host).await?;
    let now = wanted(target, before.as_ref(), is_trusted, at);
    if before.as_ref() == Some(&now) {
        return Ok(Put::Unchanged(now));
    }
    registry::provide_host(transaction, &now.host, &now.lock_database, &[&now.key]).await?;
    write(transaction, &prepare_write(transaction).await?, &now).await?;
    if let Some(left) = before.as_ref().map(|target| &target.host).filter(|host| **host != now.host) {
        registry::forget_unused_host(transaction, left).await?;
    }
    Ok(match before {
        Some(before) => Put::Changed { before, now },
        None => Put::Added(now),
    })
}

/// The audit row of a put; none if it changed nothing.
pub(super) fn event_of(put: &Put, actor: &Actor, at: Timestamp) -> Option<Event> {
    match put {
        Put::Added(now) => Some(event(EventName::TargetAdded, at, actor, None, Some(now))),
        Put::Changed { before, now } => {
            Some(event(EventName::TargetChanged, at, actor, Some(before), Some(now)))
        }
        Put::Unchanged(_) => None,
    }
}

/// Whether the target is as somebody expects it.
pub(super) fn check_revision(found: Option<&Target>, expected: Option<i64>) -> Result<(), Failure> {
    let revision = found.map_or(0, |target| target.revision);
    match expected {
        Some(expected) if expected != revision => Err(Failure::new(
            Code::RevisionMismatch,
            if revision == 0 {
                "There is no such target any more.".to_owned()
            } else {
                format!("The target is at revision {revision}; read it again.")
            },
        )
        .with_context(json!({ "revision": revision }))),
        Some(_) | None => Ok(()),
    }
}

/// The target as it will be: what is there when that is the same, else the next revision of it.
pub(super) fn wanted(new: &NewTarget, before: Option<&Target>, is_trusted: bool, at: Timestamp) -> Target {
    let mut target = new.as_target(before, at);
    target.is_trusted = is_trusted;
    if let Some(before) = before.filter(|before| **before != target) {
        target.revision = before.revision + 1;
        target.updated_at = at;
    }
    target
}

/// What [`write`] needs.
pub(super) async fn prepare_write(transaction: &Transaction<'_>) -> Result<Statement, Error> {
    let prepared = transaction
        .prepare_cached(
            "INSERT INTO targets (env, database, hostname, port, login_user, login_password_sealed, \
                                  login_password_ref, sslmode, ca_file, active, notes, revision, created_at, \
                                  updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
             ON CONFLICT (env, database) DO UPDATE SET \
                 hostname = excluded.hostname, port = excluded.port, login_user = excluded.login_user, \
                 login_password_sealed = excluded.login_password_sealed, \
                 login_password_ref = excluded.login_password_ref, sslmode = excluded.sslmode, \
                 ca_file = excluded.ca_file, active = excluded.active, notes = excluded.notes, \
                 revision = excluded.revision, updated_at = excluded.updated_at",
        )
        .await?;
    Ok(prepared)
}

/// Writes the row of a target.
pub(super) async fn write(
    transaction: &Transaction<'_>,
    statement: &Statement,
    target: &Target,
) -> Result<(), Error> {
    let (hostname, port) = registry::parts(&target.host);
    let (user, sealed, reference) = targets::login_columns(&target.login);
    transaction
        .execute(
            statement,
            &[
                &target.key.env.as_str(),
                &target.key.database.as_str(),
                &hostname,
                &port,
                &user,
                &sealed,
                &reference,
                &target.sslmode.as_str(),
                &target.ca_file,
                &target.active,
                &target.notes,
                &target.revision,
                &target.created_at,
                &target.updated_at,
            ],
        )
        .await?;
    Ok(())
}

/// The audit row of a change: the fields that differ, before and after.
fn event(
    name: EventName,
    at: Timestamp,
    actor: &Actor,
    before: Option<&Target>,
    now: Option<&Target>,
) -> Event {
    let mut detail = Map::new();
    for (side, this, other) in [("before", before, now), ("after", now, before)] {
        if let Some(this) = this {
            detail.insert(side.to_owned(), Value::Object(differing(this, other)));
        }
    }
    let target = now.or(before);
    Event {
        target: target.map(|target| target.key.clone()),
        host: target.map(|target| target.host.clone()),
        detail: Value::Object(detail),
        ..Event::new(name, at, actor.clone())
    }
}

/// What is said of a target in the audit where it differs from another. A sealed password stands there as the word
/// `sealed`, also when another one was sealed.
fn differing(target: &Target, other: Option<&Target>) -> Map<String, Value> {
    let other_facts = other.map(facts).unwrap_or_default();
    let mut differing: Map<_, _> =
        facts(target).into_iter().filter(|(field, fact)| other_facts.get(field) != Some(fact)).collect();
    if other.is_some_and(|other| other.login != target.login) {
        let (field, fact) = password_fact(target);
        differing.insert(field, fact);
    }
    differing
}

fn facts(target: &Target) -> Map<String, Value> {
    let user = match &target.login {
        Login::Default => None,
        Login::Own { user, .. } => Some(user),
    };
    let (password_field, password) = password_fact(target);
    [
        ("host".to_owned(), json!(target.host)),
        ("login_user".to_owned(), json!(user)),
        (password_field, password),
        ("sslmode".to_owned(), json!(target.sslmode)),
        ("ca_file".to_owned(), json!(target.ca_file)),
        ("lock_database".to_owned(), json!(target.lock_database)),
        ("active".to_owned(), json!(target.active)),
        ("notes".to_owned(), json!(target.notes)),
    ]
    .into_iter()
    .collect()
}

fn password_fact(target: &Target) -> (String, Value) {
    let fact = match &target.login {
        Login::Default => "default".to_owned(),
        Login::Own { password, .. } => match password {
            LoginPassword::Sealed(_) => "sealed".to_owned(),
            LoginPassword::Env(name) => format!("env:{name}"),
            LoginPassword::File(path) => format!("file:{path}"),
        },
    };
    ("login_password".to_owned(), Value::String(fact))
}
