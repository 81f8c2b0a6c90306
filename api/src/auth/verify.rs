//! From a header to a caller.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::HeaderValue;
use rolecall_shared::config::BootstrapAccount;
use rolecall_shared::control::Control;
use rolecall_shared::credentials::verify_password;
use rolecall_shared::domain::{Code, Failure};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use super::proven::{Digest, Proven};
use super::{Caller, basic};

/// Each verification takes 19 MiB and a core for tens of milliseconds.
const AT_ONCE: usize = 2;
const PATIENCE: Duration = Duration::from_secs(5);

/// Proves who is calling.
pub(crate) struct Authenticator {
    proven: Proven,
    bootstrap: Option<(String, Digest)>,
    hashing: Semaphore,
}

impl Authenticator {
    /// `bootstrap` is the account that exists before any other.
    pub(crate) fn new(bootstrap: Option<&BootstrapAccount>) -> Self {
        let proven = Proven::new();
        let bootstrap = bootstrap.map(|account| {
            (account.user.clone(), proven.digest(&account.user, account.password.expose_secret()))
        });
        Self { proven, bootstrap, hashing: Semaphore::new(AT_ONCE) }
    }

    /// The caller, or [`Code::Unauthenticated`], which is the same for a missing header, an unreadable one, an
    /// unknown account, a disabled one and a wrong password.
    pub(crate) async fn identify(
        &self,
        control: &Control,
        header: Option<&HeaderValue>,
        address: Option<IpAddr>,
    ) -> Result<Caller, Failure> {
        let claim = header.and_then(basic::read).ok_or_else(unauthenticated)?;
        let digest = self.proven.digest(&claim.user, claim.password.expose_secret());
        let is_bootstrap = self.is_bootstrap(&digest);
        if !is_bootstrap && !self.proven.knows(&digest) {
            self.prove(control, &claim, digest).await?;
        }
        // A v4 address of a v6 socket is shown as what it is.
        let address = address.map(|address| address.to_canonical());
        Ok(Caller { owner: claim.user.clone(), account: claim.user, is_admin: is_bootstrap, address })
    }

    /// Digests of equal length are compared, in constant time; user and password are one input.
    fn is_bootstrap(&self, digest: &Digest) -> bool {
        self.bootstrap.as_ref().is_some_and(|(_, known)| known.ct_eq(digest).into())
    }

    async fn prove(&self, control: &Control, claim: &basic::Claim, digest: Digest) -> Result<(), Failure> {
        let busy = || Failure::new(Code::TooManyRequests, "Too many log-ins at once.");
        let permit = tokio::time::timeout(PATIENCE, self.hashing.acquire()).await;
        let _permit = permit.map_err(|_| busy())?.map_err(|_| busy())?;
        if self.proven.knows(&digest) {
            return Ok(());
        }
        let account = if self.bootstrap.as_ref().is_some_and(|(user, _)| *user == claim.user) {
            // This name is the configuration's alone: an account of the same name in the control database would
            // otherwise be a second password for it.
            None
        } else {
            control.find_account(&claim.user).await?.filter(|account| !account.disabled)
        };
        let password = claim.password.clone();
        // Without an account it takes as long, and the answer is no.
        let verify = move || verify_password(&password, account.map(|a| a.password_hash).as_deref());
        if tokio::task::spawn_blocking(verify).await.map_err(Failure::internal)? {
            self.proven.add(digest);
            Ok(())
        } else {
            Err(unauthenticated())
        }
    }
}

fn unauthenticated() -> Failure {
    Failure::new(Code::Unauthenticated, "Credentials are missing or wrong.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authenticator() -> Authenticator {
        Authenticator::new(Some(&BootstrapAccount { user: "ops".into(), password: "p:ä".into() }))
    }

    #[test]
    fn only_user_and_password_together_are_the_bootstrap_account() {
        let authenticator = authenticator();
        let is = |user, password| authenticator.is_bootstrap(&authenticator.proven.digest(user, password));
        assert!(is("ops", "p:ä"));
        assert!(!is("ops", "p:") && !is("op", "sp:ä") && !is("", "") && !is("ops", ""));
        assert!(!Authenticator::new(None).is_bootstrap(&[0; 32]));
    }
}
