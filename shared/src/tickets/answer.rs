//! What the store answers.

use jiff::Timestamp;

use crate::domain::{
    Code, Job,
    ticket::{Ending, State, Ticket},
};

/// What became of an attempt to write a ticket down.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time on the stack; a box would only add an allocation"
)]
pub enum Accepted {
    /// It is new (or was withdrawn before) and now `accepting`.
    New,
    /// The same id and the same fingerprint are known already; also an `accepting` one whose first try is still
    /// under way or died: publish it again, the lane runs it once.
    Known(Ticket),
    /// The id stands for another request (other fingerprint).
    Reused,
}

/// After the broker's confirm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enqueued {
    /// The state the ticket has now: `queued`, or further if a lane was faster, or `withdrawn`.
    pub state: State,
    /// Nobody rang for this host in the last 2 s: ring.
    pub ring: bool,
}

/// What a lane finds when it claims.
#[derive(Debug)]
pub enum Claimed {
    /// `queued`/`accepting` -> `running` under our claim.
    Started,
    /// It was `running` under a claim that died, or that gave back a start made alone: now ours, runs alone.
    Alone {
        /// Starts made alone, this one included, without those given back.
        attempts: u32,
    },
    /// Final (withdrawn included): nothing to run. A message that a withdrawn attempt left behind shows as
    /// `withdrawn` with revision 0 even if the id stands for another request by now.
    Final(Ticket),
    /// `closing`: whoever meets it finishes it.
    Closing(Ticket, ClosingAs),
    /// The store does not know it.
    Unknown,
}

/// How a ticket that is `closing` will end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosingAs {
    /// By its owner.
    Cancelled,
    /// By its deadline.
    Expired,
}

impl ClosingAs {
    /// The final state it leads to.
    pub fn state(self) -> State {
        match self {
            Self::Cancelled => State::Cancelled,
            Self::Expired => State::Expired,
        }
    }

    /// The ending it leads to.
    pub fn ending(self) -> Ending {
        match self {
            Self::Cancelled => Ending::Cancelled,
            Self::Expired => Ending::Expired,
        }
    }
}

/// What became of an attempt to close.
#[derive(Debug)]
pub enum Close {
    /// `closing` now, or already: then as what it was closed first, which need not be what was asked.
    Closing(Ticket, ClosingAs),
    /// In a state that cannot be closed.
    Not(Ticket),
    /// The store does not know it.
    Unknown,
}

/// Why a host's jobs wait; shared by all processes. The default is a host that is well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostState {
    /// Consecutive failures.
    pub failures: u32,
    /// Of the last failure.
    pub code: Option<Code>,
    /// For people.
    pub cause: Option<String>,
    /// By the store's clock; may have passed.
    pub blocked_until: Option<Timestamp>,
    /// When the first of the consecutive failures was, by the store's clock.
    pub since: Option<Timestamp>,
}

/// How one job ended.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The job; a ticket that the store has lost is written anew from it.
    pub job: Job,
    /// How it ended.
    pub ending: Ending,
    /// When, by the clock of the process that ended it.
    pub finished_at: Timestamp,
}

/// Something moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// This ticket changed; read it.
    Ticket(crate::domain::TicketId),
    /// The subscription begins, or was interrupted: read again whatever you wait for.
    Missed,
}

/// Whether a job that is given back may have changed its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touched {
    /// Nothing was committed: the ticket is `queued` again, and may be cancelled or expire.
    No,
    /// Something may be: the ticket stays `running`, in nobody's hands, until the job has run again.
    Perhaps,
}
