//! Hosts that an operator has added to those the default log-in is for, beside `default_login.hosts`.
//!
//! Whoever may register a host must not be handed the default password. So the running service only reads these rows;
//! they are written as the owner of the tables ([`Control::as_owner`]), which the commands of an operator are.

use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;
use secrecy::SecretString;
use tokio_postgres::Row;

use super::error::Error;
use super::{Control, audit, registry, rows};
use crate::config;
use crate::domain::{Actor, Code, Event, EventName, Failure, HostKey};

const TABLE: &str = "default_login_hosts";

/// A host that was added by an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedHost {
    /// Where it is.
    pub host: HostKey,
    /// Who added it.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl Control {
    /// A handle as the owner of the tables, who alone may change the trusted hosts. Opens no connection yet.
    ///
    /// # Errors
    /// `Code::Forbidden` when `control.owner_url` is not set; else as [`Control::new`].
    pub fn as_owner(settings: &config::Control) -> Result<Self, Failure> {
        let Some(owner_url) = settings.owner_url.clone() else {
            return Err(Failure::new(
                Code::Forbidden,
                "Which hosts the default log-in is for is changed by the owner of the tables: set control.owner_url \
                 for this command, or name the hosts in default_login.hosts.",
            ));
        };
        Self::new(&config::Control { url: SecretString::clone(&owner_url), ..settings.clone() })
    }

    /// Whether an operator has added this host.
    pub async fn is_trusted(&self, host: &HostKey) -> Result<bool, Failure> {
        Ok(self.pool.run(async |client| is_trusted(&*client, host).await).await?)
    }

    /// All of them, by name.
    pub async fn trusted_hosts(&self) -> Result<Vec<TrustedHost>, Failure> {
        Ok(self.pool.run(async |client| list(&*client).await).await?)
    }

    /// Adds hosts, with an audit row for each that was not there; those.
    pub async fn trust_hosts(
        &self,
        hosts: &[HostKey],
        actor: &Actor,
        at: Timestamp,
    ) -> Result<Vec<HostKey>, Failure> {
        let added = self
            .recorded(async |client| {
                let transaction = registry::begin(client).await?;
                let added = trust(&transaction, hosts, actor, at).await?;
                registry::tell(transaction).await?;
                Ok(added)
            })
            .await?;
        Ok(added)
    }

    /// Removes a host, with its audit row; whether it was there.
    pub async fn distrust_host(&self, host: &HostKey, actor: &Actor, at: Timestamp) -> Result<bool, Failure> {
        let removed = self
            .recorded(async |client| {
                let transaction = registry::begin(client).await?;
                let (hostname, port) = registry::parts(host);
                let sql = "DELETE FROM default_login_hosts WHERE hostname = $1 AND port = $2";
                if transaction.execute(sql, &[&hostname, &port]).await? == 0 {
                    return Ok(false);
                }
                registry::finish(transaction, &event(EventName::HostDistrusted, host, actor, at)).await?;
                Ok(true)
            })
            .await?;
        Ok(removed)
    }
}

/// Whether the host is there, in the caller's transaction if `client` is one.
pub(super) async fn is_trusted(client: &impl GenericClient, host: &HostKey) -> Result<bool, Error> {
    let sql = "SELECT EXISTS (SELECT FROM default_login_hosts WHERE hostname = $1 AND port = $2)";
    let statement = client.prepare_cached(sql).await?;
    let (hostname, port) = registry::parts(host);
    Ok(client.query_one(&statement, &[&hostname, &port]).await?.try_get(0)?)
}

/// All of them, likewise.
pub(super) async fn list(client: &impl GenericClient) -> Result<Vec<TrustedHost>, Error> {
    let sql = "SELECT hostname, port, added_by, added_at FROM default_login_hosts \
               ORDER BY hostname COLLATE \"C\", port";
    client.query(sql, &[]).await?.iter().map(read).collect()
}

/// Adds hosts in the caller's transaction; those that were not there.
pub(super) async fn trust(
    transaction: &Transaction<'_>,
    hosts: &[HostKey],
    actor: &Actor,
    at: Timestamp,
) -> Result<Vec<HostKey>, Error> {
    let sql = "INSERT INTO default_login_hosts (hostname, port, added_by, added_at) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (hostname, port) DO NOTHING";
    let mut added = Vec::new();
    for host in hosts {
        let (hostname, port) = registry::parts(host);
        if transaction.execute(sql, &[&hostname, &port, &actor.account, &at]).await? > 0 {
            audit::insert(transaction, &event(EventName::HostTrusted, host, actor, at)).await?;
            added.push(host.clone());
        }
    }
    Ok(added)
}

fn event(name: EventName, host: &HostKey, actor: &Actor, at: Timestamp) -> Event {
    Event { host: Some(host.clone()), ..Event::new(name, at, actor.clone()) }
}

fn read(row: &Row) -> Result<TrustedHost, Error> {
    Ok(TrustedHost {
        host: rows::host_key(TABLE, row)?,
        by: row.try_get("added_by")?,
        at: row.try_get("added_at")?,
    })
}
