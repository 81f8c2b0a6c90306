//! What intake and lanes ask of a queue.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{DeadQueue, Undecodable};
use crate::domain::{Failure, HostKey, Job, TicketId};

/// How full a host's queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Messages that are ready; those in a lane's hands are not counted.
    pub messages: u64,
    /// Lanes that consume it: 0 or 1.
    pub consumers: u64,
}

/// When a bell is to arrive. Fixed steps, because each is a queue of its own: a TTL per message would hold a short
/// one back behind a long one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BellDelay {
    /// At once.
    Now,
    /// In 200 ms.
    Ms200,
    /// In 1 s.
    S1,
    /// In 5 s.
    S5,
    /// In 30 s.
    S30,
    /// In 2 minutes.
    M2,
    /// In 10 minutes.
    M10,
}

impl BellDelay {
    /// Every delay but [`BellDelay::Now`], shortest first.
    pub const DELAYED: [Self; 6] = [Self::Ms200, Self::S1, Self::S5, Self::S30, Self::M2, Self::M10];

    /// How long it is.
    pub fn duration(self) -> Duration {
        match self {
            Self::Now => Duration::ZERO,
            Self::Ms200 => Duration::from_millis(200),
            Self::S1 => Duration::from_secs(1),
            Self::S5 => Duration::from_secs(5),
            Self::S30 => Duration::from_secs(30),
            Self::M2 => Duration::from_mins(2),
            Self::M10 => Duration::from_mins(10),
        }
    }

    /// The longest delay that is not after `wait`: a bell may come early and be put off again, never late.
    pub fn within(wait: Duration) -> Self {
        Self::DELAYED.into_iter().rev().find(|delay| delay.duration() <= wait).unwrap_or(Self::Ms200)
    }
}

/// One message in a lane's hands.
#[derive(Debug)]
pub struct Delivery {
    /// Names the message towards [`LaneQueue`]; grows in the order of the queue.
    pub tag: u64,
    /// It was in somebody's hands before.
    pub redelivered: bool,
    /// The ticket, also of a job that cannot be read.
    pub ticket: Option<TicketId>,
    /// The job, or why it cannot be read.
    pub job: Result<Job, Undecodable>,
}

/// What became of an attempt to open a host's lane.
#[derive(Debug)]
pub enum LaneOpening {
    /// It is ours.
    Open(Box<dyn LaneQueue>),
    /// Another consumer holds it; after a crash the broker may not yet have taken the dead one's jobs back.
    Held,
    /// The host has no queue: nothing was ever submitted for it.
    Missing,
}

/// Every method fails with `Code::BrokerUnavailable` when the broker is away, within its timeout.
#[async_trait]
pub trait Queue: Send + Sync + std::fmt::Debug {
    /// Whether jobs can be published now.
    async fn ping(&self) -> Result<(), Failure>;
    /// Puts a job on its host's queue; makes the queue if it is not there. `Ok` means durable and routed.
    async fn publish(&self, job: &Job) -> Result<(), Failure>;
    /// Rings for a host.
    async fn ring(&self, host: &HostKey, delay: BellDelay) -> Result<(), Failure>;
    /// How full a host's queue is; zero for a queue that does not exist.
    async fn depth(&self, host: &HostKey) -> Result<Depth, Failure>;
    /// Takes part in answering bells, at most `prefetch` unanswered at a time.
    async fn bells(&self, prefetch: u16) -> Result<Box<dyn Bells>, Failure>;
    /// Becomes the only consumer of a host's queue, if nobody else is; at most `prefetch` messages in hand; 0 is
    /// no limit.
    async fn open_lane(&self, host: &HostKey, prefetch: u16) -> Result<LaneOpening, Failure>;
    /// Becomes the only reader of what was put aside, for at most `limit` messages (at least one); `None` when
    /// somebody else is.
    async fn open_dead(&self, limit: u16) -> Result<Option<Box<dyn DeadQueue>>, Failure>;
}

/// The doorbell, as one worker hears it.
#[async_trait]
pub trait Bells: Send + std::fmt::Debug {
    /// Waits for the next bell. After an error this listener is of no more use.
    async fn next(&mut self) -> Result<Box<dyn Bell>, Failure>;
    /// Stops listening; bells that were not answered ring again, here or elsewhere.
    async fn close(self: Box<Self>);
}

/// One bell. Dropped without [`Bell::answered`] it rings again when the connection ends.
#[async_trait]
pub trait Bell: Send + Sync + std::fmt::Debug {
    /// Which host has work.
    fn host(&self) -> &HostKey;
    /// Takes it off the queue.
    async fn answered(self: Box<Self>) -> Result<(), Failure>;
}

/// A host's queue in the hands of its lane. Dropping it without [`LaneQueue::release`] gives everything back too,
/// only later.
#[async_trait]
pub trait LaneQueue: Send + std::fmt::Debug {
    /// The next message; `None` when there was none for that long.
    async fn next(&mut self, wait: Duration) -> Result<Option<Delivery>, Failure>;
    /// The next message if it is here already.
    fn next_ready(&mut self) -> Result<Option<Delivery>, Failure>;
    /// Acknowledges this message and every one delivered before it.
    async fn done_through(&mut self, tag: u64) -> Result<(), Failure>;
    /// Puts a message aside: onto the dead queue with its name, the reason and the time, confirmed, then acknowledged.
    async fn bury(&mut self, tag: u64, reason: &str, at: Timestamp) -> Result<(), Failure>;
    /// Stops consuming and gives back, in order, what is not acknowledged. Returns when the broker has it all.
    async fn release(self: Box<Self>) -> Result<(), Failure>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_is_never_late() {
        for (wait, delay) in [
            (0, BellDelay::Ms200),
            (199, BellDelay::Ms200),
            (999, BellDelay::Ms200),
            (1_000, BellDelay::S1),
            (29_999, BellDelay::S5),
            (30_000, BellDelay::S30),
            (3_600_000, BellDelay::M10),
        ] {
            assert_eq!(BellDelay::within(Duration::from_millis(wait)), delay, "{wait} ms");
        }
    }
}
