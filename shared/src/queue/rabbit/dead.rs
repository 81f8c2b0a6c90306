//! The dead queue in the hands of one reader: an exclusive consumer that acknowledges nothing by itself.
//!
//! Exclusive, so that of two operators neither acts on half of what is there because the other holds the rest.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use lapin::message::Delivery as AmqpDelivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use tokio::time::Instant;

use super::link::{self, Link, Live, unavailable, within};
use super::publisher::Publisher;
use super::topology::{QUEUE_HEADER, REASON_HEADER, Topology};
use crate::domain::{Failure, HostKey};
use crate::queue::dead::name_of;
use crate::queue::{DeadMessage, DeadQueue};

/// How long nothing comes before the broker is asked whether anything is left.
const QUIET: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct RabbitDead {
    link: Link,
    live: Arc<Live>,
    publisher: Publisher,
    topology: Arc<Topology>,
    channel: lapin::Channel,
    consumer: lapin::Consumer,
    /// How many more may be taken in hand.
    room: u16,
    /// Name and body of each message in hand, by tag.
    in_hand: BTreeMap<u64, (String, Vec<u8>)>,
}

/// `None` when somebody else reads it.
pub(super) async fn open(
    link: &Link,
    publisher: Publisher,
    topology: Arc<Topology>,
    limit: u16,
) -> Result<Option<Box<dyn DeadQueue>>, Failure> {
    let live = link.live()?;
    let channel = link.call_on(&live, live.connection.create_channel()).await?;
    // A prefetch of zero would be no limit at all.
    let room = limit.max(1);
    link.call_on(&live, channel.basic_qos(room, BasicQosOptions::default())).await?;
    let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
    let consume = channel.basic_consume(topology.dead(), "".into(), options, FieldTable::default());
    match within(link.timeout(), consume).await {
        Ok(consumer) => Ok(Some(Box::new(RabbitDead {
            link: link.clone(),
            live,
            publisher,
            topology,
            channel,
            consumer,
            room,
            in_hand: BTreeMap::new(),
        }))),
        // This closes the channel and nothing else.
        Err(error) if link::is_refused(&error) => Ok(None),
        Err(error) => Err(link.failed(&live, error)),
    }
}

impl RabbitDead {
    fn take_in(
        &mut self,
        delivery: Option<Result<AmqpDelivery, lapin::Error>>,
    ) -> Result<DeadMessage, Failure> {
        let delivery = match delivery {
            Some(Ok(delivery)) => delivery,
            Some(Err(error)) => return Err(unavailable("The dead queue cannot be read.").caused_by(error)),
            None => return Err(unavailable("The dead queue cannot be read: the broker cancelled it.")),
        };
        let properties = &delivery.properties;
        let header = |name: &str| header(properties.headers().as_ref(), name);
        let id = name_of(properties.message_id().as_ref().map(ShortString::as_str), &delivery.data);
        let queue = header(QUEUE_HEADER);
        let message = DeadMessage {
            tag: delivery.delivery_tag,
            id: id.clone(),
            host: self.topology.host_of(&queue),
            queue,
            reason: header(REASON_HEADER),
            put_aside_at: properties
                .timestamp()
                .and_then(|seconds| Timestamp::from_second(i64::try_from(seconds).ok()?).ok()),
            body: delivery.data.clone(),
        };
        self.in_hand.insert(delivery.delivery_tag, (id, delivery.data));
        self.room -= 1;
        Ok(message)
    }
}

/// The text of a header; empty if there is none. Anybody with rights on the broker can put a message here, so what
/// could move a terminal's cursor is replaced.
fn header(headers: Option<&FieldTable>, name: &str) -> String {
    let text = match headers.and_then(|headers| headers.inner().get(name)) {
        Some(AMQPValue::LongString(text)) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        Some(_) | None => String::new(),
    };
    text.replace(char::is_control, "\u{fffd}")
}

#[async_trait]
impl DeadQueue for RabbitDead {
    async fn next(&mut self) -> Result<Option<DeadMessage>, Failure> {
        if self.room == 0 {
            return Ok(None);
        }
        let end = Instant::now() + self.link.timeout();
        loop {
            if let Ok(delivery) = tokio::time::timeout(QUIET, self.consumer.next()).await {
                return self.take_in(delivery).map(Some);
            }
            // Answers and deliveries of a channel come in order: what the broker sent before it counted is here.
            let left = self.left().await?;
            if let Some(delivery) = self.consumer.next().now_or_never() {
                return self.take_in(delivery).map(Some);
            }
            if left == 0 {
                return Ok(None);
            }
            if Instant::now() >= end {
                return Err(unavailable("The dead queue cannot be read: RabbitMQ delivers nothing of it."));
            }
        }
    }

    async fn left(&mut self) -> Result<u64, Failure> {
        let passive = QueueDeclareOptions::default().passive();
        let asked = self.channel.queue_declare(self.topology.dead(), passive, FieldTable::default());
        Ok(self.link.call_on(&self.live, asked).await?.message_count().into())
    }

    async fn put_back(&mut self, tag: u64, host: &HostKey) -> Result<(), Failure> {
        let (id, body) = self.in_hand.get(&tag).ok_or_else(|| not_in_hand(tag))?;
        self.publisher.publish_again(host, id, body).await
    }

    async fn discard(&mut self, tag: u64) -> Result<(), Failure> {
        if !self.in_hand.contains_key(&tag) {
            return Err(not_in_hand(tag));
        }
        let acknowledged = self.channel.basic_ack(tag, BasicAckOptions::default());
        self.link.call_on(&self.live, acknowledged).await?;
        self.in_hand.remove(&tag);
        Ok(())
    }

    async fn release(self: Box<Self>) -> Result<(), Failure> {
        // Gives back everything unacknowledged, in its place, and has an answer.
        self.link.call_on(&self.live, self.channel.close(200, "dead queue released".into())).await
    }
}

fn not_in_hand(tag: u64) -> Failure {
    Failure::internal(format!("no message {tag} of the dead queue is in hand"))
}
