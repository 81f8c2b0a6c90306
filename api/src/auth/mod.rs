//! Who is calling.
//!
//! Owns the caller's identity and how it is proven. A password is compared, verified or hashed here and goes no
//! further; it is in no log, no failure and no cache (a cache key is a keyed hash). [`oidc`] takes an issuer's word in
//! place of a password. Tested beside each file.

mod basic;
pub mod oidc;
mod proven;
mod verify;

pub(crate) use verify::Authenticator;

use std::net::IpAddr;

use rolecall_shared::domain::Actor;

/// Somebody who proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The account's name.
    pub(crate) account: String,
    /// Who owns what this caller makes: the account, and for federated callers also the bound subject.
    pub(crate) owner: String,
    /// Whether every right is given. It opens nobody else's tickets: those are their owner's.
    pub(crate) is_admin: bool,
    /// The address of the connection.
    pub(crate) address: Option<IpAddr>,
}

impl Caller {
    /// The caller as job and audit name him.
    pub(crate) fn actor(&self) -> Actor {
        Actor {
            account: self.account.clone(),
            owner: self.owner.clone(),
            address: self.address.map(|address| address.to_string()),
        }
    }
}
