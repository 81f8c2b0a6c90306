//! The audit's ledger against a real server: what is recorded is in it, whoever tampers with it is found at the row, and
//! what leaves it can be checked elsewhere.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

mod checkpoints;
mod commands;
mod exports;
mod scene;
mod tampering;
mod waiting;
