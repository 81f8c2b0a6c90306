//! API tokens: known by their hash only.

use jiff::Timestamp;
use serde_json::json;
use tokio_postgres::Row;
use uuid::Uuid;

use super::accounts::{self, Account};
use super::error::Error;
use super::{Control, audit, rows};
use crate::domain::{Actor, Code, Event, EventName, Failure, Grants, Pattern};

const TABLE: &str = "api_tokens";

/// The most tokens of one account that are neither revoked nor over.
pub const MAX_TOKENS: i64 = 100;

/// An API token, without what opens anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Names it where it is shown and revoked.
    pub id: Uuid,
    /// Whose it is.
    pub account: String,
    /// What its owner calls it.
    pub name: String,
    /// What it is limited to; none: to what the account may do.
    pub scope: Option<Vec<Pattern>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is nothing.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// Since when it is nothing.
    pub revoked_at: Option<Timestamp>,
}

impl ApiToken {
    /// Whether it lets in at this moment.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }

    /// Its scope as lists.
    pub fn limits(&self) -> Option<Grants> {
        self.scope.clone().map(|access| Grants { access, deny: Vec::new() })
    }
}

const COLUMNS: &str = "t.id AS token_id, t.account AS token_account, t.name AS token_name, t.access AS token_access, \
                       t.created_at AS token_created_at, t.expires_at AS token_expires_at, \
                       t.last_used_at AS token_last_used_at, t.revoked_at AS token_revoked_at";

impl Control {
    /// Makes a token, with its audit row. `hash` is the SHA-256 of the whole text of the token.
    ///
    /// # Errors
    /// `Code::AccountNotFound`; `Code::TooManyTokens` when the account has [`MAX_TOKENS`] that let in.
    pub async fn add_api_token(&self, token: &ApiToken, hash: &[u8], actor: &Actor) -> Result<(), Failure> {
        let detail = json!({
            "account": token.account, "token": token.id, "name": token.name, "scope": token.scope,
            "expires_at": token.expires_at,
        });
        let event = Event { detail, ..Event::new(EventName::TokenAdded, token.created_at, actor.clone()) };
        self.recorded(async |client| {
            let transaction = client.transaction().await?;
            // Locked, so that two at once are counted one after the other.
            let owner = "SELECT FROM accounts WHERE name = $1 FOR UPDATE";
            if transaction.query_opt(owner, &[&token.account]).await?.is_none() {
                return Err(Failure::new(Code::AccountNotFound, "There is no such account.").into());
            }
            let open = "SELECT count(*) FROM api_tokens WHERE account = $1 AND revoked_at IS NULL \
                            AND (expires_at IS NULL OR expires_at > $2)";
            let row = transaction.query_one(open, &[&token.account, &token.created_at]).await?;
            if row.try_get::<_, i64>(0)? >= MAX_TOKENS {
                let detail = format!("The account has {MAX_TOKENS} API tokens; revoke some first.");
                return Err(Failure::new(Code::TooManyTokens, detail).into());
            }
            let scope: Option<Vec<String>> =
                token.scope.as_ref().map(|scope| scope.iter().map(ToString::to_string).collect());
            transaction
                .execute(
                    "INSERT INTO api_tokens (id, account, name, hash, access, created_at, expires_at) \
                         VALUES ($1, $2, $3, $4, $5, $6, $7)",
                    &[
                        &token.id,
                        &token.account,
                        &token.name,
                        &hash,
                        &scope,
                        &token.created_at,
                        &token.expires_at,
                    ],
                )
                .await?;
            audit::insert(&transaction, &event).await?;
            Ok(transaction.commit().await?)
        })
        .await?;
        Ok(())
    }

    /// The token with this hash and its account, whether they let in or not; and writes down that it was used.
    pub async fn use_api_token(
        &self,
        hash: &[u8],
        at: Timestamp,
    ) -> Result<Option<(ApiToken, Account)>, Failure> {
        let found = self
            .pool
            .run(async |client| {
                let sql = format!(
                    "WITH used AS ( \
                         UPDATE api_tokens SET last_used_at = $2 \
                         WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2) \
                     ) \
                     SELECT {COLUMNS}, {} FROM api_tokens t JOIN accounts a ON a.name = t.account WHERE t.hash = $1",
                    accounts::COLUMNS.split(", ").map(|name| format!("a.{name}")).collect::<Vec<_>>().join(", ")
                );
                let statement = client.prepare_cached(&sql).await?;
                let row = client.query_opt(&statement, &[&hash, &at]).await?;
                row.map(|row| Ok((read(&row)?, accounts::read(&row)?))).transpose()
            })
            .await?;
        Ok(found)
    }

    /// The tokens of an account, or of all, by account and age; at most `limit`, after the token `after`.
    pub async fn list_api_tokens(
        &self,
        account: Option<&str>,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<Vec<ApiToken>, Failure> {
        let tokens = self
            .pool
            .run(async |client| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM api_tokens t \
                     WHERE ($1::text IS NULL OR t.account = $1) AND ($2::uuid IS NULL OR t.id > $2) \
                     ORDER BY t.id LIMIT $3"
                );
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                let statement = client.prepare_cached(&sql).await?;
                client.query(&statement, &[&account, &after, &limit]).await?.iter().map(read).collect()
            })
            .await?;
        Ok(tokens)
    }

    /// Ends a token, with its audit row; one that is ended already stays as it is. With an account, one of its own.
    ///
    /// # Errors
    /// `Code::TokenNotFound`.
    pub async fn revoke_api_token(
        &self,
        id: Uuid,
        account: Option<&str>,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<ApiToken, Failure> {
        let revoked = self.recorded(async |client| {
                let transaction = client.transaction().await?;
                let sql = format!(
                    "SELECT {COLUMNS} FROM api_tokens t WHERE id = $1 AND ($2::text IS NULL OR account = $2) FOR UPDATE"
                );
                let row = transaction.query_opt(&sql, &[&id, &account]).await?;
                let missing = || Failure::new(Code::TokenNotFound, "There is no such API token.");
                let mut token = read(&row.ok_or_else(missing)?)?;
                if token.revoked_at.is_none() {
                    let end = "UPDATE api_tokens SET revoked_at = $2 WHERE id = $1";
                    transaction.execute(end, &[&id, &at]).await?;
                    token.revoked_at = Some(at);
                    let detail = json!({ "account": token.account, "token": token.id, "name": token.name });
                    let event = Event { detail, ..Event::new(EventName::TokenRevoked, at, actor.clone()) };
                    audit::insert(&transaction, &event).await?;
                }
                transaction.commit().await?;
                Ok(token)
            })
            .await?;
        Ok(revoked)
    }
}

fn read(row: &Row) -> Result<ApiToken, Error> {
    let scope = row.try_get::<_, Option<Vec<&str>>>("token_access")?;
    Ok(ApiToken {
        id: row.try_get("token_id")?,
        account: row.try_get("token_account")?,
        name: row.try_get("token_name")?,
        scope: scope.map(|texts| rows::patterns(TABLE, "access", texts)).transpose()?,
        created_at: row.try_get("token_created_at")?,
        expires_at: row.try_get("token_expires_at")?,
        last_used_at: row.try_get("token_last_used_at")?,
        revoked_at: row.try_get("token_revoked_at")?,
    })
}
