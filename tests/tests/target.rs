//! Sessions on target hosts, against the stack's PostgreSQL servers: log-ins, TLS, the host lock, reading,
//! granting, committing.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where its scene cannot be set")]

#[path = "target/committing.rs"]
mod committing;
#[path = "target/granting.rs"]
mod granting;
#[path = "target/locking.rs"]
mod locking;
#[path = "target/opening.rs"]
mod opening;
#[path = "target/reading.rs"]
mod reading;
#[path = "target/scene.rs"]
mod scene;
#[path = "target/tls.rs"]
mod tls;
#[path = "target/wire.rs"]
mod wire;
