//! Live tickets, idempotency, sealed secrets, bells and the states of hosts, shared by all processes.
//!
//! Owns the port [`Tickets`] and its implementation on Redis. Does not open secrets, rings no bells, writes no audit
//! row and decides nothing about jobs: it keeps what it is given and refuses every change that
//! [`State::can_become`](crate::domain::ticket::State::can_become) does not allow or that another claim made first.
//! The job it keeps is the accepted one; nothing here ever changes it.
//!
//! Tested by the conformance suite of the port, `tests/src/conformance/tickets.rs`, which every implementation has to
//! pass; what is Redis' own (outages, restarts, lost scripts) in `tests/tests/tickets_redis.rs`.

mod answer;
mod redis;

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::domain::{
    ClaimId, Code, Failure, HostKey, Job, TicketId,
    ticket::{State, Ticket},
};

pub use self::redis::{RedisTickets, StoreReport, inspect};
pub use answer::{Accepted, Claimed, Close, ClosingAs, Enqueued, HostState, Moved, Settled, Touched};

/// For how long one bell is enough for a host.
pub const BELL_LIFETIME: Duration = Duration::from_secs(2);

/// How long the process that closed a ticket has to finish it before [`Tickets::due`] shows it to others.
pub const CLOSING_GRACE: Duration = Duration::from_secs(5);

/// After how long without a word a rebuilding is taken for dead, and another may begin.
pub const REBUILDING_SILENCE: Duration = Duration::from_secs(3);

/// The live tickets.
///
/// Every method fails with [`Code::TicketStoreUnavailable`] when the store is away, within its timeout, and works again
/// by itself when the store is back. A call that failed so may have been carried out. Methods that take several tickets
/// are one round trip, and each ticket is changed as a whole or not at all.
///
/// Each change of a ticket raises its revision and is told to [`moved`](Self::moved).
#[async_trait]
pub trait Tickets: Send + Sync + std::fmt::Debug {
    /// Whether the store answers.
    async fn ping(&self) -> Result<(), Failure>;

    /// Writes a ticket down as `accepting`, before its message is published. One that stays `accepting` is forgotten some
    /// time after the longest possible deadline: nothing was promised for it.
    async fn accept(&self, job: &Job) -> Result<Accepted, Failure>;

    /// The broker has confirmed: `accepting` -> `queued`; if a lane was faster the state it has. Asks for a ring if the
    /// ticket is queued and nobody rang for this host within [`BELL_LIFETIME`].
    ///
    /// Fails with [`Code::OutcomeUnknown`] if the store has lost the ticket since it was accepted: the job is in the
    /// broker's hands, and a lane will rebuild it.
    async fn enqueue(&self, ticket: TicketId, host: &HostKey) -> Result<Enqueued, Failure>;

    /// No confirm in time: `accepting` -> `withdrawn`. Answers the state it has afterwards. None: unknown ticket.
    async fn withdraw(&self, ticket: TicketId) -> Result<Option<State>, Failure>;

    /// Reads a ticket.
    async fn find(&self, ticket: TicketId) -> Result<Option<Ticket>, Failure>;

    /// Claims a prefix of `jobs` in order and answers one entry per job of that prefix (at least one if `jobs` is not
    /// empty). The prefix ends before an unfinished job that is not first, and after an unfinished job that is first:
    /// such jobs run alone. A job is unfinished if it is `running` and this claim did not just start it.
    ///
    /// Asking again with the same claim, after an answer that was lost, gives the same answers and counts nothing.
    async fn claim(&self, claim: ClaimId, jobs: &[Job]) -> Result<Vec<Claimed>, Failure>;

    /// A living worker gives back what it did not bring to an end. A job that was [`Claimed::Started`]: `running` ->
    /// `queued`, unless it may have [touched](Touched::Perhaps) its host. Then, and if it was [`Claimed::Alone`], it has
    /// its attempt refunded and stays `running` without a claim, because its earlier start
    /// still has no outcome: it must be neither cancelled nor expired, and runs alone again. What another claim holds,
    /// or nobody, is left as it is.
    async fn give_back(&self, claim: ClaimId, tickets: &[TicketId], touched: Touched) -> Result<(), Failure>;

    /// `running` under this claim -> `succeeded` or `failed`; wakes waiters, starts the lifetimes of ticket and secret
    /// (a secret that no ending asks for is dropped). A ticket the store has lost is written anew from its job. False
    /// for tickets that another claim holds or that are final already.
    async fn settle(&self, claim: ClaimId, settled: &[Settled]) -> Result<Vec<bool>, Failure>;

    /// Rebuilds a ticket as `queued` if unknown.
    async fn restore_queued(&self, job: &Job) -> Result<(), Failure>;

    /// Rebuilds a ticket as final, from history, whatever unfinished state it is in (withdrawn included: what history
    /// knows has run).
    async fn restore_final(&self, settled: &Settled) -> Result<(), Failure>;

    /// `queued` -> `closing`.
    async fn close(&self, ticket: TicketId, closing: ClosingAs) -> Result<Close, Failure>;

    /// `closing` -> final, after its audit row is committed. A ticket the store has lost is written anew. Nothing happens
    /// to one that is not closing, or closing as something else.
    async fn closed(&self, settled: &Settled) -> Result<(), Failure>;

