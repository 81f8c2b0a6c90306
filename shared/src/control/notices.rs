//! Hearing of changes: a session of its own, which the server tells of every commit that concerns it.

use std::fmt;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client};

use super::Control;
use super::error::Error;
use crate::domain::Failure;

/// How often a session that says nothing is asked whether it is still there.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// The channel of accounts, API tokens and sessions; the triggers of `migrations/` name it.
const CALLERS: &str = "callers";
/// The channel of what is to be told.
const WEBHOOKS: &str = "webhooks";

type Messages = Pin<Box<dyn Stream<Item = Result<AsyncMessage, tokio_postgres::Error>> + Send>>;

/// Tells of changes, each after its commit. Ends with its session; dropping it closes that.
pub struct Notices {
    client: Client,
    messages: Messages,
    /// The longest wait for an answer.
    patience: Duration,
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notices").finish_non_exhaustive()
    }
}

impl Control {
    /// Tells from now on whenever an account, an API token or a session was changed or ended, by whichever process.
    pub async fn caller_changes(&self) -> Result<Notices, Failure> {
        Ok(self.listen(CALLERS).await?)
    }

    /// Tells from now on whenever something is to be told to a webhook.
    pub async fn webhook_notices(&self) -> Result<Notices, Failure> {
        Ok(self.listen(WEBHOOKS).await?)
    }

    async fn listen(&self, channel: &str) -> Result<Notices, Error> {
        let (client, mut connection) = self.pool.connect_alone().await?;
        let messages = stream::poll_fn(move |context| connection.poll_message(context));
        let patience = self.pool.timeout();
        let mut notices = Notices { client, messages: Box::pin(messages), patience };
        notices.ask(&format!("LISTEN {channel}")).await?;
        Ok(notices)
    }
}

impl Notices {
    /// The next change, or several in one.
    ///
    /// # Errors
    /// `Code::ControlDatabaseUnavailable` when the session has ended or does not answer: changes may be missed from
    /// then on.
    pub async fn next(&mut self) -> Result<(), Failure> {
        loop {
            let told = match timeout(ASK_EVERY, self.messages.next()).await {
                Ok(message) => is_notice(message)?,
                Err(_) => self.ask("SELECT").await?,
            };
            if told {
                return Ok(());
            }
        }
    }

    /// Sends a statement; whether a change was told meanwhile.
    async fn ask(&mut self, sql: &str) -> Result<bool, Error> {
        let mut told = false;
        let answered = async {
            let mut answer = pin!(self.client.batch_execute(sql));
            loop {
                tokio::select! {
                    answer = &mut answer => return answer.map_err(Error::from),
                    message = self.messages.next() => told |= is_notice(message)?,
                }
            }
        };
        timeout(self.patience, answered).await.map_err(|_| Error::TimedOut)??;
        Ok(told)
    }
}

fn is_notice(message: Option<Result<AsyncMessage, tokio_postgres::Error>>) -> Result<bool, Error> {
    match message {
        Some(Ok(message)) => Ok(matches!(message, AsyncMessage::Notification(_))),
        Some(Err(error)) => Err(error.into()),
        None => Err(Error::Away("the session has ended".into())),
    }
}
