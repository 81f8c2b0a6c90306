//! One suite per port. Every implementation of a port runs every case of its suite.

pub mod jobs;
pub mod queue;
pub mod tickets;

pub use crate::eventually;
