//! What was put aside: the port to the dead queue, for one operator at a time.

use async_trait::async_trait;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{Undecodable, decode};
use crate::domain::{Failure, HostKey, Job, TicketId};

/// A message that was put aside, as it came.
#[derive(Debug)]
pub struct DeadMessage {
    /// Names it towards [`DeadQueue`].
    pub tag: u64,
    /// Names it towards people: the ticket's id, or what `name_of` makes of a message without one. Copies of a
    /// message have the same.
    pub id: String,
    /// The queue it came from.
    pub queue: String,
    /// The host of that queue; none if it is no queue of a host.
    pub host: Option<HostKey>,
    /// Why it was put aside.
    pub reason: String,
    /// When, to the second, by the clock of the worker that did it.
    pub put_aside_at: Option<Timestamp>,
    /// The bytes.
    pub body: Vec<u8>,
}

impl DeadMessage {
    /// The job, or why this release cannot read it.
    pub fn job(&self) -> Result<Job, Undecodable> {
        decode(&self.body)
    }

    /// Its ticket, also of a job that cannot be read.
    pub fn ticket(&self) -> Option<TicketId> {
        self.id.parse().ok()
    }
}

/// What was put aside, in the hands of one reader. Nothing leaves it but by [`discard`](Self::discard): whatever becomes
/// of the reader, the rest stays, in its order.
#[async_trait]
pub trait DeadQueue: Send + std::fmt::Debug {
    /// The next message, in the order in which they were put aside; `None` after the last one, or when as many are
    /// in hand as were asked for.
    async fn next(&mut self) -> Result<Option<DeadMessage>, Failure>;

    /// How many there are beyond those in hand.
    async fn left(&mut self) -> Result<u64, Failure>;

    /// Puts a copy of a message in hand on the queue of a host, confirmed. The message is still here; as long as there are
    /// two nothing is wrong: a lane runs a ticket once.
    async fn put_back(&mut self, tag: u64, host: &HostKey) -> Result<(), Failure>;

    /// Takes a message in hand off for good.
    async fn discard(&mut self, tag: u64) -> Result<(), Failure>;

    /// Gives back, in order, everything else. Dropping does it too, only later.
    async fn release(self: Box<Self>) -> Result<(), Failure>;
}

/// The name of a message: its AMQP message id if that can be typed, else the ticket in it, else `sha256-` and the
/// beginning of the digest of its body.
pub(super) fn name_of(message_id: Option<&str>, body: &[u8]) -> String {
    let can_be_typed = |id: &&str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
    if let Some(id) = message_id.filter(can_be_typed) {
        return id.to_owned();
    }
    if let Ok(job) = decode(body) {
        return job.ticket.to_string();
    }
    let mut first = [0_u8; 8];
    first.copy_from_slice(&Sha256::digest(body)[..8]);
    format!("sha256-{:016x}", u64::from_be_bytes(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_has_a_name_that_stays() {
        assert_eq!(name_of(Some("a"), b"x"), "a");
        // The beginning of `printf x | sha256sum`.
        assert_eq!(name_of(None, b"x"), "sha256-2d711642b726b044");
        for id in ["", "a b", "a\0", "\u{1b}[2J", "é"] {
            assert_eq!(name_of(Some(id), b"x"), name_of(None, b"x"), "{id:?}");
        }
        assert_ne!(name_of(None, b"x"), name_of(None, b"y"));
    }
}
