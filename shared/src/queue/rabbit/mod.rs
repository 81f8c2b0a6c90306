//! The port on RabbitMQ (AMQP 0-9-1; tried on 3.10 to 4).
//!
//! Two connections: publishing must not suffer when the broker throttles consumers, nor the other way round. Each
//! has a supervisor ([`link`]) that connects, declares and, on any error, drops everything and begins again.

mod bells;
mod dead;
mod inspect;
mod lane;
mod link;
mod publisher;
mod topology;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lapin::types::FieldTable;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::inspect::{BrokerReport, inspect};

use self::link::{Link, Live, Purpose, within};
use self::publisher::Publisher;
use self::topology::Topology;
use super::DeadQueue;
use super::port::{BellDelay, Bells, Depth, LaneOpening, Queue};
use crate::config;
use crate::domain::{Failure, HostKey, Job};

/// Queues on RabbitMQ.
#[derive(Debug)]
pub struct RabbitQueue {
    topology: Arc<Topology>,
    publisher: Publisher,
    consuming: Link,
    /// A channel for passive declarations. They close it when the queue is not there, so it has nothing else to do.
    asking: tokio::sync::Mutex<Option<(Arc<Live>, lapin::Channel)>>,
}

impl RabbitQueue {
    /// Starts both supervisors. Does not wait for the broker: until it answers, every call fails.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn start(
        settings: &config::RabbitMq,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Result<Arc<Self>, Failure> {
        let topology = Arc::new(Topology::new(&settings.prefix));
        let link = |purpose| Link::start(purpose, settings, Arc::clone(&topology), tasks, stop);
        let publisher =
            Publisher::new(link(Purpose::Publishing)?, Arc::clone(&topology), settings.publish_window);
        let consuming = link(Purpose::Consuming)?;
        Ok(Arc::new(Self { topology, publisher, consuming, asking: tokio::sync::Mutex::new(None) }))
    }

    /// Waits until both connections are there, for at most that long; for commands, which ask once.
    ///
    /// # Errors
    /// `Code::BrokerUnavailable` when they are not.
    pub async fn connected(&self, limit: Duration) -> Result<(), Failure> {
        let both = async {
            self.publisher.link().connected().await;
            self.consuming.connected().await;
        };
        // Whether or not they were: this says what is wrong.
        _ = tokio::time::timeout(limit, both).await;
        self.ping().await
    }
}

#[async_trait]
impl Queue for RabbitQueue {
    async fn ping(&self) -> Result<(), Failure> {
        self.publisher.link().live()?;
        self.consuming.live()?;
        Ok(())
    }

    async fn publish(&self, job: &Job) -> Result<(), Failure> {
        self.publisher.publish(job).await
    }

    async fn ring(&self, host: &HostKey, delay: BellDelay) -> Result<(), Failure> {
        self.publisher.ring(host, delay).await
    }

    async fn depth(&self, host: &HostKey) -> Result<Depth, Failure> {
        let live = self.consuming.live()?;
        let mut asking = self.asking.lock().await;
        let usable = |(of, channel): &(Arc<Live>, lapin::Channel)| {
            Arc::ptr_eq(of, &live) && channel.status().connected()
        };
        let channel = match asking.take().filter(usable) {
            Some((_, channel)) => channel,
            None => self.consuming.call_on(&live, live.connection.create_channel()).await?,
        };
        let options = lapin::options::QueueDeclareOptions::default().passive();
        let asked = channel.queue_declare(self.topology.host(host), options, FieldTable::default());
        match within(self.consuming.timeout(), asked).await {
            Ok(queue) => {
                *asking = Some((live, channel));
                Ok(Depth { messages: queue.message_count().into(), consumers: queue.consumer_count().into() })
            }
            // The broker closed this channel, and that is all that happened.
            Err(error) if link::is_not_found(&error) => Ok(Depth::default()),
            Err(error) => Err(self.consuming.failed(&live, error)),
        }
    }

    async fn bells(&self, prefetch: u16) -> Result<Box<dyn Bells>, Failure> {
        Ok(Box::new(bells::RabbitBells::listen(&self.consuming, &self.topology, prefetch).await?))
    }

    async fn open_lane(&self, host: &HostKey, prefetch: u16) -> Result<LaneOpening, Failure> {
        lane::open(&self.consuming, self.publisher.clone(), self.topology.host(host), prefetch).await
    }

    async fn open_dead(&self, limit: u16) -> Result<Option<Box<dyn DeadQueue>>, Failure> {
        dead::open(&self.consuming, self.publisher.clone(), Arc::clone(&self.topology), limit).await
    }
}
