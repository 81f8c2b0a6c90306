//! Who is calling, and what they may do.
//!
//! * `verify`: from a request to a caller, by `basic`, `bearer` (API tokens), `session` (JWTs) or the local socket.
//! * `bootstrap`: the account of the configuration.
//! * `hashing`: so many passwords at once, strangers' last. `proven`: proofs of the last minute, forgotten at every change of
//!   an account or token (`changes`).
//! * `oidc`: an issuer's word in place of a password. `door`: where every dialect asks. `rates`: how many requests an account or an address may make.
//! * `attempts`: how often somebody may try who has proven nothing. `refusals`: what the audit learns of those who were
//!   let in nowhere.
//!
//! A password or token is compared, verified or hashed here and goes no further; it is in no log, no failure and no
//! cache (a cache key is a keyed hash). An unknown account, a wrong password and a closed account are one answer, and
//! take one time. Tested beside each file and in `tests/tests/auth`.

mod attempts;
mod basic;
mod bearer;
mod bootstrap;
mod changes;
pub(crate) mod door;
mod hashing;
#[cfg(feature = "no-authentication")]
pub mod no_authentication;
pub mod oidc;
mod proven;
mod rates;
mod refusals;
mod session;
mod verify;

pub(crate) use attempts::Attempts;
pub(crate) use changes::follow;
pub(crate) use rates::Rates;
pub(crate) use refusals::Refusals;
pub(crate) use session::{Opened, Sessions};
pub(crate) use verify::Authenticator;

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;
use rolecall_shared::domain::{Actor, Rights};
use uuid::Uuid;

/// Somebody who proved who they are, wherever they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The account's name.
    pub(crate) account: String,
    /// Who owns what this caller makes: the account, and for federated callers also the bound subject.
    pub(crate) owner: String,
    /// What the caller may do. Nothing of it opens somebody else's passwords: those are their owner's.
    pub(crate) rights: Rights,
    /// Whether the account administrates, whatever a token of it is limited to.
    pub(crate) is_admin: bool,
    /// By which proof.
    pub(crate) via: Via,
}

/// By which proof somebody was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Via {
    /// HTTP Basic.
    Basic,
    /// An API token of this id.
    ApiToken(Uuid),
    /// A session: its id and end, and what opened it.
    Session { id: Uuid, expires_at: Timestamp, opened_by: String },
    /// The local socket, as this UNIX user.
    Unix(u32),
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic => f.write_str("basic"),
            Self::ApiToken(id) => write!(f, "api_token {id}"),
            Self::Session { id, opened_by, .. } => write!(f, "session {id} ({opened_by})"),
            Self::Unix(uid) => write!(f, "unix {uid}"),
        }
    }
}

/// Who is calling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    identity: Arc<Identity>,
    /// The address of the connection.
    pub(crate) address: Option<IpAddr>,
}

impl Deref for Caller {
    type Target = Identity;

    fn deref(&self) -> &Identity {
        &self.identity
    }
}

impl Caller {
    pub(crate) fn new(identity: Arc<Identity>, address: Option<IpAddr>) -> Self {
        Self { identity, address }
    }

    /// The same caller with other rights.
    pub(crate) fn with_rights(&self, rights: Rights) -> Self {
        Self { identity: Arc::new(Identity { rights, ..(*self.identity).clone() }), address: self.address }
    }

    /// The caller as job and audit name him.
    pub(crate) fn actor(&self) -> Actor {
        Actor {
            account: self.account.clone(),
            owner: self.owner.clone(),
            address: self.address.map(|address| address.to_string()),
            via: Some(self.via.to_string()),
        }
    }
}
