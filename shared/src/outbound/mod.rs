//! HTTP to addresses that callers name: receivers of webhooks and of notifications.
//!
//! Owns which addresses may be reached (`policy`, `ranges`, pure; `protected` for our own servers and the targets),
//! the check of every address at the moment it is connected to (`guard`), and the one request that is made
//! ([`Outbound::post`]) with what became of it ([`Attempt`]). Nothing else in Rolecall sends HTTP to such an address.
//!
//! It never follows a redirect, never uses a proxy, never uses a connection twice (each one is checked), never reads
//! more than the head and 8 KiB of an answer, and never tells a caller which address a name has.
//! Whether and when to try again is for others to decide.
//!
//! Tested in `tests` beside these files, where refused addresses are really tried against a listener that must not
//! hear of it.

mod attempt;
mod guard;
mod lookup;
mod policy;
mod protected;
mod ranges;
mod sender;
#[cfg(test)]
mod tests;

pub use attempt::{Attempt, Trouble};
pub use lookup::{Lookup, SystemLookup};
pub use policy::{MAX_URL_BYTES, Policy, Refusal, Standing};
pub use protected::{TargetHosts, own_hosts};
pub use ranges::Range;
pub use sender::{MAX_BODY_BYTES, Outbound, Post};
