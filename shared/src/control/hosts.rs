//! Hosts: what the targets of one hostname and port have in common, and whether their jobs are paused or they take no new
//! ones.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use tokio_postgres::Row;

use super::error::Error;
use super::{Control, registry, rows};
use crate::domain::{DatabaseName, Failure, HostKey, TargetKey};

const TABLE: &str = "hosts";

/// The columns of a host; takes what follows FROM.
macro_rules! select_hosts {
    ($rest:literal) => {
        concat!(
            "SELECT h.hostname, h.port, h.lock_database, h.paused_by, h.paused_at, h.paused_reason, ",
            "h.draining_by, h.draining_at, h.draining_reason, h.unreachable_since, ",
            "ARRAY (SELECT t.env FROM targets t WHERE t.hostname = h.hostname AND t.port = h.port ",
            "ORDER BY t.env, t.database) AS envs, ",
            "ARRAY (SELECT t.database FROM targets t WHERE t.hostname = h.hostname AND t.port = h.port ",
            "ORDER BY t.env, t.database) AS databases ",
            "FROM hosts h ",
            $rest
        )
    };
}

/// A host that has at least one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Where it is.
    pub key: HostKey,
    /// The database in which the host lock is taken.
    pub lock_database: DatabaseName,
    /// Whether its jobs are paused, and by whom.
    pub paused: Option<Pause>,
    /// Whether it takes no new jobs, and by whom.
    pub draining: Option<Pause>,
    /// Since when it cannot be worked on, as far as anybody has noticed.
    pub unreachable_since: Option<Timestamp>,
    /// Its targets, in order.
    pub targets: Vec<TargetKey>,
}

/// Who stopped the jobs of a host, or its taking of new ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// The account.
    pub by: String,
    /// Since when.
    pub at: Timestamp,
    /// Why, in the account's words.
    pub reason: String,
}

impl Control {
    /// The host, if a target has it. Calls that come together share a question.
    pub async fn find_host(&self, host: &HostKey) -> Result<Option<Host>, Failure> {
        self.hosts.ask(host, async |hosts| self.find_hosts(&hosts).await).await
    }

    async fn find_hosts(&self, hosts: &[HostKey]) -> Result<BTreeMap<HostKey, Host>, Failure> {
        let (hostnames, ports): (Vec<_>, Vec<_>) = hosts.iter().map(registry::parts).unzip();
        let hosts: Vec<Host> = self
            .pool
            .run(async |client| {
                let statement = client
                    .prepare_cached(select_hosts!(
                        "WHERE (h.hostname, h.port) IN (SELECT * FROM unnest($1::text[], $2::int[]))"
                    ))
                    .await?;
                let rows = client.query(&statement, &[&hostnames, &ports]).await?;
                rows.iter().map(read).collect::<Result<_, _>>()
            })
            .await?;
        Ok(hosts.into_iter().map(|host| (host.key.clone(), host)).collect())
    }

    /// All hosts, in order.
    pub async fn list_hosts(&self) -> Result<Vec<Host>, Failure> {
        let hosts = self.pool.run(async |client| list(&*client).await).await?;
        Ok(hosts)
    }
}

/// All hosts, in the caller's transaction if `client` is one.
pub(super) async fn list(client: &impl GenericClient) -> Result<Vec<Host>, Error> {
    let statement = client.prepare_cached(select_hosts!("ORDER BY h.hostname COLLATE \"C\", h.port")).await?;
    client.query(&statement, &[]).await?.iter().map(read).collect()
}

/// One host, likewise.
pub(super) async fn find(client: &impl GenericClient, host: &HostKey) -> Result<Option<Host>, Error> {
    let statement = client.prepare_cached(select_hosts!("WHERE h.hostname = $1 AND h.port = $2")).await?;
    let (hostname, port) = registry::parts(host);
    client.query_opt(&statement, &[&hostname, &port]).await?.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Result<Host, Error> {
    let envs: Vec<&str> = row.try_get("envs")?;
    let databases: Vec<&str> = row.try_get("databases")?;
    let targets =
        envs.into_iter().zip(databases).map(|(env, database)| rows::target_key("targets", env, database));
    let paused = match row.try_get("paused_at")? {
        Some(at) => Some(Pause { by: row.try_get("paused_by")?, at, reason: row.try_get("paused_reason")? }),
        None => None,
    };
    let draining = match row.try_get("draining_at")? {
        Some(at) => {
            Some(Pause { by: row.try_get("draining_by")?, at, reason: row.try_get("draining_reason")? })
        }
        None => None,
    };
    Ok(Host {
        key: rows::host_key(TABLE, row)?,
        lock_database: rows::lock_database(TABLE, row)?,
        paused,
        draining,
        unreachable_since: row.try_get("unreachable_since")?,
        targets: targets.collect::<Result<_, _>>()?,
    })
}
