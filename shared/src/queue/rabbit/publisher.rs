//! Confirmed publishing with a bounded window.

use std::sync::Arc;

use jiff::Timestamp;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{BasicProperties, Confirmation};
use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit};

use super::link::{CallError, Link, Live, unavailable, within};
use super::topology::{QUEUE_HEADER, REASON_HEADER, Topology};
use crate::domain::{Failure, HostKey, Job};
use crate::queue::{BellDelay, encode};

const PERSISTENT: u8 = 2;
const TRANSIENT: u8 = 1;

/// Publishes and waits for the broker's word. Clones share the window.
#[derive(Debug, Clone)]
pub(super) struct Publisher {
    link: Link,
    topology: Arc<Topology>,
    /// Unconfirmed messages under way. Without a bound a burst would queue up inside the client, where no timeout
    /// reaches it.
    window: Arc<Semaphore>,
    /// Who enters the window next. A place that comes free belongs to whoever waited longest, but while that one wakes up
    /// another place may come free for somebody who has just arrived, and who would then be sent first. A lock has one
    /// place only, and so whoever asks for it later is later.
    door: Arc<Mutex<()>>,
}

/// A message's place in the window, and the door, which it holds until it is on its way.
struct Place<'a> {
    door: MutexGuard<'a, ()>,
    _window: SemaphorePermit<'a>,
}

impl Publisher {
    pub(super) fn new(link: Link, topology: Arc<Topology>, window: usize) -> Self {
        Self { link, topology, window: Arc::new(Semaphore::new(window)), door: Arc::default() }
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    pub(super) async fn publish(&self, job: &Job) -> Result<(), Failure> {
        let body = encode(job).map_err(Failure::internal)?;
        self.publish_again(&job.host, &job.ticket.to_string(), &body).await
    }

    /// Puts a body on a host's queue as it is, under its name; declares the queue if this connection does not know it.
    pub(super) async fn publish_again(&self, host: &HostKey, id: &str, body: &[u8]) -> Result<(), Failure> {
        let queue = self.topology.host(host);
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into())
            .with_type("rolecall.job".into())
            .with_message_id(id.into());
        let place = self.place().await?;
        let live = self.link.live()?;
        if !live.has_queue(&queue) {
            self.link.call_on(&live, self.topology.declare_host(&live.channel, queue.clone())).await?;
            live.note_queue(queue.clone());
        }
        self.send(place, &live, queue, body, properties).await
    }

    /// A bell is not durable: a lost one is made good by the sweeper.
    pub(super) async fn ring(&self, host: &HostKey, delay: BellDelay) -> Result<(), Failure> {
        let properties =
            BasicProperties::default().with_delivery_mode(TRANSIENT).with_type("rolecall.bell".into());
        let (place, live) = (self.place().await?, self.link.live()?);
        self.send(place, &live, self.topology.bell(delay), host.to_string().as_bytes(), properties).await
    }

    /// Puts a body aside as it is, under its name, with the queue it came from, the reason and the time.
    pub(super) async fn bury(
        &self,
        from: &ShortString,
        id: &str,
        body: &[u8],
        (reason, at): (&str, Timestamp),
    ) -> Result<(), Failure> {
        let mut headers = FieldTable::default();
        let text = |value: &str| AMQPValue::LongString(LongString::from(value));
        headers.insert(QUEUE_HEADER.into(), text(from.as_str()));
        headers.insert(REASON_HEADER.into(), text(reason));
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_message_id(id.into())
            .with_timestamp(u64::try_from(at.as_second()).unwrap_or(0))
            .with_headers(headers);
        let (place, live) = (self.place().await?, self.link.live()?);
        self.send(place, &live, self.topology.dead(), body, properties).await
    }

    /// A place in the window. Messages are sent in the order in which this was asked for.
    async fn place(&self) -> Result<Place<'_>, Failure> {
        let enter = async {
            let door = self.door.lock().await;
            let window = self.window.acquire().await.map_err(Failure::internal)?;
            Ok(Place { door, _window: window })
        };
        tokio::time::timeout(self.link.timeout(), enter)
            .await
            .map_err(|_| unavailable("RabbitMQ confirms too slowly; too many messages wait already."))?
    }

    /// `Ok` means confirmed and routed.
    ///
    /// A mandatory message that cannot be routed comes back as a return *and* an ack, and the client pairs returns
    /// with acks by order of arrival, not by message: of two publishes under way the wrong one may be told. So no
    /// publish may come back: every queue is declared on the connection before the first message for it. If one
    /// comes back all the same (somebody deleted a queue), nothing on this connection is believed any more.
    async fn send(
        &self,
        place: Place<'_>,
        live: &Live,
        queue: ShortString,
        body: &[u8],
        properties: BasicProperties,
    ) -> Result<(), Failure> {
        let Place { door, _window } = place;
        match within(self.link.timeout(), confirmed(live, queue, body, properties, door)).await {
            Ok(Confirmation::Ack(None)) => Ok(()),
            Ok(Confirmation::Ack(Some(_))) => {
                Err(self.link.failed(live, CallError::Refused("a queue is gone")))
            }
            Ok(Confirmation::Nack(_)) => {
                Err(unavailable("RabbitMQ refused the message; the host's queue is full."))
            }
            Ok(Confirmation::NotRequested) => {
                Err(self.link.failed(live, CallError::Refused("the channel is not in confirm mode")))
            }
            Err(error) => Err(self.link.failed(live, error)),
        }
    }
}

async fn confirmed(
    live: &Live,
    queue: ShortString,
    body: &[u8],
    properties: BasicProperties,
    door: MutexGuard<'_, ()>,
) -> Result<Confirmation, lapin::Error> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let confirm =
        live.channel.basic_publish(ShortString::default(), queue, options, body, properties).await?;
    // It is behind all that was sent before it; the broker's word is waited for side by side.
    drop(door);
    confirm.await
}
