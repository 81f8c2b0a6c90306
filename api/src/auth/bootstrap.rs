//! The account of the configuration, which exists before any other.

use std::sync::Arc;

use rolecall_shared::config::BootstrapAccount;
use rolecall_shared::domain::Rights;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::proven::{Digest, Proven};
use super::{Identity, Via};

/// It may do everything, and proves who it is by one comparison.
pub(super) struct Bootstrap {
    digest: Digest,
    pub(super) identity: Arc<Identity>,
    pub(super) password: SecretString,
}

impl Bootstrap {
    /// `proven` makes the digests that [`Self::proves`] is asked with.
    pub(super) fn new(account: &BootstrapAccount, proven: &Proven) -> Self {
        Self {
            digest: proven.digest(&["basic", &account.user, account.password.expose_secret()]),
            identity: Arc::new(Identity {
                account: account.user.clone(),
                owner: account.user.clone(),
                rights: Rights::all(),
                is_admin: true,
                via: Via::Basic,
            }),
            password: account.password.clone(),
        }
    }

    pub(super) fn is(&self, account: &str) -> bool {
        self.identity.account == account
    }

    /// Digests of equal length are compared, in constant time; user and password are one input.
    pub(super) fn proves(&self, digest: &Digest) -> bool {
        self.digest.ct_eq(digest).into()
    }
}
