//! The subscription to what moves: one per process, on a connection of its own.

use std::time::Duration;

use futures_util::StreamExt;
use redis::{Client, RedisError};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use super::link::LastFault;
use crate::retry::Delays;
use crate::tickets::Moved;

/// How many moves a receiver may be behind before it has to look again by itself. One entry is 17 bytes.
pub(super) const BEHIND: usize = 4096;

/// From the channel in Redis to the receivers in this process.
pub(super) struct Feed {
    pub(super) client: Client,
    pub(super) channel: String,
    pub(super) timeout: Duration,
    pub(super) receivers: broadcast::Sender<Moved>,
    pub(super) fault: LastFault,
}

/// Why a subscription ended.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("the connection was closed")]
    Closed,
    #[error(transparent)]
    Redis(#[from] RedisError),
}

impl Feed {
    /// Listens until it is told to stop.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut delays = Delays::full_jitter(Duration::from_millis(100), Duration::from_secs(2));
        let listening = async {
            loop {
                let Err(interrupted) = self.listen(&mut delays).await;
                if self.fault.borrow().is_none() {
                    tracing::warn!(reason = %interrupted, "the ticket store is away");
                }
                self.fault.send_replace(Some(interrupted.to_string()));
                tokio::time::sleep(delays.next_delay()).await;
            }
        };
        let _: Option<std::convert::Infallible> = stop.run_until_cancelled(listening).await;
    }

    async fn listen(&self, delays: &mut Delays) -> Result<std::convert::Infallible, Interrupted> {
        let subscribe = async {
            let mut subscription = self.client.get_async_pubsub().await?;
            subscription.subscribe(&self.channel).await?;
            Ok::<_, RedisError>(subscription)
        };
        let subscription = tokio::time::timeout(self.timeout, subscribe)
            .await
            .map_err(|_| Interrupted::TimedOut(self.timeout))??;
        delays.reset();
        if self.fault.send_replace(None).is_some() {
            tracing::info!("the ticket store is back");
        }

        // Whatever moved before this moment was told to nobody here. Sending to no receiver is no error.
        let _ = self.receivers.send(Moved::Missed);
        let mut messages = subscription.into_on_message();
        while let Some(message) = messages.next().await {
            let moved = message.get_payload::<String>().ok().and_then(|text| text.parse().ok());
            // Not an id: nothing of ours writes that, but whoever waits is safe when he looks again.
            let _ = self.receivers.send(moved.map_or(Moved::Missed, Moved::Ticket));
        }
        Err(Interrupted::Closed)
    }
}
