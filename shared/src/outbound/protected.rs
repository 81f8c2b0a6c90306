//! The servers that are not to be reached although their addresses may be public: targets, broker, Redis and the
//! control database.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use tokio::sync::OwnedMutexGuard;
use tokio_postgres::config::Host;
use tokio_util::task::TaskTracker;
use url::Url;

use super::lookup::Lookup;
use crate::config::Settings;
use crate::control::Control;
use crate::domain::{Clock, Failure};

/// Names and addresses are looked for again after so long. What is registered meanwhile is protected only then.
const REFRESH: SignedDuration = SignedDuration::from_secs(30);
/// Look-ups at once: they block a thread each, and a registry may be large.
const LOOKUPS: usize = 16;
/// The longest look-up.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the targets stand. The control database's, or a test's.
#[async_trait]
pub trait TargetHosts: Send + Sync + 'static {
    /// The name or address of every host that has a target.
    async fn hostnames(&self) -> Result<Vec<String>, Failure>;
}

#[async_trait]
impl TargetHosts for Control {
    async fn hostnames(&self) -> Result<Vec<String>, Failure> {
        let hosts = self.list_hosts().await?;
        Ok(hosts.into_iter().map(|host| host.key.hostname().to_owned()).collect())
    }
}

/// The names or addresses of broker, Redis, control database, and of the hosts that get the default log-in.
pub fn own_hosts(settings: &Settings) -> Vec<String> {
    let mut hosts = Vec::new();
    if let Ok(amqp) = settings.rabbitmq.url.expose_secret().parse::<lapin::uri::AMQPUri>() {
        hosts.push(amqp.authority.host);
    }
    hosts.extend(host_of(settings.redis.url.expose_secret()));
    for url in [Some(&settings.control.url), settings.control.owner_url.as_ref()].into_iter().flatten() {
        let Ok(config) = url.expose_secret().parse::<tokio_postgres::Config>() else { continue };
        hosts.extend(config.get_hosts().iter().filter_map(|host| match host {
            Host::Tcp(name) => Some(name.clone()),
            #[cfg(unix)]
            Host::Unix(_) => None,
        }));
        hosts.extend(config.get_hostaddrs().iter().map(ToString::to_string));
    }
    let logins = settings.default_login.iter().flat_map(|login| &login.hosts);
    hosts.extend(logins.map(|host| host.hostname().to_owned()));
    hosts
}

fn host_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    Some(url.host_str()?.trim_matches(['[', ']']).to_owned())
}

/// One spelling per name: lower case, without the full stop that ends a complete one.
pub(super) fn normal(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    name.strip_suffix('.').map_or(name.clone(), ToOwned::to_owned)
}

/// What is known of them.
pub(super) struct Known {
    addresses_of: HashMap<String, Vec<IpAddr>>,
    addresses: HashSet<IpAddr>,
    at: Timestamp,
}

impl Known {
    pub(super) fn has_name(&self, name: &str) -> bool {
        self.addresses_of.contains_key(&normal(name))
    }

    pub(super) fn has_address(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address.to_canonical())
    }
}

/// Keeps what is known.
pub(super) struct Protected {
    own: Vec<String>,
    targets: Arc<dyn TargetHosts>,
    lookup: Arc<dyn Lookup>,
    clock: Arc<dyn Clock>,
    known: Mutex<Option<Arc<Known>>>,
    flight: Arc<tokio::sync::Mutex<()>>,
    tasks: TaskTracker,
}

impl Protected {
    pub(super) fn new(
        own: Vec<String>,
        targets: Arc<dyn TargetHosts>,
        lookup: Arc<dyn Lookup>,
        clock: Arc<dyn Clock>,
    ) -> Arc<Self> {
        let (known, flight, tasks) = (Mutex::default(), Arc::default(), TaskTracker::new());
        Arc::new(Self { own, targets, lookup, clock, known, flight, tasks })
    }

    /// What is known now. None until the control database has answered for the first time: whoever asks then must not
    /// go on. Later a list that cannot be renewed stays.
    pub(super) async fn find(self: &Arc<Self>) -> Option<Arc<Known>> {
        let Some(known) = self.known() else {
            let flight = Arc::clone(&self.flight).lock_owned().await;
            // Whoever waited for the flight may find it done.
            if self.known().is_none() {
                // Fails only when the process ends.
                _ = self.refresh(flight).await;
            }
            return self.known();
        };
        // A clock that was set back is no reason to wait for it.
        let is_old = self.clock.now().duration_since(known.at).abs() >= REFRESH;
        if is_old && let Ok(flight) = Arc::clone(&self.flight).try_lock_owned() {
            // Nobody waits for it.
            drop(self.refresh(flight));
        }
        Some(known)
    }

    /// A task of its own: an attempt that times out meanwhile would else take it along, and the next begin anew.
    fn refresh(self: &Arc<Self>, flight: OwnedMutexGuard<()>) -> tokio::task::JoinHandle<()> {
        let this = Arc::clone(self);
        self.tasks.spawn(async move {
            match this.targets.hostnames().await {
                Ok(targets) => this.look_up(targets).await,
                Err(error) => tracing::warn!(%error, "where the targets stand cannot be read"),
            }
            drop(flight);
        })
    }

    async fn look_up(&self, targets: Vec<String>) {
        let before = self.known();
        let names: HashSet<_> = targets.iter().chain(&self.own).map(|name| normal(name)).collect();
        let found = stream::iter(names).map(async |name| {
            let addresses = self.addresses(&name).await.or_else(|| {
                // A name that has no address just now had one, and may have it again.
                before.as_ref().and_then(|before| before.addresses_of.get(&name)).cloned()
            });
            (name, addresses.unwrap_or_default())
        });
        let addresses_of: HashMap<_, _> = found.buffer_unordered(LOOKUPS).collect().await;
        let addresses = addresses_of.values().flatten().map(IpAddr::to_canonical).collect();
        let known = Known { addresses_of, addresses, at: self.clock.now() };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(known));
    }

    async fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        if let Ok(address) = name.parse() {
            return Some(vec![address]);
        }
        tokio::time::timeout(PATIENCE, self.lookup.addresses(name)).await.ok()?.ok()
    }

    fn known(&self) -> Option<Arc<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
