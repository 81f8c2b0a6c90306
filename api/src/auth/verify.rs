//! From a request to a caller.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use jiff::Timestamp;
use rolecall_shared::config::BootstrapAccount;
use rolecall_shared::control::{Account, Control};
use rolecall_shared::domain::{AccountKind, AccountType, Clock, Code, Failure};
use rolecall_shared::seal::ApiTokenText;
use secrecy::ExposeSecret;

use super::attempts::Place;
use super::bearer::Bearer;
use super::bootstrap::Bootstrap;
use super::hashing::{self, Hashing, Who};
use super::proven::{Digest, Epoch, LIFETIME, Proven};
use super::session::{For, Generation, Opened, Read, Sessions};
use super::{Attempts, Caller, Identity, Refusals, Via, basic, bearer};
use crate::turns::Turns;

/// What a request shows of who is calling.
pub(super) enum Shown<'a> {
    /// Its `Authorization` header.
    Header(&'a HeaderValue),
    /// Who is at the other end of the local socket, by the kernel's word.
    Unix { uid: u32, name: Option<&'a str> },
    /// Nothing, or more than one thing.
    Nothing,
}

/// Proves who is calling.
pub(crate) struct Authenticator {
    proven: Proven,
    /// Of a burst with the same credentials the first proves them for all.
    proving: Turns<Digest, ()>,
    bootstrap: Option<Bootstrap>,
    pub(crate) hashing: Hashing,
    pub(crate) attempts: Attempts,
    pub(crate) refusals: Refusals,
    pub(crate) sessions: Sessions,
    clock: Arc<dyn Clock>,
}

impl Authenticator {
    /// `bootstrap` is the account that exists before any other.
    pub(crate) fn new(
        bootstrap: Option<&BootstrapAccount>,
        attempts: Attempts,
        sessions: Sessions,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let proven = Proven::new();
        let bootstrap = bootstrap.map(|account| Bootstrap::new(account, &proven));
        Self {
            proven,
            proving: Turns::default(),
            bootstrap,
            hashing: Hashing::default(),
            attempts,
            refusals: Refusals::default(),
            sessions,
            clock,
        }
    }

    /// An account or a token has changed: nobody is known any more.
    pub(crate) fn forget(&self) {
        self.proven.forget();
    }

    /// Whether changes of accounts are heard of from now on.
    pub(crate) fn hear(&self, hears: bool) {
        self.proven.hear(hears);
    }

    /// The caller, or [`Code::Unauthenticated`], which is the same for a missing header, an unreadable one, an unknown
    /// account, a closed one and a wrong password; or [`Code::TooManyRequests`].
    pub(super) async fn identify(
        &self,
        control: &Control,
        shown: &Shown<'_>,
        address: Option<IpAddr>,
    ) -> Result<Caller, Failure> {
        let identity = match shown {
            Shown::Header(header) => self.header(control, header, address).await?,
            Shown::Unix { uid, name: Some(name) } => self.local(control, *uid, name).await?,
            Shown::Unix { uid, name: None } => {
                self.refuse(None, address, (&format!("unix {uid}"), "nameless"));
                return Err(unauthenticated());
            }
            Shown::Nothing => return Err(unauthenticated()),
        };
        Ok(Caller::new(identity, address))
    }

    async fn header(
        &self,
        control: &Control,
        header: &HeaderValue,
        address: Option<IpAddr>,
    ) -> Result<Arc<Identity>, Failure> {
        if let Some(claim) = basic::read(header) {
            return self.password(control, &claim, address).await;
        }
        match bearer::read(header) {
            Some(Bearer::ApiToken(token)) => self.api_token(control, &token, address).await,
            Some(Bearer::Session(token)) => self.session(control, &token, address).await,
            None => {
                self.refuse(None, address, ("unknown", "unreadable"));
                Err(unauthenticated())
            }
        }
    }

    async fn password(
        &self,
        control: &Control,
        claim: &basic::Claim,
        address: Option<IpAddr>,
    ) -> Result<Arc<Identity>, Failure> {
        let (user, password) = (claim.user.as_str(), &claim.password);
        let digest = self.proven.digest(&["basic", user, password.expose_secret()]);
        if let Some(identity) = self.bootstrap_of(&digest).or_else(|| self.proven.find(&digest)) {
            return Ok(identity);
        }
        let line = self.proving.of(digest);
        let _turn = hashing::patiently(line.turn()).await?;
        if let Some(identity) = self.proven.find(&digest) {
            return Ok(identity);
        }
        let who = if self.proven.were_right(&digest) {
            Who::Known
        } else {
            self.begin(Some(user), address, "basic")?;
            Who::Stranger(Place::of(address))
        };
        let epoch = self.proven.epoch();
        let account = if self.is_bootstrap(user) {
            // This name is the configuration's alone: an account of the same name in the control database would
            // otherwise be a second password for it.
            None
        } else {
            control.find_account(user).await?
        };
        let known = account.as_ref().map(|account| account.name.clone());
        // Without an account it takes as long, and the answer is no.
        let hash = account.as_ref().and_then(|account| account.password_hash.clone());
        let is_right = self.hashing.verify(who, password.clone(), hash).await?;
        let Some(account) = account.filter(|_| is_right) else {
            self.attempts.failed(user, address);
            self.refuse(known.as_deref(), address, ("basic", "wrong"));
            return Err(unauthenticated());
        };
        self.check_open(&account, address, "basic")?;
        self.attempts.succeeded(user, address);
        self.proven.are_right(digest);
        self.was_here(control, &account).await;
        Ok(self.keep(digest, of_account(&account, Via::Basic), account.expires_at, epoch))
    }

    async fn api_token(
        &self,
        control: &Control,
        token: &ApiTokenText,
        address: Option<IpAddr>,
    ) -> Result<Arc<Identity>, Failure> {
        let digest = self.proven.digest(&["token", token.expose()]);
        if let Some(identity) = self.proven.find(&digest) {
            return Ok(identity);
        }
        let line = self.proving.of(digest);
        let _turn = hashing::patiently(line.turn()).await?;
        if let Some(identity) = self.proven.find(&digest) {
            return Ok(identity);
        }
        if !self.proven.were_right(&digest) {
            self.begin(None, address, "api_token")?;
        }
        let epoch = self.proven.epoch();
        let now = self.clock.now();
        let Some((token, account)) = control.use_api_token(&token.hash(), now).await? else {
            self.refuse(None, address, ("api_token", "unknown"));
            return Err(unauthenticated());
        };
        let via = format!("api_token {}", token.id);
        if !token.is_open(now) {
            self.refuse(Some(&account.name), address, (&via, "ended"));
            return Err(unauthenticated());
        }
        self.check_open(&account, address, &via)?;
        self.proven.are_right(digest);
        self.was_here(control, &account).await;
        let mut identity = of_account(&account, Via::ApiToken(token.id));
        if let Some(limits) = token.limits() {
            identity.rights = identity.rights.within(limits);
        }
        let ends = [account.expires_at, token.expires_at].into_iter().flatten().min();
        Ok(self.keep(digest, identity, ends, epoch))
    }

    async fn session(
        &self,
        control: &Control,
        token: &str,
        address: Option<IpAddr>,
    ) -> Result<Arc<Identity>, Failure> {
        let digest = self.proven.digest(&["session", token]);
        if let Some(identity) = self.proven.find(&digest) {
            return Ok(identity);
        }
        let epoch = self.proven.epoch();
        let Some(session) = self.sessions.read(token, self.clock.now()) else {
            self.refuse(None, address, ("session", "invalid"));
            return Err(unauthenticated());
        };
        let claims = &session.claims;
        let via = Via::Session {
            id: claims.jti,
            expires_at: claims.expires_at(),
            opened_by: claims.opened_by.clone(),
        };
        let known = match self.whose(control, &session).await? {
            Some(identity) if !control.is_session_revoked(claims.jti).await? => identity,
            Some(_) | None => {
                self.refuse(Some(&claims.sub), address, (&via.to_string(), "ended"));
                return Err(unauthenticated());
            }
        };
        let identity = Identity { via, owner: claims.owner.clone(), ..known };
        Ok(self.keep(digest, identity, Some(claims.expires_at()), epoch))
    }

    /// The account of a session as it is now, if it is open and the session is of its generation.
    async fn whose(&self, control: &Control, session: &Read) -> Result<Option<Identity>, Failure> {
        if let Some(bootstrap) = self.bootstrap.as_ref().filter(|known| known.is(&session.claims.sub)) {
            let is_good = self.sessions.is_of(session, Generation::Password(&bootstrap.password));
            return Ok(is_good.then(|| Identity::clone(&bootstrap.identity)));
        }
        let account = control.find_account(&session.claims.sub).await?;
        let is_good = |account: &Account| {
            account.is_open(self.clock.now())
                && self.sessions.is_of(session, Generation::Stored(account.generation))
        };
        Ok(account.filter(is_good).map(|account| of_account(&account, Via::Basic)))
    }

    /// Somebody at the local socket, whose name the kernel tells.
    async fn local(&self, control: &Control, uid: u32, name: &str) -> Result<Arc<Identity>, Failure> {
        let digest = self.proven.digest(&["unix", &uid.to_string(), name]);
        if let Some(identity) = self.proven.find(&digest) {
            return Ok(identity);
        }
        let via = format!("unix {uid}");
        let epoch = self.proven.epoch();
        let account = control.find_account(name).await?;
        let Some(account) = account.filter(|account| account.kind_of_login == AccountType::Unix) else {
            self.refuse(None, None, (&via, "unknown"));
            return Err(unauthenticated());
        };
        self.check_open(&account, None, &via)?;
        self.was_here(control, &account).await;
        Ok(self.keep(digest, of_account(&account, Via::Unix(uid)), account.expires_at, epoch))
    }

    /// A session for an account that has just proven who it is, or for which somebody we trust has.
    pub(crate) async fn open_session(
        &self,
        control: &Control,
        (account, owner, opened_by): (&str, &str, &str),
    ) -> Result<Opened, Failure> {
        let now = self.clock.now();
        if let Some(bootstrap) = self.bootstrap.as_ref().filter(|known| known.is(account)) {
            let generation = Generation::Password(&bootstrap.password);
            return self.sessions.open(&For { account, owner, generation, opened_by }, now);
        }
        let found = control.find_account(account).await?.filter(|found| found.is_open(now));
        let generation = Generation::Stored(found.ok_or_else(unauthenticated)?.generation);
        self.sessions.open(&For { account, owner, generation, opened_by }, now)
    }

    /// Whether the name is that of the account in the configuration, which no account in the control database may have.
    pub(crate) fn is_bootstrap(&self, account: &str) -> bool {
        self.bootstrap.as_ref().is_some_and(|known| known.is(account))
    }

    fn bootstrap_of(&self, digest: &Digest) -> Option<Arc<Identity>> {
        let known = self.bootstrap.as_ref().filter(|known| known.proves(digest))?;
        Some(Arc::clone(&known.identity))
    }

    /// Counts an attempt of somebody who has proven nothing lately, or refuses it.
    pub(crate) fn begin(
        &self,
        account: Option<&str>,
        address: Option<IpAddr>,
        via: &str,
    ) -> Result<(), Failure> {
        self.attempts.begin(account, address).map_err(|wait| {
            self.refuse(None, address, (via, "too_often"));
            Failure::new(Code::TooManyRequests, "Too many log-ins that failed or are not known; try later.")
                .retry_after(wait)
        })
    }

    fn check_open(&self, account: &Account, address: Option<IpAddr>, via: &str) -> Result<(), Failure> {
        if account.is_open(self.clock.now()) {
            return Ok(());
        }
        self.refuse(Some(&account.name), address, (via, "closed"));
        Err(unauthenticated())
    }

    /// At most once a minute, since proofs are remembered for so long; it may fail without harm.
    async fn was_here(&self, control: &Control, account: &Account) {
        if let Err(failure) = control.account_was_here(&account.name, self.clock.now()).await {
            tracing::debug!(%failure, "the time of a log-in was not written down");
        }
    }

    fn keep(
        &self,
        digest: Digest,
        identity: Identity,
        ends: Option<Timestamp>,
        begun: Epoch,
    ) -> Arc<Identity> {
        let identity = Arc::new(identity);
        let left = ends.map(|ends| ends.duration_since(self.clock.now()));
        let lifetime = left.map_or(LIFETIME, |left| Duration::try_from(left).unwrap_or_default());
        self.proven.keep(digest, Arc::clone(&identity), lifetime, begun);
        identity
    }

    /// Lets the audit know that somebody did not prove who they are.
    pub(crate) fn refuse(&self, account: Option<&str>, address: Option<IpAddr>, why: (&str, &'static str)) {
        self.refusals.login_failed(account, address, why, self.clock.now());
    }
}

fn of_account(account: &Account, via: Via) -> Identity {
    Identity {
        account: account.name.clone(),
        owner: account.name.clone(),
        rights: account.rights(),
        is_admin: account.kind == AccountKind::Admin,
        via,
    }
}

fn unauthenticated() -> Failure {
    Failure::new(Code::Unauthenticated, "Credentials are missing or wrong.")
}

#[cfg(test)]
mod tests {
    use rolecall_shared::domain::SystemClock;
    use rolecall_shared::seal::{self, KeyRing};

    use super::*;

    fn authenticator(bootstrap: Option<&BootstrapAccount>) -> Authenticator {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("seal.keys");
        seal::add_key(&file, SystemClock.now(), Duration::ZERO).unwrap();
        let sessions = Sessions::new(KeyRing::load(&file).unwrap(), Duration::from_mins(1));
        Authenticator::new(bootstrap, Attempts::new(10), sessions, Arc::new(SystemClock))
    }

    #[test]
    fn only_user_and_password_together_are_the_bootstrap_account() {
        let account = BootstrapAccount { user: "ops".into(), password: "p:ä".into() };
        let authenticator = authenticator(Some(&account));
        let is = |user, password| {
            authenticator.bootstrap_of(&authenticator.proven.digest(&["basic", user, password])).is_some()
        };
        assert!(is("ops", "p:ä"));
        assert!(!is("ops", "p:") && !is("op", "sp:ä") && !is("", "") && !is("ops", ""));
        assert!(super::tests::authenticator(None).bootstrap_of(&[0; 32]).is_none());
        assert!(authenticator.is_bootstrap("ops") && !authenticator.is_bootstrap("op"));
    }
}
