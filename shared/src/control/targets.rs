//! Targets: reading them.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;

use super::error::Error;
use super::rows::{self, UnreadableRow};
use super::{Control, registry};
use crate::domain::{Failure, HostKey, Login, LoginPassword, Target, TargetKey};

const TABLE: &str = "targets";
/// How many are read at once where all are wanted.
const PAGE: usize = 200;

/// The columns of a target and of its host; takes what follows FROM.
macro_rules! select_targets {
    ($rest:literal) => {
        concat!(
            "SELECT t.env, t.database, t.hostname, t.port, t.login_user, t.login_password_sealed, ",
            "t.login_password_ref, t.sslmode, t.ca_file, h.lock_database, t.active, t.notes, t.revision, ",
            "EXISTS (SELECT FROM default_login_hosts l WHERE l.hostname = t.hostname AND l.port = t.port) ",
            "AS is_trusted, t.created_at, t.updated_at FROM targets t JOIN hosts h USING (hostname, port) ",
            $rest
        )
    };
}

impl Control {
    /// The target of that name. Calls that come together share a question.
    pub async fn find_target(&self, key: &TargetKey) -> Result<Option<Target>, Failure> {
        self.targets.ask(key, async |keys| self.find_targets(&keys).await).await
    }

    /// The targets of those names; those that do not exist are not in the answer.
    pub async fn find_targets(&self, keys: &[TargetKey]) -> Result<BTreeMap<TargetKey, Target>, Failure> {
        let keys: Vec<_> = keys.iter().collect();
        Ok(self.pool.run(async |client| find_all(&*client, &keys).await).await?)
    }

    /// In the order of environment and database, those after `after`, at most `limit`.
    pub async fn list_targets(
        &self,
        after: Option<&TargetKey>,
        limit: usize,
    ) -> Result<Vec<Target>, Failure> {
        // No environment is empty, so the empty pair comes before all.
        let (env, database) = after.map_or(("", ""), |key| (key.env.as_str(), key.database.as_str()));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let targets = self
            .pool
            .run(async |client| {
                let statement = client
                    .prepare_cached(select_targets!(
                        "WHERE (t.env, t.database) > ($1, $2) ORDER BY t.env, t.database LIMIT $3"
                    ))
                    .await?;
                client
                    .query(&statement, &[&env, &database, &limit])
                    .await?
                    .iter()
                    .map(read)
                    .collect::<Result<_, _>>()
            })
            .await?;
        Ok(targets)
    }

    /// All of them, in the same order.
    pub async fn list_all_targets(&self) -> Result<Vec<Target>, Failure> {
        let mut targets: Vec<Target> = Vec::new();
        loop {
            let page = self.list_targets(targets.last().map(|target| &target.key), PAGE).await?;
            let is_last = page.len() < PAGE;
            targets.extend(page);
            if is_last {
                return Ok(targets);
            }
        }
    }

    /// The number of each target: its own as long as it is registered, and never another one's.
    pub async fn number_targets(&self) -> Result<BTreeMap<TargetKey, i64>, Failure> {
        let numbered = self
            .pool
            .run(async |client| {
                let statement = client.prepare_cached("SELECT env, database, id FROM targets").await?;
                client.query(&statement, &[]).await?.iter().map(number).collect::<Result<_, _>>()
            })
            .await?;
        Ok(numbered)
    }

    /// The targets that stand on a host, in order.
    pub async fn targets_of_host(&self, host: &HostKey) -> Result<Vec<Target>, Failure> {
        let (hostname, port) = registry::parts(host);
        let targets = self
            .pool
            .run(async |client| {
                let statement = client
                    .prepare_cached(select_targets!(
                        "WHERE t.hostname = $1 AND t.port = $2 ORDER BY t.env, t.database"
                    ))
                    .await?;
                client
                    .query(&statement, &[&hostname, &port])
                    .await?
                    .iter()
                    .map(read)
                    .collect::<Result<_, _>>()
            })
            .await?;
        Ok(targets)
    }
}

