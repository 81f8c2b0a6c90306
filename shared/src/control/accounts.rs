//! Who may call Rolecall.

use std::fmt;

use jiff::Timestamp;
use serde_json::json;

use super::{Control, audit};
use crate::domain::{Actor, Code, Event, EventName, Failure};

/// An account as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name, unique, compared byte by byte.
    pub name: String,
    /// The hash of its password: a PHC string (argon2id).
    pub password_hash: String,
    /// Whether it may not log in: disabled, or past its end.
    pub disabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.name)
            .field("disabled", &self.disabled)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

impl Control {
    /// The account of that name.
    pub async fn find_account(&self, name: &str) -> Result<Option<Account>, Failure> {
        let account = self
            .pool
            .run(async |client| {
                let statement = client
                    .prepare_cached(
                        "SELECT name, password_hash, created_at, \
                                disabled_at IS NOT NULL OR COALESCE(expires_at <= now(), false) AS disabled \
                         FROM accounts WHERE name = $1",
                    )
                    .await?;
                let Some(row) = client.query_opt(&statement, &[&name]).await? else { return Ok(None) };
                Ok(Some(Account {
                    name: row.try_get("name")?,
                    password_hash: row.try_get("password_hash")?,
                    disabled: row.try_get("disabled")?,
                    created_at: row.try_get("created_at")?,
                }))
            })
            .await?;
        Ok(account)
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

    /// Makes an account, with its audit row. `password_hash` is a PHC string of argon2id.
    ///
    /// # Errors
    /// `Code::AccountExists` when the name is taken.
    pub async fn add_account(
        &self,
        name: &str,
        password_hash: &str,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<(), Failure> {
        let event = Event {
            detail: json!({ "account": name }),
            ..Event::new(EventName::AccountAdded, at, actor.clone())
        };
        self.pool
            .run(async |client| {
                let transaction = client.transaction().await?;
                let added = transaction
                    .execute(
                        "INSERT INTO accounts (name, password_hash, created_at, updated_at) \
                         VALUES ($1, $2, $3, $3) ON CONFLICT (name) DO NOTHING",
                        &[&name, &password_hash, &at],
                    )
                    .await?;
                if added == 0 {
                    let failure =
                        Failure::new(Code::AccountExists, format!("There is an account {name:?} already."));
                    return Err(failure.into());
                }
                audit::insert(&transaction, &event).await?;
                Ok(transaction.commit().await?)
            })
            .await?;
        Ok(())
    }
}
