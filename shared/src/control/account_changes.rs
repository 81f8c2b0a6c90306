//! Accounts: making, changing and removing them.

use deadpool_postgres::{GenericClient, Transaction};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::accounts::{Account, COLUMNS, read};
use super::error::Error;
use super::{Control, audit};
use crate::domain::{AccountKind, AccountType, Actor, Code, Event, EventName, Failure, Grants, Pattern};

/// An account that is to be made.
pub struct NewAccount {
    /// Its name; see [`check_account_name`](crate::credentials::check_account_name).
    pub name: String,
    /// The argon2id hash of its password (a PHC string): an `inet` account. None: a `unix` account.
    pub password_hash: Option<String>,
    /// What it is.
    pub kind: AccountKind,
    /// What it may do.
    pub grants: Grants,
    /// From when on it may not log in.
    pub expires_at: Option<Timestamp>,
}

impl NewAccount {
    fn kind_of_login(&self) -> AccountType {
        if self.password_hash.is_some() { AccountType::Inet } else { AccountType::Unix }
    }
}

/// When an account ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountEnd {
    /// By nobody's clock.
    Never,
    /// From this moment on it may not log in.
    At(Timestamp),
}

/// What shall change; what is none stays. Has no `Debug` text.
#[derive(Default, PartialEq, Eq)]
pub struct AccountChange {
    /// The argon2id hash of another password. Ends the account's sessions.
    pub password_hash: Option<String>,
    /// What it is.
    pub kind: Option<AccountKind>,
    /// What it may do.
    pub access: Option<Vec<Pattern>>,
    /// What it may not do.
    pub deny: Option<Vec<Pattern>>,
    /// Whether it may not log in.
    pub disabled: Option<bool>,
    /// When it ends.
    pub end: Option<AccountEnd>,
    /// Whether its sessions end.
    pub end_sessions: bool,
}

impl AccountChange {
    fn of(&self, before: &Account, at: Timestamp) -> Account {
        let mut now = before.clone();
        now.password_hash = self.password_hash.clone().or(now.password_hash);
        now.kind = self.kind.unwrap_or(now.kind);
        now.grants.access = self.access.clone().unwrap_or(now.grants.access);
        now.grants.deny = self.deny.clone().unwrap_or(now.grants.deny);
        now.disabled_at = match self.disabled {
            Some(true) => Some(now.disabled_at.unwrap_or(at)),
            Some(false) => None,
            None => now.disabled_at,
        };
        now.expires_at = match self.end {
            Some(AccountEnd::At(end)) => Some(end),
            Some(AccountEnd::Never) => None,
            None => now.expires_at,
        };
        now.updated_at = at;
        now
    }

    fn ends_sessions(&self) -> bool {
        self.end_sessions || self.password_hash.is_some()
    }
}

impl Control {
    /// Makes an account, with its audit row.
    ///
    /// # Errors
    /// `Code::AccountExists` when the name is taken, by an account of either type.
    pub async fn add_account(&self, new: &NewAccount, actor: &Actor, at: Timestamp) -> Result<(), Failure> {
        let detail = json!({
            "account": new.name, "type": new.kind_of_login().as_str(), "kind": new.kind.as_str(),
            "access": new.grants.access, "deny": new.grants.deny, "expires_at": new.expires_at,
        });
        let event = Event { detail, ..Event::new(EventName::AccountAdded, at, actor.clone()) };
        self.recorded(async |client| {
                let transaction = client.transaction().await?;
                let added = transaction
                    .execute(
                        "INSERT INTO accounts (name, type, kind, password_hash, access, deny, expires_at, created_at, \
                                               updated_at) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) ON CONFLICT (name) DO NOTHING",
                        &[
                            &new.name,
                            &new.kind_of_login().as_str(),
                            &new.kind.as_str(),
                            &new.password_hash,
                            &texts(&new.grants.access),
                            &texts(&new.grants.deny),
                            &new.expires_at,
                            &at,
                        ],
                    )
                    .await?;
                if added == 0 {
                    let failure = Failure::new(
                        Code::AccountExists,
                        format!("There is an account {:?} already.", new.name),
                    );
                    return Err(failure.into());
                }
                audit::insert(&transaction, &event).await?;
                Ok(transaction.commit().await?)
            })
            .await?;
        Ok(())
    }

