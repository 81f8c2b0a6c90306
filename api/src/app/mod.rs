//! The use cases, without HTTP.
//!
//! Each takes `&Caller` first and answers a domain value or a [`Failure`](rolecall_shared::domain::Failure); a
//! dialect phrases both. Nothing here knows a header, a status or JSON. What a caller may see is decided here and
//! nowhere else: tickets and their secrets belong to their owner.

pub(crate) mod accounts;
pub(crate) mod audit;
mod backlog;
pub(crate) mod batch;
pub(crate) mod cancel;
pub mod dead;
#[cfg(test)]
pub(crate) mod fakes;
pub(crate) mod federation;
pub(crate) mod history;
pub(crate) mod hosts;
mod joining;
mod keep;
mod limits;
pub(crate) mod login;
pub(crate) mod naming;
pub(crate) mod paste;
pub mod registry;
mod rights;
pub(crate) mod roles;
pub(crate) mod secrets;
pub(crate) mod submission;
pub(crate) mod submit;
pub(crate) mod synchronous;
pub(crate) mod targets;
pub(crate) mod tickets;
pub(crate) mod tokens;
pub(crate) mod view;
pub(crate) mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use rolecall_shared::config::Settings;
use rolecall_shared::control::Control;
use rolecall_shared::domain::{Clock, TicketId};
use rolecall_shared::outbound::Outbound;
use rolecall_shared::queue::Queue;
use rolecall_shared::seal::KeyRing;
use rolecall_shared::target::Connector;
use rolecall_shared::telemetry::Metrics;
use rolecall_shared::tickets::Tickets;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{Attempts, Authenticator, Rates, Sessions, follow, oidc};
use crate::health::Health;
use crate::turns::Turns;
use crate::waiters::Waiters;
use backlog::Backlog;
use limits::Limits;

/// How often limits forget those who are gone.
const TIDY_EVERY: Duration = Duration::from_mins(1);

/// What the intake is put together from; the command line makes it.
#[derive(Clone)]
pub struct Parts {
    /// All settings, checked.
    pub settings: Arc<Settings>,
    /// The control database, as its writer.
    pub control: Control,
    /// Live tickets.
    pub tickets: Arc<dyn Tickets>,
    /// The queues of the hosts.
    pub queue: Arc<dyn Queue>,
    /// Opens sessions on targets; the intake uses them for reading.
    pub connector: Connector,
    /// Knows which addresses of receivers may be reached.
    pub outbound: Outbound,
    /// Seals log-in passwords and opens secrets.
    pub keys: KeyRing,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Metrics,
}

/// Everything the use cases need: the parts, and what one process of the intake shares between its requests.
pub struct App {
    pub(crate) settings: Arc<Settings>,
    pub(crate) control: Control,
    pub(crate) tickets: Arc<dyn Tickets>,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) connector: Connector,
    pub(crate) outbound: Outbound,
    pub(crate) keys: KeyRing,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) waiters: Waiters,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) rates: Rates,
    pub(crate) oidc: oidc::Verifier,
    pub(crate) limits: Limits,
    /// Who takes the password of a ticket for which several wait; left behind is whether it was taken.
    takes: Turns<TicketId, bool>,
    /// Work that must run to its end although its request was dropped.
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the process stops.
    pub(crate) stop: CancellationToken,
    backlog: Backlog,
}

impl App {
    /// Puts the parts together; `stop` is cancelled when the process is to end.
    pub fn new(parts: Parts, stop: CancellationToken) -> Self {
        let Parts { settings, control, tickets, queue, connector, outbound, keys, clock, metrics } = parts;
        Self {
            waiters: Waiters::default(),
            authenticator: Arc::new(Authenticator::new(
                settings.account.as_ref(),
                Attempts::new(settings.auth.logins_per_minute),
                Sessions::new(keys.clone(), settings.auth.session),
                Arc::clone(&clock),
            )),
            rates: Rates::new(&settings.auth),
            oidc: oidc::Verifier::new(&settings.oidc, Arc::clone(&clock)),
            limits: Limits::new(&settings.api),
            takes: Turns::default(),
            backlog: Backlog::new(settings.api.backlog_per_host, settings.api.confirm_timeout),
            tasks: TaskTracker::new(),
            settings,
            control,
            tickets,
            queue,
            connector,
            outbound,
            keys,
            clock,
            metrics,
            stop,
        }
    }

    /// Begins what goes on beside the requests.
    pub(crate) fn start(self: &Arc<Self>) {
        let stop = self.stop.clone();
        self.waiters.start(&self.tasks, self.tickets.moved(), stop.clone());
        let (authenticator, control) = (Arc::clone(&self.authenticator), self.control.clone());
        self.tasks.spawn(follow(authenticator, control, stop.clone()));
        let app = Arc::clone(self);
        self.tasks.spawn(async move { app.authenticator.refusals.write_down(&app.control, stop).await });
        let app = Arc::clone(self);
        self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(async move { app.tidy().await }));
    }

    async fn tidy(&self) {
        let mut every = tokio::time::interval(TIDY_EVERY);
        loop {
            every.tick().await;
            self.authenticator.attempts.tidy();
            self.rates.tidy();
        }
    }

    /// What health and readiness look at.
    pub(crate) fn health(&self) -> Health {
        Health {
            control: self.control.clone(),
            tickets: Arc::clone(&self.tickets),
            queue: Arc::clone(&self.queue),
            metrics: self.metrics.clone(),
            stop: self.stop.clone(),
        }
    }
}
