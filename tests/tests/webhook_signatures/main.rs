//! What others make of our signatures: the libraries of Standard Webhooks and of Ed25519 in two other languages, the
//! receivers that docs/WEBHOOKS.md shows, taken out of it, and `rolecall webhooks listen`.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod case;
mod document;
mod libraries;
mod listen;
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::expect_used,
    dead_code,
    reason = "it is what the document shows to others"
)]
mod receiver_in_rust;
mod receivers;
