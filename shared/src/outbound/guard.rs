//! The check at the moment of connecting: reqwest asks this for addresses, and connects to those it gets and no others.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::attempt::Trouble;
use super::lookup::Lookup;
use super::policy::{Policy, Refusal, Standing};
use super::protected::Protected;

/// Why the connector was given no address. Found again in the error that reqwest makes of it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Denied(pub(super) Trouble);

#[derive(Clone)]
pub(super) struct Guard {
    pub(super) policy: Policy,
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) protected: Arc<Protected>,
}

impl Guard {
    /// What the connector will not ask about: the URL itself, and an address in place of a name.
    pub(super) async fn check_url(&self, url: &Url) -> Result<(), Trouble> {
        self.policy.check_url(url)?;
        match url.host() {
            Some(Host::Domain(_)) => Ok(()),
            Some(Host::Ipv4(address)) => self.check(None, &[address.into()]).await,
            Some(Host::Ipv6(address)) => self.check(None, &[address.into()]).await,
            None => Err(Refusal::Form.into()),
        }
    }

    /// The addresses of a name, if all of them may be reached: one bad one among them is reason enough, because
    /// nobody can say which of them a connection will take.
    pub(super) async fn resolve_checked(&self, name: &str) -> Result<Vec<IpAddr>, Trouble> {
        let addresses = self.lookup.addresses(name).await.map_err(|error| Trouble::name(&error))?;
        if addresses.is_empty() {
            return Err(Trouble::name(&io::Error::from(io::ErrorKind::NotFound)));
        }
        self.check(Some(name), &addresses).await?;
        Ok(addresses)
    }

    async fn check(&self, name: Option<&str>, addresses: &[IpAddr]) -> Result<(), Trouble> {
        let mut public = Vec::new();
        for address in addresses {
            match self.policy.judge(*address)? {
                Standing::Listed => {}
                Standing::Public => public.push(*address),
            }
        }
        if public.is_empty() {
            return Ok(());
        }
        let known = self.protected.find().await.ok_or(Trouble::Unchecked)?;
        let is_protected =
            name.is_some_and(|name| known.has_name(name)) || public.iter().any(|one| known.has_address(*one));
        if is_protected { Err(Refusal::Protected.into()) } else { Ok(()) }
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let addresses = guard.resolve_checked(name.as_str()).await.map_err(Denied)?;
            // Port 0: the URL's.
            let addresses: Vec<_> =
                addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
