//! Who may call Rolecall: reading.

use std::fmt;

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::error::Error;
use super::rows::UnreadableRow;
use super::{Control, rows};
use crate::domain::{AccountKind, AccountType, Failure, Grants, Rights};

const TABLE: &str = "accounts";
/// Accounts of one page.
const PAGE: usize = 500;

pub(super) const COLUMNS: &str = "name, type, kind, password_hash, access, deny, generation, disabled_at, expires_at, \
                                  last_login_at, created_at, updated_at";

/// An account as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name, unique among all accounts, compared byte by byte.
    pub name: String,
    /// How it is let in.
    pub kind_of_login: AccountType,
    /// What it is.
    pub kind: AccountKind,
    /// The hash of its password: a PHC string (argon2id). None for `unix` accounts.
    pub password_hash: Option<String>,
    /// What it may do; without meaning for administrators.
    pub grants: Grants,
    /// Stands in its sessions; they end when it changes.
    pub generation: Uuid,
    /// Since when it may not log in.
    pub disabled_at: Option<Timestamp>,
    /// From when on it may not log in.
    pub expires_at: Option<Timestamp>,
    /// When it was here last, to the minute.
    pub last_login_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl Account {
    /// Whether it may log in at this moment.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.disabled_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    /// What it may do.
    pub fn rights(&self) -> Rights {
        match self.kind {
            AccountKind::Admin => Rights::all(),
            AccountKind::Basic => Rights::listed(self.grants.clone()),
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.name)
            .field("kind_of_login", &self.kind_of_login)
            .field("kind", &self.kind)
            .field("grants", &self.grants)
            .field("disabled_at", &self.disabled_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl Control {
    /// The account of that name.
    pub async fn find_account(&self, name: &str) -> Result<Option<Account>, Failure> {
        let account = self
            .pool
            .run(async |client| {
                let sql = format!("SELECT {COLUMNS} FROM accounts WHERE name = $1");
                let statement = client.prepare_cached(&sql).await?;
                client.query_opt(&statement, &[&name]).await?.as_ref().map(read).transpose()
            })
            .await?;
        Ok(account)
    }

    /// The accounts after `after`, by name; at most `limit`. With a type, those of that type.
    async fn list_accounts(
        &self,
        kind_of_login: Option<AccountType>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Account>, Failure> {
        let accounts = self
            .pool
            .run(async |client| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM accounts \
                     WHERE ($1::text IS NULL OR type = $1) AND ($2::text IS NULL OR name > $2) \
                     ORDER BY name LIMIT $3"
                );
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                let statement = client.prepare_cached(&sql).await?;
                let word = kind_of_login.map(AccountType::as_str);
                client.query(&statement, &[&word, &after, &limit]).await?.iter().map(read).collect()
            })
            .await?;
        Ok(accounts)
    }

    /// All accounts, by name, a page after the other. With a type, those of that type.
    pub async fn list_all_accounts(
        &self,
        kind_of_login: Option<AccountType>,
    ) -> Result<Vec<Account>, Failure> {
        let mut accounts: Vec<Account> = Vec::new();
        loop {
            let after = accounts.last().map(|account| account.name.as_str());
            let page = self.list_accounts(kind_of_login, after, PAGE).await?;
            let is_last = page.len() < PAGE;
            accounts.extend(page);
            if is_last {
                return Ok(accounts);
            }
        }
    }

    /// Whether there is any account.
    pub async fn has_accounts(&self) -> Result<bool, Failure> {
        let some = self
            .pool
            .run(async |client| {
                Ok(client.query_one("SELECT EXISTS (SELECT FROM accounts)", &[]).await?.try_get(0)?)
            })
            .await?;
        Ok(some)
    }

    /// Writes down that it was here.
    pub async fn account_was_here(&self, name: &str, at: Timestamp) -> Result<(), Failure> {
        self.pool
            .run(async |client| {
                let sql = "UPDATE accounts SET last_login_at = $2 \
                           WHERE name = $1 AND (last_login_at IS NULL OR last_login_at < $2)";
                let statement = client.prepare_cached(sql).await?;
                client.execute(&statement, &[&name, &at]).await?;
                Ok(())
            })
            .await?;
        Ok(())
    }
}

pub(super) fn read(row: &Row) -> Result<Account, Error> {
    let word = |column: &'static str| row.try_get::<_, &str>(column);
    Ok(Account {
        name: row.try_get("name")?,
        kind_of_login: word("type")?
            .parse()
            .map_err(|fault| UnreadableRow::because(TABLE, "type", Box::new(fault)))?,
        kind: word("kind")?
            .parse()
            .map_err(|fault| UnreadableRow::because(TABLE, "kind", Box::new(fault)))?,
        password_hash: row.try_get("password_hash")?,
        grants: Grants {
            access: rows::patterns(TABLE, "access", row.try_get("access")?)?,
            deny: rows::patterns(TABLE, "deny", row.try_get("deny")?)?,
        },
        generation: row.try_get("generation")?,
        disabled_at: row.try_get("disabled_at")?,
        expires_at: row.try_get("expires_at")?,
        last_login_at: row.try_get("last_login_at")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
