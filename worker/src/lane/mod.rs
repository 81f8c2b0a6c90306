//! A host's turn: from a bell to the moment the host is let go.
//!
//! * `opening`: may the lane open, the session, the host lock.
//! * `batch`: what is there, in order, through the steps claim, secrets, transaction, settling.
//! * `execute`: the transaction on the host; `grants`: what follows in another database. `secrets`: passwords, sealed before the DDL. `settle`: the endings.
//!
//! The order at the end matters: consumer, host lock, place in the set of open lanes, one more look at the depth,
//! and only then the bell. Any other order loses wake-ups or lets a successor overtake us.

mod batch;
mod execute;
mod grants;
mod opening;
mod secrets;
mod settle;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use rolecall_shared::domain::{Code, Failure, HostKey, Target, TargetKey};
use rolecall_shared::failpoints::{Failpoint, reach};
use rolecall_shared::queue::{BellDelay, LaneOpening, LaneQueue};
use rolecall_shared::target::{TargetError, Verdict};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use self::execute::failed;
pub(crate) use self::secrets::Prepared;

use self::batch::Batch;
use self::opening::{HostSession, Opening};
use crate::Worker;
use crate::bells::Place;

/// How often a host is asked again whose lock or queue another lane holds.
const ASK_AGAIN: BellDelay = BellDelay::Ms200;
/// How long a lane waits at least for its first message.
const FIRST_DELIVERY: Duration = Duration::from_millis(250);

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nothing is left to do.
    Idle,
    /// Other hosts want a turn.
    TurnOver,
    /// An operator stopped it.
    Paused,
    /// It is in trouble and its time has not come.
    BackingOff,
    /// Another lane, or a stranger, has it.
    Held,
    /// It is in trouble since this turn.
    HostTrouble,
    /// One of our own servers is away.
    OurServers,
    /// The worker stops.
    Stopping,
}

impl Ended {
    /// The name in metrics and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::TurnOver => "turn_over",
            Self::Paused => "paused",
            Self::BackingOff => "backing_off",
            Self::Held => "held",
            Self::HostTrouble => "host_trouble",
            Self::OurServers => "our_servers",
            Self::Stopping => "stopping",
        }
    }
}

/// Why a lane lets go before its queue is empty. Nothing in hand counts against the jobs.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The host's.
    Host(TargetError),
    /// One of our own servers is away. It counts against no host.
    Away(Failure),
    /// A fault of ours that is in this host's way, such as a sealed password that cannot be opened. The host waits;
    /// the others go on.
    Stuck(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        let away = [Code::BrokerUnavailable, Code::TicketStoreUnavailable, Code::ControlDatabaseUnavailable];
        if away.contains(&failure.code()) { Self::Away(failure) } else { Self::Stuck(failure) }
    }
}

impl From<TargetError> for Trouble {
    fn from(error: TargetError) -> Self {
        Self::Host(error)
    }
}

/// One turn of one host. Never fails: trouble is judged, written down for callers to see, and rung for later.
pub(crate) async fn turn(
    worker: &Worker,
    host: &HostKey,
    place: Place<'_>,
    stop: &CancellationToken,
) -> Ended {
    let lane = Lane { worker, host, stop };
    // A panic is a fault of ours; the host must not lose its lane over it.
    let result = AssertUnwindSafe(lane.work()).catch_unwind().await;
    let result = result.unwrap_or_else(|_| Err(Trouble::Stuck(Failure::internal("a lane panicked"))));
    let ended = match result {
        Ok(ended) => ended,
        Err(trouble) => lane.ended_in(trouble).await,
    };
    drop(place);
    match lane.look_again(ended).await {
        Ok(()) => ended,
        Err(failure) => lane.away(&failure),
    }
}

struct Lane<'a> {
    worker: &'a Worker,
    host: &'a HostKey,
    stop: &'a CancellationToken,
}

