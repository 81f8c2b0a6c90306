//! A host's queue in the hands of its lane: an exclusive consumer.
//!
//! Exclusive, because the host lock and the broker's view of who holds which message end independently after a
//! crash: a new holder of the lock that could already consume would overtake jobs which the broker still counts
//! as the dead one's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use jiff::Timestamp;
use lapin::message::Delivery as AmqpDelivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};

use super::link::{self, Link, Live, unavailable, within};
use super::publisher::Publisher;
use crate::domain::Failure;
use crate::queue::dead::name_of;
use crate::queue::{Delivery, LaneOpening, LaneQueue, decode};

#[derive(Debug)]
struct RabbitLane {
    link: Link,
    live: Arc<Live>,
    publisher: Publisher,
    queue: ShortString,
    channel: lapin::Channel,
    consumer: lapin::Consumer,
    /// Message ids and bodies not yet acknowledged, by tag: one that is put aside goes there as it came.
    in_hand: BTreeMap<u64, (Option<ShortString>, Vec<u8>)>,
}

pub(super) async fn open(
    link: &Link,
    publisher: Publisher,
    queue: ShortString,
    prefetch: u16,
) -> Result<LaneOpening, Failure> {
    let live = link.live()?;
    let channel = link.call_on(&live, live.connection.create_channel()).await?;
    link.call_on(&live, channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
    let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
    let consume = channel.basic_consume(queue.clone(), "".into(), options, FieldTable::default());
    match within(link.timeout(), consume).await {
        Ok(consumer) => Ok(LaneOpening::Open(Box::new(RabbitLane {
            link: link.clone(),
            live,
            publisher,
            queue,
            channel,
            consumer,
            in_hand: BTreeMap::new(),
        }))),
        // Both close the channel and nothing else.
        Err(error) if link::is_refused(&error) => Ok(LaneOpening::Held),
        Err(error) if link::is_not_found(&error) => Ok(LaneOpening::Missing),
        Err(error) => Err(link.failed(&live, error)),
    }
}

impl RabbitLane {
    fn take_in(&mut self, delivery: Option<Result<AmqpDelivery, lapin::Error>>) -> Result<Delivery, Failure> {
        let delivery = match delivery {
            Some(Ok(delivery)) => delivery,
            Some(Err(error)) => return Err(unavailable("The host's queue cannot be read.").caused_by(error)),
            None => return Err(unavailable("The host's queue cannot be read: the broker cancelled it.")),
        };
        let job = decode(&delivery.data);
        let id = delivery.properties.message_id().clone();
        let ticket = id.as_ref().and_then(|id| id.as_str().parse().ok());
        self.in_hand.insert(delivery.delivery_tag, (id, delivery.data));
        Ok(Delivery { tag: delivery.delivery_tag, redelivered: delivery.redelivered, ticket, job })
    }

    async fn acknowledge(&mut self, tag: u64, multiple: bool) -> Result<(), Failure> {
        self.link.call_on(&self.live, self.channel.basic_ack(tag, BasicAckOptions { multiple })).await
    }
}

#[async_trait]
impl LaneQueue for RabbitLane {
    async fn next(&mut self, wait: Duration) -> Result<Option<Delivery>, Failure> {
        match tokio::time::timeout(wait, self.consumer.next()).await {
            Ok(delivery) => self.take_in(delivery).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn next_ready(&mut self) -> Result<Option<Delivery>, Failure> {
        match self.consumer.next().now_or_never() {
            Some(delivery) => self.take_in(delivery).map(Some),
            None => Ok(None),
        }
    }

    async fn done_through(&mut self, tag: u64) -> Result<(), Failure> {
        // The broker takes only the tag of a message that is still open for a multiple acknowledgement.
        let Some((&last, _)) = self.in_hand.range(..=tag).next_back() else { return Ok(()) };
        self.acknowledge(last, true).await?;
        self.in_hand = self.in_hand.split_off(&(last + 1));
        Ok(())
    }

    async fn bury(&mut self, tag: u64, reason: &str, at: Timestamp) -> Result<(), Failure> {
        let (id, body) = self.in_hand.get(&tag).cloned().unwrap_or_default();
        let id = name_of(id.as_ref().map(ShortString::as_str), &body);
        self.publisher.bury(&self.queue, &id, &body, (reason, at)).await?;
        self.acknowledge(tag, false).await?;
        self.in_hand.remove(&tag);
        Ok(())
    }

    async fn release(self: Box<Self>) -> Result<(), Failure> {
        // The close gives back everything unacknowledged, also what the client holds and nobody has looked at, and
        // ends the consumer in one step of the queue. Cancelling first would leave a moment in which the queue is free
        // and these jobs are not back: if we died in it, a successor would overtake them.
        // It is a call with an answer: when that comes, all is back in its place and the host lock may go.
        self.link.call_on(&self.live, self.channel.close(200, "lane released".into())).await
    }
}
