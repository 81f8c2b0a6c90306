//! The words of the product as types: parsed once at the door, never checked again behind it.
//!
//! Owns names, ids, kinds, targets, operations, jobs, the ticket's state machine and failures. Does no I/O,
//! reads no clock and draws no randomness. Tested beside each file.

mod account;
mod clock;
mod event;
mod failure;
mod ids;
mod job;
pub mod kind;
mod mark;
mod names;
mod notice;
mod oidc;
mod operation;
mod period;
mod rights;
mod target;
mod template;
pub mod ticket;
pub mod webhook;
mod words;

pub use account::{AccountKind, AccountType, InvalidAccountKind, InvalidAccountType};
pub use clock::{Clock, SystemClock};
pub use event::{Event, EventName};
pub use failure::{Class, Code, Failure, FieldFault};
pub use ids::{ClaimId, TicketId};
pub use job::{Actor, Job};
pub use kind::{KindName, Profile, Profiles};
pub use mark::Mark;
pub use names::{DatabaseName, Env, MAX_NAME_BYTES, NameFault, NameRules, RoleName, SchemaName};
pub use notice::told_events;
pub use oidc::{ClaimPattern, InvalidClaimPattern, OWNER_CLAIMS, REF_CLAIMS, SignatureAlgorithm};
pub use operation::Operation;
pub use period::{NotAPeriod, Period};
pub use rights::{
    Grants, InvalidPattern, MAX_PATTERN_BYTES, MAX_PATTERNS, Need, Pattern, Permission, Rights,
};
pub use target::{HostKey, Login, LoginPassword, SslMode, Target, TargetKey};
pub use template::{MAX_TEMPLATE_BYTES, Placeholder, Template, TemplateFault};