impl Lane<'_> {
    async fn work(&self) -> Result<Ended, Trouble> {
        match opening::open(self.worker, self.host).await? {
            Opening::Open(mut session) => {
                reach(Failpoint::AfterLock);
                let worked = self.consume(Some(&mut session)).await;
                // The queue is given back before the lock: whoever gets the lock finds every job in its place.
                session.let_go(self.worker, worked.is_ok()).await;
                worked
            }
            Opening::Orphaned => self.consume(None).await,
            Opening::Not(ended) => Ok(ended),
        }
    }

    /// Writes trouble down.
    async fn ended_in(&self, trouble: Trouble) -> Ended {
        let is_of_host = matches!(trouble, Trouble::Host(_));
        let (code, cause) = match trouble {
            Trouble::Away(failure) => return self.away(&failure),
            Trouble::Host(error) => describe(&error),
            Trouble::Stuck(failure) => {
                tracing::error!(host = %self.host, %failure, cause = failure.cause_chain(), "the lane is stuck");
                (failure.code(), failure.detail().to_owned())
            }
        };
        if let Err(failure) = self.back_off(code, &cause).await {
            return self.away(&failure);
        }
        if is_of_host {
            let by = (&crate::webhooks::actor(), self.worker.clock.now());
            if let Err(failure) = self.worker.control.host_unreachable(self.host, code, by).await {
                return self.away(&failure);
            }
        }
        Ended::HostTrouble
    }

    /// Becomes the host's only consumer for a turn.
    async fn consume(&self, session: Option<&mut HostSession>) -> Result<Ended, Trouble> {
        // From here a submit rings again: whatever is in the queue before this line, we shall see.
        self.worker.tickets.clear_bell(self.host).await?;
        let prefetch = u16::try_from(self.worker.settings.worker.batch).unwrap_or(u16::MAX);
        match self.worker.queue.open_lane(self.host, prefetch).await? {
            LaneOpening::Open(mut queue) => {
                let worked = self.batches(queue.as_mut(), session).await;
                reach(Failpoint::BeforeRelease);
                let released = queue.release().await;
                reach(Failpoint::AfterRelease);
                worked.and_then(|ended| released.map(|()| ended).map_err(Trouble::from))
            }
            LaneOpening::Held => Ok(Ended::Held),
            LaneOpening::Missing => Ok(Ended::Idle),
        }
    }

    /// Batch after batch until there is no more, or the turn is over.
    async fn batches(
        &self,
        queue: &mut dyn LaneQueue,
        mut session: Option<&mut HostSession>,
    ) -> Result<Ended, Trouble> {
        let limits = &self.worker.settings.worker;
        let began = Instant::now();
        let mut jobs = 0;
        let was_told = session.as_ref().is_some_and(|session| session.was_unreachable());
        let mut was_in_trouble = was_told || self.worker.tickets.host_state(self.host).await?.failures > 0;
        loop {
            if self.stop.is_cancelled() {
                return Ok(Ended::Stopping);
            }
            if jobs >= limits.turn_jobs || began.elapsed() >= limits.turn {
                return Ok(Ended::TurnOver);
            }
            // The broker takes its time between "you consume" and the first message.
            let wait = if jobs == 0 { limits.linger.max(FIRST_DELIVERY) } else { limits.linger };
            let first = tokio::select! {
                first = queue.next(wait) => first?,
                () = self.stop.cancelled() => return Ok(Ended::Stopping),
            };
            let Some(first) = first else {
                self.recovered(&mut was_in_trouble).await?;
                return Ok(Ended::Idle);
            };
            let mut deliveries = vec![first];
            while deliveries.len() < limits.batch {
                match queue.next_ready()? {
                    Some(delivery) => deliveries.push(delivery),
                    None => break,
                }
            }
            jobs += deliveries.len();
            self.worker.metrics.batch_run(deliveries.len());
            let Some(targets) = self.targets_now().await? else { return Ok(Ended::Paused) };
            if session.is_none() && !targets.is_empty() {
                // A target was registered meanwhile: the next turn takes the lock and does what it is asked.
                return Ok(Ended::TurnOver);
            }
            let batch = Batch { worker: self.worker, host: self.host, targets: &targets };
            batch.run(deliveries, queue, session.as_deref_mut()).await?;
            self.recovered(&mut was_in_trouble).await?;
        }
    }

    /// The host has shown that it is well: not by a log-in alone, but by what it was asked to do.
    async fn recovered(&self, was_in_trouble: &mut bool) -> Result<(), Failure> {
        if std::mem::take(was_in_trouble) {
            self.worker.tickets.clear_host(self.host).await?;
            let by = (&crate::webhooks::actor(), self.worker.clock.now());
            self.worker.control.host_recovered(self.host, by).await?;
        }
        Ok(())
    }

    /// The host's targets as they are registered now; `None` when it is paused. Asked before every batch: it also
    /// proves that the control database answers, without which nothing can be settled.
    async fn targets_now(&self) -> Result<Option<BTreeMap<TargetKey, Target>>, Failure> {
        let (host, targets) = tokio::try_join!(
            self.worker.control.find_host(self.host),
            self.worker.control.targets_of_host(self.host)
        )?;
        if host.is_some_and(|host| host.paused.is_some()) {
            return Ok(None);
        }
        Ok(Some(targets.into_iter().map(|target| (target.key.clone(), target)).collect()))
    }

    /// Tells callers why the host waits, and sees to it that somebody comes back.
    async fn back_off(&self, code: Code, cause: &str) -> Result<(), Failure> {
        let settings = &self.worker.settings.target;
        let delays = (settings.backoff_first, settings.backoff_cap);
        let delay = self.worker.tickets.block_host(self.host, code, cause, delays).await?;
        self.worker.metrics.host_failed(code);
        tracing::warn!(host = %self.host, code = code.as_str(), cause, ?delay, "host is in trouble");
        self.ring_later(delay).await
    }

    /// Rings once the delay is over. At most one such bell per host is under way.
    async fn ring_later(&self, delay: Duration) -> Result<(), Failure> {
        ring_later(self.worker, self.host, BellDelay::within(delay)).await
    }

    /// What the turn's end leaves behind: never a host with jobs and no bell.
    async fn look_again(&self, ended: Ended) -> Result<(), Failure> {
        match ended {
            Ended::Idle | Ended::TurnOver | Ended::Stopping => {
                // Somebody may have rung while the lane was open, and was answered by it. Then the next submit would
                // not ring, although nobody works here any more. Cleared before the look: a job is confirmed before
                // its submitter asks for the bell, so either the look finds it or its own bell rings.
                self.worker.tickets.clear_bell(self.host).await?;
                if self.worker.queue.depth(self.host).await?.messages > 0 {
                    self.worker.queue.ring(self.host, BellDelay::Now).await?;
                }
                Ok(())
            }
            Ended::Held => ring_later(self.worker, self.host, ASK_AGAIN).await,
            Ended::BackingOff => match self.worker.tickets.blocked_for(self.host).await? {
                Some(wait) => self.ring_later(wait).await,
                None => self.worker.queue.ring(self.host, BellDelay::Now).await,
            },
            // Resuming rings, but the lane that was just leaving may have answered that bell.
            Ended::Paused => match self.targets_now().await? {
                Some(_) => self.worker.queue.ring(self.host, BellDelay::Now).await,
                None => Ok(()),
            },
            // A host in trouble has been rung for; our own servers ring by the unanswered bell.
            Ended::HostTrouble | Ended::OurServers => Ok(()),
        }
    }

    fn away(&self, failure: &Failure) -> Ended {
        tracing::warn!(host = %self.host, %failure, cause = failure.cause_chain(), "the lane lets go");
        Ended::OurServers
    }
}

async fn ring_later(worker: &Worker, host: &HostKey, delay: BellDelay) -> Result<(), Failure> {
    if worker.tickets.lease(&format!("bell:{host}"), delay.duration()).await? {
        worker.queue.ring(host, delay).await?;
    }
    Ok(())
}

/// What the world is told about a host in trouble.
fn describe(error: &TargetError) -> (Code, String) {
    match &error.verdict {
        Verdict::Login { cause } => (Code::TargetLoginRefused, cause.clone()),
        Verdict::Host { cause } => (Code::TargetUnreachable, cause.clone()),
        Verdict::Permanent { code, detail } => (*code, detail.clone()),
        Verdict::Exists | Verdict::TryAgain => (Code::TargetError, "the server asks to try again".to_owned()),
    }
}