    /// Changes an account, with its audit row, and answers how it is now.
    ///
    /// # Errors
    /// `Code::AccountNotFound`; `Code::LastAdmin` when no administrator would be left who can log in;
    /// `Code::InvalidRequest` for the password of a `unix` account.
    pub async fn change_account(
        &self,
        name: &str,
        change: &AccountChange,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<Account, Failure> {
        let changed = self
            .recorded(async |client| {
                let transaction = begin(client).await?;
                let before = find(&transaction, name).await?;
                if before.kind_of_login == AccountType::Unix && change.password_hash.is_some() {
                    let failure = Failure::new(Code::InvalidRequest, "A unix account has no password.");
                    return Err(failure.into());
                }
                let now = change.of(&before, at);
                write(&transaction, &now, change.ends_sessions()).await?;
                if is_standing_admin(&before, at) && !is_standing_admin(&now, at) {
                    refuse_without_admin(&transaction, at).await?;
                }
                let detail = changed_fields(&before, &now, change);
                let event = Event { detail, ..Event::new(EventName::AccountChanged, at, actor.clone()) };
                audit::insert(&transaction, &event).await?;
                transaction.commit().await?;
                Ok(now)
            })
            .await?;
        Ok(changed)
    }

    /// Removes an account and its API tokens, with the audit row. With a type, one of that type.
    ///
    /// # Errors
    /// `Code::AccountNotFound`; `Code::LastAdmin` when no administrator would be left who can log in.
    pub async fn remove_account(
        &self,
        kind_of_login: Option<AccountType>,
        name: &str,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<(), Failure> {
        self.recorded(async |client| {
            let transaction = begin(client).await?;
            let before = find(&transaction, name).await?;
            if kind_of_login.is_some_and(|wanted| wanted != before.kind_of_login) {
                return Err(not_found().into());
            }
            transaction.execute("DELETE FROM accounts WHERE name = $1", &[&name]).await?;
            if is_standing_admin(&before, at) {
                refuse_without_admin(&transaction, at).await?;
            }
            let detail = json!({ "account": name, "type": before.kind_of_login.as_str() });
            let event = Event { detail, ..Event::new(EventName::AccountRemoved, at, actor.clone()) };
            audit::insert(&transaction, &event).await?;
            Ok(transaction.commit().await?)
        })
        .await?;
        Ok(())
    }
}

/// Changes of accounts take turns: two that remove the last two administrators would each see the other one.
async fn begin(client: &mut deadpool_postgres::Client) -> Result<Transaction<'_>, Error> {
    let transaction = client.transaction().await?;
    transaction.batch_execute("LOCK TABLE accounts IN SHARE ROW EXCLUSIVE MODE").await?;
    Ok(transaction)
}

async fn find(client: &impl GenericClient, name: &str) -> Result<Account, Error> {
    let sql = format!("SELECT {COLUMNS} FROM accounts WHERE name = $1");
    let row = client.query_opt(&sql, &[&name]).await?;
    read(&row.ok_or_else(|| Error::from(not_found()))?)
}

async fn write(client: &impl GenericClient, now: &Account, ends_sessions: bool) -> Result<(), Error> {
    client
        .execute(
            "UPDATE accounts SET kind = $2, password_hash = $3, access = $4, deny = $5, disabled_at = $6, \
                    expires_at = $7, updated_at = $8, \
                    generation = CASE WHEN $9 THEN gen_random_uuid() ELSE generation END \
             WHERE name = $1",
            &[
                &now.name,
                &now.kind.as_str(),
                &now.password_hash,
                &texts(&now.grants.access),
                &texts(&now.grants.deny),
                &now.disabled_at,
                &now.expires_at,
                &now.updated_at,
                &ends_sessions,
            ],
        )
        .await?;
    Ok(())
}

/// One on whom the others can rely: it can log in, and no date is set on which it no longer can.
fn is_standing_admin(account: &Account, at: Timestamp) -> bool {
    account.kind == AccountKind::Admin && account.is_open(at) && account.expires_at.is_none()
}

async fn refuse_without_admin(client: &impl GenericClient, at: Timestamp) -> Result<(), Error> {
    let sql = "SELECT EXISTS (SELECT FROM accounts WHERE kind = 'admin' AND disabled_at IS NULL \
                              AND (expires_at IS NULL OR expires_at > $1))";
    if client.query_one(sql, &[&at]).await?.try_get(0)? {
        return Ok(());
    }
    let detail = "This is the last administrator who can log in; make another one first.";
    Err(Failure::new(Code::LastAdmin, detail).into())
}

fn not_found() -> Failure {
    Failure::new(Code::AccountNotFound, "There is no such account.")
}

fn texts(patterns: &[Pattern]) -> Vec<String> {
    patterns.iter().map(ToString::to_string).collect()
}

/// What the audit says of a change: each field as it was and as it is; of a password only that it is another.
fn changed_fields(before: &Account, now: &Account, change: &AccountChange) -> Value {
    let mut fields = serde_json::Map::new();
    let mut differ = |name: &str, before: Value, now: Value| {
        if before != now {
            fields.insert(name.to_owned(), json!({ "from": before, "to": now }));
        }
    };
    differ("kind", json!(before.kind.as_str()), json!(now.kind.as_str()));
    differ("access", json!(before.grants.access), json!(now.grants.access));
    differ("deny", json!(before.grants.deny), json!(now.grants.deny));
    differ("disabled", json!(before.disabled_at.is_some()), json!(now.disabled_at.is_some()));
    differ("expires_at", json!(before.expires_at), json!(now.expires_at));
    json!({
        "account": now.name,
        "changed": fields,
        "password_changed": change.password_hash.is_some(),
        "sessions_ended": change.ends_sessions(),
    })
}
