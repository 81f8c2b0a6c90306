//! The form of the audit's ledger: what stands in it, how it is chained, signed, proven and written out.
//!
//! * `entry`: a row, as canonical JSON (RFC 8785).
//! * `merkle`: trees over rows (RFC 6962, section 2.1).
//! * `block`: some rows in a row, chained to the block before.
//! * `note`, `keys`: Ed25519 signatures in the form of C2SP signed notes, and the file of the private key.
//! * `checkpoint`: the signed word on how far the ledger goes.
//! * `checker`: reads a ledger block by block, wherever it comes from, and names the first row that is not as it was.
//! * `proof`: that one row stands under a checkpoint.
//! * `bundle`, `bundle_check`: a whole ledger as a file that can be checked without the database.
//! * `export`: rows for people and programs: JSON, lines of JSON, CSV.
//!
//! Never: does I/O but for the key file, knows the database, or repairs anything.
//!
//! Tested beside each file, and against a real database in `tests/tests/audit`.

mod block;
mod bundle;
mod bundle_check;
mod checker;
mod checkpoint;
mod entry;
mod export;
mod keys;
mod merkle;
mod note;
mod proof;

pub use block::{Header, MAX_EVENTS};
pub use bundle::Line;
pub use bundle_check::check_bundle;
pub use checker::{Checked, Checker, Fault, SeenRow};
pub use checkpoint::{Checkpoint, Opened};
pub use entry::{Entry, EntryFault};
pub use export::{Format, Writer};
pub use keys::{KeyFileError, create_key, load_key};
pub use merkle::{Hash, leaf};
pub use note::{InvalidKey, NoteFault, PublicKey, SigningKey, split_notes};
pub use proof::{Proof, ProofFault};
