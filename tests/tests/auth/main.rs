//! Who may call: each way in, each right, each limit, against the real processes.
//!
//! * `coverage`: every route there is, for everybody who might come. `ways`: tokens, sessions, the local socket.
//! * `rights`: what lists allow, at the door and in the worker. `users`, `barman`: the two older dialects.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod barman;
mod coverage;
mod people;
mod rights;
mod users;
mod ways;
