//! Notifications: what happened, told where people work.
//!
//! Owns how an event becomes a message ([`Notice`] for its values, `escape` for how they are written, `texts` for what is
//! said by default) and how each kind of channel takes it (`slack`, `webex`, `teams`, `mail`; a generic webhook gets
//! the event itself). Rules and channels are the operator's configuration; which event goes where, when, and how often
//! it is tried is the business of the deliveries, of which a notification is one like any other.
//!
//! It never sees a password, never tells a channel's address, token or log-in in a text or an error, and lets no value
//! of an event be read as markup, mention, link or header.
//!
//! Tested beside the files, and in the suite `notify` of the crate `rolecall-tests` against servers that speak each
//! protocol.

mod channel;
mod escape;
mod mail;
mod notice;
mod notifier;
mod slack;
mod teams;
mod texts;
mod told;
mod webex;

pub use notice::Notice;
pub use notifier::{InvalidRuleKey, Notifier, RuleKey, preview};
pub use told::Told;
