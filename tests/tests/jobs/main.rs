//! Rolecall's main job, end to end: real processes, real servers, real log-ins. Jobs go in over HTTP; what is judged
//! is the answer, the target server's own catalogs, and whether a password logs in.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

mod bursts;
mod canary;
mod kinds;
mod mishaps;
mod operations;
mod outages;
mod proofs;
mod scene;
mod search;
mod secrets;
mod tickets;