    /// Tickets that are `queued` and whose deadline passed, or that have been `closing` for [`CLOSING_GRACE`]; the
    /// longest due first, by the store's clock.
    async fn due(&self, limit: usize) -> Result<Vec<TicketId>, Failure>;

    /// Unfinished tickets that have not moved for `since`, the longest first, by the store's clock. Each is shown once, to
    /// whoever asks first, and again after as long: a store that came back older than it was holds tickets that ended
    /// meanwhile, and no message will come that says so.
    async fn unmoved(&self, limit: usize, since: Duration) -> Result<Vec<TicketId>, Failure>;

    /// About which in its host's line a queued ticket is, from 1. Jobs that ended without being run count until those
    /// behind them are. None: not known, as of a ticket that is not queued yet.
    async fn position(&self, ticket: TicketId, host: &HostKey) -> Result<Option<u64>, Failure>;

    /// Whether a ticket that is not here is nowhere. Not so after the store was started again or emptied, until the
    /// tickets of all messages that wait have been [rebuilt](Self::end_rebuilding).
    async fn is_whole(&self) -> Result<bool, Failure>;

    /// Begins to rebuild the tickets of all messages that wait, under a name of this attempt alone. False: the store is
    /// whole, or somebody else is at it and was heard of within [`REBUILDING_SILENCE`].
    async fn begin_rebuilding(&self, name: &str) -> Result<bool, Failure>;

    /// The rebuilding goes on. False: it does not count any more, because the store was started again or emptied since,
    /// or its silence was too long.
    async fn keep_rebuilding(&self, name: &str) -> Result<bool, Failure>;

    /// The rebuilding cannot be brought to its end: another may begin at once.
    async fn give_up_rebuilding(&self, name: &str) -> Result<(), Failure>;

    /// All tickets are rebuilt: the store is whole. False as for [`Self::keep_rebuilding`]: what was rebuilt may be lost
    /// again.
    async fn end_rebuilding(&self, name: &str) -> Result<bool, Failure>;

    /// Marks a ticket whose message was put aside, until it is claimed again. Its state stays; an unknown one stays
    /// unknown.
    async fn dead_letter(&self, ticket: TicketId, reason: &str) -> Result<(), Failure>;

    /// Stores sealed secrets if absent; answers what is stored now, in order. Without a lifetime until the ticket is
    /// settled.
    async fn keep_secrets(&self, secrets: &[(TicketId, Vec<u8>)]) -> Result<Vec<Vec<u8>>, Failure>;

    /// Reads sealed secrets, in order.
    async fn find_secrets(&self, tickets: &[TicketId]) -> Result<Vec<Option<Vec<u8>>>, Failure>;

    /// Forgets a secret, after it was taken.
    async fn drop_secret(&self, ticket: TicketId) -> Result<(), Failure>;

    /// Which ticket stands for a request that is made again and again, known by `name`: the one that stood for it before,
    /// or `fresh` if there was none, or if it was `spent`. Decided in one step over all processes. It is remembered for as
    /// long as a ticket may be of use to somebody, anew with each call.
    async fn join(&self, name: &str, fresh: TicketId, spent: Option<TicketId>) -> Result<TicketId, Failure>;

    /// The ticket stands for that request no more, if it did: it was not submitted after all.
    async fn leave(&self, name: &str, ticket: TicketId) -> Result<(), Failure>;

    /// What moves from now on. [`Moved::Missed`] comes whenever the subscription to the store is made, for the first time
    /// too; a receiver that is too slow gets `RecvError::Lagged`, which means the same.
    fn moved(&self) -> broadcast::Receiver<Moved>;

    /// The lane begins: the host's bell is forgotten, so that the next submit rings.
    async fn clear_bell(&self, host: &HostKey) -> Result<(), Failure>;

    /// True if nobody rang for the host within [`BELL_LIFETIME`]: the caller rings.
    async fn want_bell(&self, host: &HostKey) -> Result<bool, Failure>;

    /// Takes a lease if nobody holds it; it ends by itself. True: it is ours. Whoever needs one of several workers
    /// to do something asks for it.
    async fn lease(&self, name: &str, lifetime: Duration) -> Result<bool, Failure>;

    /// How a host is.
    async fn host_state(&self, host: &HostKey) -> Result<HostState, Failure>;

    /// How several hosts are, in order.
    async fn host_states(&self, hosts: &[HostKey]) -> Result<Vec<HostState>, Failure>;

    /// Counts a failure of a host and sets `blocked_until` to the store's now plus a delay, which is answered: full
    /// jitter, doubling with each consecutive failure from the first of `delays` up to the second.
    async fn block_host(
        &self,
        host: &HostKey,
        code: Code,
        cause: &str,
        delays: (Duration, Duration),
    ) -> Result<Duration, Failure>;

    /// The host is well again.
    async fn clear_host(&self, host: &HostKey) -> Result<(), Failure>;

    /// How long the host is still blocked, by the store's clock. None: it is not.
    async fn blocked_for(&self, host: &HostKey) -> Result<Option<Duration>, Failure>;
}
