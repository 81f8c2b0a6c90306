//! The end-to-end harness: real servers, the real binary, real connections.
//!
//! * [`stack`]: the private RabbitMQ, Redis and PostgreSQL servers that `tests/stack/stack` starts.
//!
//! Tests share one stack and keep apart by names of their own (databases, key prefixes, queue prefixes, host lock
//! databases). They wait for conditions with a deadline and never sleep for a fixed time.

pub mod stack;
