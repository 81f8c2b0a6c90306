//! Tickets in Redis.
//!
//! * [`link`]: the connection for commands, its timeout, what its errors mean;
//! * [`feed`]: the subscription to what moves, on a second connection;
//! * [`port`] and [`changes`]: the methods;
//! * [`keys`] and [`record`]: names and forms of what is stored;
//! * [`scripts`]: the Lua files beside this one. All that is decided by the present state of a ticket is decided there,
//!   in one step with the change.
//!
//! One Redis server (with replicas or not), not a Redis cluster: a script touches keys of several slots.

mod changes;
mod feed;
mod inspect;
mod keys;
mod link;
mod port;
mod record;
mod scripts;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{Script, ScriptInvocation};
use tokio::sync::{broadcast, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::inspect::{StoreReport, inspect};

use self::feed::Feed;
use self::keys::Keys;
use self::link::Link;
use self::record::{id, millis};
use super::Moved;
use crate::config;
use crate::domain::{Failure, TicketId};

/// A message may come this much later than its deadline and still find that its ticket was withdrawn.
const LATE_MESSAGE: Duration = Duration::from_hours(1);

/// Live tickets in Redis.
pub struct RedisTickets {
    link: Link,
    keys: Keys,
    moved: broadcast::Sender<Moved>,
    finished_lifetime: i64,
    secret_lifetime: i64,
    /// Of tickets that nobody was promised: `accepting` and `withdrawn`.
    unpromised_lifetime: i64,
}

impl fmt::Debug for RedisTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTickets").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl RedisTickets {
    /// Starts, whether Redis is there or not. The subscription runs on `tasks` until `stop`. Must be called within a
    /// runtime.
    ///
    /// Fails with `Code::Internal` only for a URL that cannot be read.
    pub fn connect(
        redis: &config::Redis,
        tickets: &config::Tickets,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, Failure> {
        let client = link::client(redis)?;
        let keys = Keys::new(&redis.prefix);
        let (moved, _) = broadcast::channel(feed::BEHIND);
        let fault = watch::Sender::new(None);
        let feed = Feed {
            client: client.clone(),
            channel: keys.moved(),
            timeout: redis.timeout,
            receivers: moved.clone(),
            fault: fault.clone(),
        };
        tasks.spawn(feed.run(stop));
        Ok(Arc::new(Self {
            link: Link::new(client, redis.timeout, fault)?,
            keys,
            moved,
            finished_lifetime: millis(tickets.finished_ttl),
            secret_lifetime: millis(tickets.secret_ttl),
            unpromised_lifetime: millis(tickets.max_deadline.saturating_add(LATE_MESSAGE)),
        }))
    }

    /// The call of a script that begins with `prelude.lua`.
    fn call<'s>(&self, script: &'s Script) -> ScriptInvocation<'s> {
        let mut call = script.prepare_invoke();
        call.key(self.keys.deadlines()).key(self.keys.unfinished()).arg(self.keys.moved());
        call
    }

    /// The same about one ticket.
    fn call_on<'s>(&self, script: &'s Script, ticket: TicketId) -> ScriptInvocation<'s> {
        let mut call = self.call(script);
        call.key(self.keys.ticket(ticket)).arg(id(ticket));
        call
    }
}
