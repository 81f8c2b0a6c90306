//! A queue per host and the doorbell: the port, and its implementation on RabbitMQ.
//!
//! Owns the form of messages and the names of queues. Never touches tickets or targets, never deletes a queue,
//! never drops a message of its own accord: what cannot be read goes to the dead queue, confirmed, before it is
//! acknowledged, and leaves that at an operator's word.
//! Tested by the conformance suite `rolecall_tests::conformance::queue`.
//!
//! Why a bell beside the queues: a worker need not know which hosts exist. It consumes one queue of bells; a bell
//! says "this host has work", and whoever takes it opens that host's lane. Bells are idempotent and without order.

mod dead;
mod message;
mod port;
mod rabbit;

pub use dead::{DeadMessage, DeadQueue};
pub use message::{Undecodable, decode, encode};
pub use port::{Bell, BellDelay, Bells, Delivery, Depth, LaneOpening, LaneQueue, Queue};
pub use rabbit::{BrokerReport, RabbitQueue, inspect};
