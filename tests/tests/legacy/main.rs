//! pg-user-api's calls, end to end: what its two documents show, answered as it answered; and what it did wrong, not done.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

mod alone;
mod bursts;
mod documents;
mod forms;
mod injections;
mod joining;
mod scene;
mod waiting;
