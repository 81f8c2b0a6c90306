//! Sessions on target hosts: the only place that sends SQL to a target.
//!
//! Owns how to log in (user, password, TLS), the limits of a session, the host lock, and the one table that judges
//! what went wrong. Changes are sent as [`Statement`](crate::ddl::Statement)s and never as text; the only texts
//! here are constants, and what varies in them is a bind parameter. Must never log or return a password, wait
//! without a limit, or decide what happens to a job: it says a [`Verdict`], the lane acts on it.
//!
//! * `connect`, `purpose`, `login`, `reference`, `tls`: [`Connector`] opens a [`Session`].
//! * `session`, `lock`: statements, commit, the host lock.
//! * `error`, `judge`: from an error to a [`Verdict`].
//! * `probe`, `roles`, `check`: what is read from a target; `reading`: how its columns are.
//! * `grants`: step 3b, reading rights in another database.
//! * `idle`: sessions kept between two turns.
//!
//! Tested beside the pure parts, and against real servers in `tests/tests/target.rs`.

mod check;
mod connect;
mod error;
mod grants;
mod idle;
mod judge;
mod lock;
mod login;
mod probe;
mod purpose;
mod reading;
mod reference;
mod roles;
mod session;
mod tls;

pub use check::CheckReport;
pub use connect::Connector;
pub use error::{TargetError, Verdict};
pub use idle::IdleSessions;
pub use lock::{HOST_LOCK_KEY, LockHolder};
pub use login::seal_login_password;
pub use probe::RoleProbe;
pub use purpose::Purpose;
pub use reference::{ReferenceRefused, check_reference};
pub use roles::RoleInfo;
pub use session::Session;
