//! The end-to-end harness: real servers, the real binary, real connections.
//!
//! From the ground up:
//!
//! * [`stack`]: the private RabbitMQ, Redis and PostgreSQL servers that `tests/stack/stack` starts.
//! * [`private_stack`]: servers of one test's own, which it may end.
//! * [`control`]: a control database of a test's own.
//! * `leftovers`: drops the databases of earlier suites, when a process first asks for the shared stack.
//! * [`binary`]: builds the `rolecall` that is tested.
//! * [`target`]: a target server as its superuser, as the DBA role, or as a role that was just made.
//! * [`installation`]: everything one Rolecall needs, apart from all others: databases, prefixes, keys, settings.
//! * [`process`]: `rolecall api`, `worker` or `serve` as a process, with its log, its end and its sudden end.
//! * [`client`]: a caller over HTTP.
//! * [`gateway`]: stands before a server, which it can make silent or unreachable.
//! * [`issuer`]: an OpenID provider that makes ID tokens.
//! * [`receiver`]: a receiver of webhooks that behaves as a test wants.
//! * [`settled`]: in which order jobs ended.
//! * [`product`]: what the binary says of itself, for suites about files and documents.
//! * [`conformance`]: what every implementation of a port must do. [`redis_server`]: a Redis of a test's own.
//! * [`running`]: all of it together; what most suites start from.
//! * [`eventually`](eventually::eventually): waits for a condition with a deadline; the only place that sleeps.
//!
//! ```no_run
//! # async fn example() {
//! use rolecall_tests::Running;
//! use serde_json::json;
//!
//! let rolecall = Running::start("readme").await;
//! let target = rolecall.target(1);
//! let role = rolecall.role("ada");
//! let ended = rolecall
//!     .client
//!     .run(&json!({ "operation": "create_role", "kind": "devqa", "username": role,
//!                   "env": "dev", "database": target.database }))
//!     .await;
//! let secret = rolecall.client.take_secret(&ended.id()).await.expect(200);
//! target.login(&role, secret.text("password"), &target.database).await.expect("the password works");
//! # }
//! ```
//!
//! Tests share one stack and keep apart by names of their own (databases, key prefixes, queue prefixes, host lock
//! databases). They wait for conditions with a deadline and never sleep for a fixed time. Everything here panics
//! when it cannot do what it says: a test has no better answer.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::return_self_not_must_use,
    reason = "a harness fails by panicking, at the line of the test that asked"
)]

pub mod binary;
pub mod client;
pub mod conformance;
pub mod control;
pub mod eventually;
pub mod gateway;
pub mod installation;
pub mod issuer;
mod leftovers;
pub mod private_stack;
pub mod process;
pub mod product;
pub mod receiver;
pub mod redis_server;
pub mod running;
pub mod settled;
pub mod stack;
pub mod target;

pub use client::{Answer, Client};
pub use eventually::eventually;
pub use gateway::Gateway;
pub use installation::Installation;
pub use issuer::Issuer;
pub use private_stack::PrivateStack;
pub use process::Process;
pub use receiver::{Heard, Manner, Receiver};
pub use running::Running;
pub use settled::Settled;
pub use stack::Stack;
pub use target::Target;
