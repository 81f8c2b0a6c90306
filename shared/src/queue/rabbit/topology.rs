//! The names of the queues, and their declarations.

use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};

use crate::domain::HostKey;
use crate::queue::BellDelay;

/// A net under the intake's own backlog limit: beyond it the broker refuses to confirm. Fixed for good, since
/// `x-max-length` cannot be changed by declaring again.
const MAX_LENGTH: i32 = 100_000;

/// The header of a message that was put aside: the queue it came from.
pub(super) const QUEUE_HEADER: &str = "x-rolecall-queue";
/// And why.
pub(super) const REASON_HEADER: &str = "x-rolecall-reason";

/// Queue names under one prefix, so that several installations can share a broker.
#[derive(Debug)]
pub(super) struct Topology {
    prefix: String,
}

impl Topology {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The jobs of one host.
    pub(super) fn host(&self, host: &HostKey) -> ShortString {
        format!("{}.host.{host}", self.prefix).into()
    }

    /// The host whose jobs a queue holds; none if it is another queue.
    pub(super) fn host_of(&self, queue: &str) -> Option<HostKey> {
        queue.strip_prefix(&self.prefix)?.strip_prefix(".host.")?.parse().ok()
    }

    /// The doorbell, and the queues from which delayed bells fall back into it.
    pub(super) fn bell(&self, delay: BellDelay) -> ShortString {
        let suffix = match delay {
            BellDelay::Now => "",
            BellDelay::Ms200 => ".200ms",
            BellDelay::S1 => ".1s",
            BellDelay::S5 => ".5s",
            BellDelay::S30 => ".30s",
            BellDelay::M2 => ".2m",
            BellDelay::M10 => ".10m",
        };
        format!("{}.bell{suffix}", self.prefix).into()
    }

    /// What was put aside.
    pub(super) fn dead(&self) -> ShortString {
        format!("{}.dead", self.prefix).into()
    }

    /// Declares everything but the hosts' queues, which are made when the first job for a host comes on a connection.
    pub(super) async fn declare(&self, channel: &lapin::Channel) -> Result<(), lapin::Error> {
        let durable = QueueDeclareOptions::durable;
        channel.queue_declare(self.dead(), durable(), FieldTable::default()).await?;
        channel.queue_declare(self.bell(BellDelay::Now), durable(), FieldTable::default()).await?;
        for delay in BellDelay::DELAYED {
            channel.queue_declare(self.bell(delay), durable(), self.delayed(delay)).await?;
        }
        Ok(())
    }

    /// Declares the queue of one host.
    pub(super) async fn declare_host(
        &self,
        channel: &lapin::Channel,
        name: ShortString,
    ) -> Result<(), lapin::Error> {
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(MAX_LENGTH));
        arguments.insert("x-overflow".into(), text("reject-publish"));
        channel.queue_declare(name, QueueDeclareOptions::durable(), arguments).await.map(drop)
    }

    fn delayed(&self, delay: BellDelay) -> FieldTable {
        let mut arguments = FieldTable::default();
        let milliseconds = i32::try_from(delay.duration().as_millis()).unwrap_or(i32::MAX);
        arguments.insert("x-message-ttl".into(), AMQPValue::LongInt(milliseconds));
        arguments.insert("x-dead-letter-exchange".into(), text(""));
        arguments.insert("x-dead-letter-routing-key".into(), text(self.bell(BellDelay::Now).as_str()));
        arguments
    }
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(value))
}
