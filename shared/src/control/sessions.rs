//! Sessions that were opened and ended, and the identity tokens that opened some.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Control, audit};
use crate::domain::{Actor, Code, Event, EventName, Failure};

impl Control {
    /// Whether a session was ended before its time.
    pub async fn is_session_revoked(&self, id: Uuid) -> Result<bool, Failure> {
        let revoked = self
            .pool
            .run(async |client| {
                let sql = "SELECT EXISTS (SELECT FROM revoked_sessions WHERE id = $1)";
                let statement = client.prepare_cached(sql).await?;
                Ok(client.query_one(&statement, &[&id]).await?.try_get(0)?)
            })
            .await?;
        Ok(revoked)
    }

    /// Ends a session, with its audit row; `expires_at` is when it would have ended by itself. Forgets those whose
    /// time is over.
    pub async fn revoke_session(
        &self,
        id: Uuid,
        expires_at: Timestamp,
        actor: &Actor,
        at: Timestamp,
    ) -> Result<(), Failure> {
        let event = Event {
            detail: serde_json::json!({ "session": id }),
            ..Event::new(EventName::SessionRevoked, at, actor.clone())
        };
        self.recorded(async |client| {
            let transaction = client.transaction().await?;
            transaction.execute("DELETE FROM revoked_sessions WHERE expires_at < $1", &[&at]).await?;
            let add =
                "INSERT INTO revoked_sessions (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
            if transaction.execute(add, &[&id, &expires_at]).await? > 0 {
                audit::insert(&transaction, &event).await?;
            }
            Ok(transaction.commit().await?)
        })
        .await?;
        Ok(())
    }

    /// Writes down that a session was opened by an identity token, which opens no other one. Forgets those whose time
    /// is over.
    ///
    /// # Errors
    /// `Code::IdentityTokenUsed` when it opened one before.
    pub async fn open_session_once(
        &self,
        (issuer, jti, expires_at): (&str, &str, Timestamp),
        opened: &Event,
    ) -> Result<(), Failure> {
        let jti = Sha256::digest(jti.as_bytes()).to_vec();
        self.recorded(async |client| {
            let transaction = client.transaction().await?;
            transaction
                .execute("DELETE FROM identity_tokens_used WHERE expires_at < $1", &[&opened.at])
                .await?;
            let add = "INSERT INTO identity_tokens_used (issuer, jti, expires_at) VALUES ($1, $2, $3) \
                           ON CONFLICT (issuer, jti) DO NOTHING";
            if transaction.execute(add, &[&issuer, &jti, &expires_at]).await? == 0 {
                let detail = "This identity token was exchanged before; ask the CI system for a new one.";
                return Err(Failure::new(Code::IdentityTokenUsed, detail).into());
            }
            audit::insert(&transaction, opened).await?;
            Ok(transaction.commit().await?)
        })
        .await?;
        Ok(())
    }
}
