//! What Rolecall's intake and workers share, from the ground up.
//!
//! Each module imports only those above it in this list:
//!
//! * [`failpoints`]: where a test may end a process; empty in what ships.
//! * [`domain`]: ids, names, kinds, targets, operations, the ticket's state machine, failures. Pure.
//! * [`ddl`]: typed statements, one renderer, plans. Pure.
//! * [`seal`]: generated passwords, SCRAM verifiers, the AEAD key ring. Pure but for the system's generator.
//! * [`audit`]: the form of the audit's ledger: rows, blocks, signatures, proofs, exports. Pure but for a key file.
//! * [`credentials`]: hashes of account passwords. Pure.
//! * [`retry`]: delays between attempts.
//! * [`config`]: settings from file and environment, checked as a whole.
//! * [`telemetry`]: logs and metrics.
//! * [`control`]: the control database.
//! * [`tickets`]: live tickets, idempotency, sealed secrets, host states (Redis).
//! * [`queue`]: a queue per host and the doorbell (RabbitMQ).
//! * [`target`]: sessions on target hosts; the only place that sends SQL to a target.
//! * [`outbound`]: HTTP to addresses that callers name; the only place that sends it.
//! * [`notify`]: notifications, and the channels they go through.

pub mod audit;
pub mod config;
pub mod control;
pub mod credentials;
pub mod ddl;
pub mod domain;
pub mod failpoints;
pub mod notify;
pub mod outbound;
pub mod queue;
pub mod retry;
pub mod seal;
pub mod target;
pub mod telemetry;
pub mod tickets;