/// The targets of those names, in the caller's transaction if `client` is one.
pub(super) async fn find_all(
    client: &impl GenericClient,
    keys: &[&TargetKey],
) -> Result<BTreeMap<TargetKey, Target>, Error> {
    let envs: Vec<_> = keys.iter().map(|key| key.env.as_str()).collect();
    let databases: Vec<_> = keys.iter().map(|key| key.database.as_str()).collect();
    let statement = client
        .prepare_cached(select_targets!(
            "WHERE (t.env, t.database) IN (SELECT * FROM unnest($1::text[], $2::text[]))"
        ))
        .await?;
    let rows = client.query(&statement, &[&envs, &databases]).await?;
    let targets = rows.iter().map(read).map(|target| target.map(|target| (target.key.clone(), target)));
    targets.collect()
}

/// One target, likewise.
pub(super) async fn find(client: &impl GenericClient, key: &TargetKey) -> Result<Option<Target>, Error> {
    let statement = client.prepare_cached(select_targets!("WHERE t.env = $1 AND t.database = $2")).await?;
    let row = client.query_opt(&statement, &[&key.env.as_str(), &key.database.as_str()]).await?;
    row.as_ref().map(read).transpose()
}

fn number(row: &Row) -> Result<(TargetKey, i64), Error> {
    let key = rows::target_key(TABLE, row.try_get("env")?, row.try_get("database")?)?;
    Ok((key, row.try_get("id")?))
}

fn read(row: &Row) -> Result<Target, Error> {
    Ok(Target {
        key: rows::target_key(TABLE, row.try_get("env")?, row.try_get("database")?)?,
        host: rows::host_key(TABLE, row)?,
        login: read_login(row)?,
        sslmode: row
            .try_get::<_, &str>("sslmode")?
            .parse()
            .map_err(|()| UnreadableRow::new(TABLE, "sslmode"))?,
        ca_file: row.try_get("ca_file")?,
        lock_database: rows::lock_database(TABLE, row)?,
        active: row.try_get("active")?,
        notes: row.try_get("notes")?,
        is_trusted: row.try_get("is_trusted")?,
        revision: row.try_get("revision")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

fn read_login(row: &Row) -> Result<Login, Error> {
    let Some(user) = row.try_get("login_user")? else { return Ok(Login::Default) };
    let password = match row.try_get("login_password_sealed")? {
        Some(sealed) => LoginPassword::Sealed(sealed),
        None => read_reference(row.try_get("login_password_ref")?)
            .ok_or_else(|| UnreadableRow::new(TABLE, "login_password_ref"))?,
    };
    Ok(Login::Own { user, password })
}

fn read_reference(text: &str) -> Option<LoginPassword> {
    match text.split_once(':')? {
        ("env", name) => Some(LoginPassword::Env(name.to_owned())),
        ("file", path) => Some(LoginPassword::File(path.to_owned())),
        _ => None,
    }
}

/// The columns `login_user`, `login_password_sealed` and `login_password_ref`.
pub(super) fn login_columns(login: &Login) -> (Option<&str>, Option<&[u8]>, Option<String>) {
    match login {
        Login::Default => (None, None, None),
        Login::Own { user, password } => match password {
            LoginPassword::Sealed(sealed) => (Some(user), Some(sealed), None),
            LoginPassword::Env(name) => (Some(user), None, Some(format!("env:{name}"))),
            LoginPassword::File(path) => (Some(user), None, Some(format!("file:{path}"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_read_back() {
        for password in [LoginPassword::Env("DBA".into()), LoginPassword::File("/run/a:b".into())] {
            let login = Login::Own { user: "dba".into(), password: password.clone() };
            let (_, sealed, reference) = login_columns(&login);
            assert_eq!(sealed, None);
            assert_eq!(read_reference(&reference.unwrap()), Some(password));
        }
        assert_eq!(read_reference("hunter2"), None);
        assert_eq!(read_reference("vault:x"), None);
    }
}
