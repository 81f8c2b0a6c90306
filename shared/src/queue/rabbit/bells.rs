//! Listening to the doorbell.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;

use super::link::{Link, Live, unavailable};
use super::topology::Topology;
use crate::domain::{Failure, HostKey};
use crate::queue::{Bell, BellDelay, Bells};

#[derive(Debug)]
pub(super) struct RabbitBells {
    link: Link,
    live: Arc<Live>,
    consumer: lapin::Consumer,
    channel: lapin::Channel,
}

#[derive(Debug)]
struct RabbitBell {
    link: Link,
    live: Arc<Live>,
    host: HostKey,
    delivery: lapin::message::Delivery,
}

impl RabbitBells {
    pub(super) async fn listen(link: &Link, topology: &Topology, prefetch: u16) -> Result<Self, Failure> {
        let live = link.live()?;
        let channel = link.call_on(&live, live.connection.create_channel()).await?;
        link.call_on(&live, channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        let queue = topology.bell(BellDelay::Now);
        let consume =
            channel.basic_consume(queue, "".into(), BasicConsumeOptions::default(), FieldTable::default());
        let consumer = link.call_on(&live, consume).await?;
        Ok(Self { link: link.clone(), live, consumer, channel })
    }
}

#[async_trait]
impl Bells for RabbitBells {
    async fn next(&mut self) -> Result<Box<dyn Bell>, Failure> {
        loop {
            let delivery = match self.consumer.next().await {
                Some(Ok(delivery)) => delivery,
                Some(Err(error)) => return Err(unavailable("The doorbell is not heard.").caused_by(error)),
                None => return Err(unavailable("The doorbell is not heard: the broker cancelled it.")),
            };
            let host = std::str::from_utf8(&delivery.data).ok().and_then(|text| text.parse().ok());
            if let Some(host) = host {
                return Ok(Box::new(RabbitBell {
                    link: self.link.clone(),
                    live: Arc::clone(&self.live),
                    host,
                    delivery,
                }));
            }
            // A bell carries nothing of value, so one that names no host is dropped.
            tracing::warn!("a bell names no host");
            self.link.call_on(&self.live, delivery.ack(BasicAckOptions::default())).await?;
        }
    }

    async fn close(self: Box<Self>) {
        // If the broker does not answer, the connection is ended, which has the same effect.
        drop(self.link.call_on(&self.live, self.channel.close(200, "no more bells".into())).await);
    }
}

#[async_trait]
impl Bell for RabbitBell {
    fn host(&self) -> &HostKey {
        &self.host
    }

    async fn answered(self: Box<Self>) -> Result<(), Failure> {
        // False means that the connection it came on is gone: it will ring again, which is harmless.
        self.link.call_on(&self.live, self.delivery.ack(BasicAckOptions::default())).await.map(drop)
    }
}
