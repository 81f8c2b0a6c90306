//! Rolecall's HTTP intake.
//!
//! Owns everything between a socket and the shared ports: who is calling, what is asked, how the answer is
//! phrased. It runs no DDL, opens a session on a target for reading only, and never answers 202 before the broker
//! has confirmed.
//!
//! * `app`: the use cases, without HTTP; each takes the caller first. [`dead`] is an operator's, for the command line, and
//!   [`registry`] is his too.
//! * `auth`: who is calling. [`oidc`] is the part of it that `rolecall auth explain` shares.
//! * `dialect`: HTTP in and out, one folder per dialect; each file parses, calls one use case and phrases the
//!   answer.
//! * `router`: every mount on one page; `layers`: what every request passes through.
//! * `waiters`: one subscription that wakes whoever waits for a ticket; `turns`: one at a time of those who want the same.
//! * `health`, `openapi`: what operators and programs read.
//! * `listen`: the ways a connection reaches us, and what is known of it.
//! * `serve`: the listeners, from start to graceful stop.
//!
//! Pure parts are tested beside the code, the whole by the end-to-end suites of the crate `rolecall-tests`.

mod app;
mod auth;
mod dialect;
pub mod health;
mod layers;
mod listen;
mod openapi;
mod router;
mod serve;
mod turns;
mod waiters;

pub use app::{App, Parts, dead, registry};
#[cfg(feature = "no-authentication")]
pub use auth::no_authentication;
pub use auth::oidc;
pub use dialect::native::target_file;
pub use listen::{Certificate, Listeners, Socket};
pub use openapi::document as openapi_document;
pub use router::table as route_table;
pub use serve::run;
