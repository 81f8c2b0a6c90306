//! Failpoints: places at which a test lets the process end, as a crash or a power cut would.
//!
//! Owns the list of all points and nothing else. Without the feature `failpoints` [`reach`] is empty; a release build
//! cannot have the feature at all. With it, `FAILPOINTS` of the environment arms points by name, in the words of the
//! `fail` crate: `worker.claim.after=return` at the first time, `worker.claim.after=2*off->return` at the third.
//!
//! Must never change what the product does: a point that is not armed is passed without a trace. Every point stands in
//! the code exactly once; that, and what happens after a crash at each, is tested in `tests/tests/crashes`.

#[cfg(all(feature = "failpoints", not(debug_assertions)))]
compile_error!("the feature `failpoints` is for tests; a release build must not have it");

/// Declares the closed set once: the variant, the name by which it is armed, and what has happened when it is reached.
macro_rules! points {
    ($($(#[doc = $doc:literal])+ $point:ident = $name:literal,)+) => {
        /// A place at which a process may be told to end.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Failpoint {
            $($(#[doc = $doc])+ $point,)+
        }

        impl Failpoint {
            /// Every point, in the order in which a job meets them.
            pub const ALL: &[Self] = &[$(Self::$point),+];

            /// The name by which it is armed.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)+
                }
            }
        }
    };
}

points! {
    /// A submit was read and judged; nothing is written down.
    BeforeAccept = "api.accept.before",
    /// The ticket is `accepting`; its message was not sent.
    AfterAccept = "api.accept.after",
    /// The broker has confirmed the message; the ticket is still `accepting`.
    AfterConfirm = "api.confirm.after",
    /// The ticket is `queued` and the host's bell spoken for; nobody rang.
    AfterEnqueue = "api.enqueue.after",
    /// The bell rang; the caller has no answer.
    AfterRing = "api.ring.after",

    /// The host lock is held; no job was looked at.
    AfterLock = "worker.lock.after",
    /// Step 1: the jobs are in hand; no ticket was claimed.
    BeforeClaim = "worker.claim.before",
    /// Step 1: the tickets are `running` under this claim.
    AfterClaim = "worker.claim.after",
    /// Step 2: passwords may have been made; none is stored.
    BeforeSecrets = "worker.secrets.before",
    /// Step 2: the sealed passwords are stored.
    AfterSecrets = "worker.secrets.after",
    /// Step 3: the transaction on the host has begun.
    AfterBegin = "worker.begin.after",
    /// Step 3: the DDL has answered; COMMIT was not sent.
    BeforeCommit = "worker.commit.before",
    /// Step 3: the host has committed.
    AfterCommit = "worker.commit.after",
    /// Step 3b: a role that reads is made; it has no grants.
    BeforeGrants = "worker.grants.before",
    /// Step 3b: one of several transactions of grants is committed.
    AmidGrants = "worker.grants.amid",
    /// Step 3b: all grants are committed.
    AfterGrants = "worker.grants.after",
    /// Step 4: the endings are known; the control database has not heard of them.
    BeforeControl = "worker.control.before",
    /// Step 4: audit and history are committed.
    AfterControl = "worker.control.after",
    /// Step 5: as far as this process; the tickets are still `running`.
    BeforeTickets = "worker.tickets.before",
    /// Step 5: the tickets are final and their waiters woken.
    AfterTickets = "worker.tickets.after",
    /// Step 6: nothing is acknowledged.
    BeforeAck = "worker.ack.before",
    /// Step 6: the batch is acknowledged.
    AfterAck = "worker.ack.after",
    /// The turn is over; the lane still consumes the host's queue.
    BeforeRelease = "worker.release.before",
    /// The host's queue is given back; the host lock is still held.
    AfterRelease = "worker.release.after",
    /// The host is let go; its bell is not answered.
    BeforeBell = "worker.bell.before",

    /// A password is opened for its owner; nothing says that it was taken.
    BeforeTake = "api.take.before",
    /// The row that says who took it is committed; the sealed password is still stored, the caller has no answer.
    AfterTake = "api.take.after",
    /// The sealed password is gone too; the caller has no answer.
    AfterDrop = "api.drop.after",

    /// A webhook's event is leased; its receiver was not reached for.
    BeforeSend = "worker.send.before",
    /// A webhook's receiver has answered; nothing says so.
    AfterSend = "worker.send.after",

    /// An operator's command: a message that was put aside is kept elsewhere; it is still on the dead queue.
    AfterReplay = "api.replay.after",
    /// An operator's command: the file of a month is written; it has not its own name.
    BeforeArchiveName = "api.archive.before",
    /// The file has its name; the control database has not heard of it.
    AfterArchiveName = "api.archive.amid",
    /// The control database has; the month is still there too.
    AfterArchiveRow = "api.archive.after",
}

/// Ends the process at once (SIGABRT: no destructor runs, nothing is flushed) if the point is armed.
#[cfg(feature = "failpoints")]
pub fn reach(point: Failpoint) {
    fail::fail_point!(point.name(), |_| {
        tracing::error!(point = point.name(), "failpoint: this process ends here");
        std::process::abort()
    });
}

/// Nothing: this build has no failpoints.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn reach(_point: Failpoint) {}

#[cfg(feature = "failpoints")]
pub use armed::{Armed, Unknown, arm};

#[cfg(feature = "failpoints")]
mod armed {
    use super::Failpoint;

    /// Points stay armed while this lives.
    pub struct Armed {
        _scenario: fail::FailScenario<'static>,
    }

    /// `FAILPOINTS` names a point that does not exist: a test that armed it would prove nothing.
    #[derive(Debug, thiserror::Error)]
    #[error("FAILPOINTS arms `{0}`, and there is no failpoint of that name")]
    pub struct Unknown(String);

    /// Arms what `FAILPOINTS` of the environment says.
    ///
    /// # Panics
    /// When it is not in the words of the `fail` crate.
    pub fn arm() -> Result<Armed, Unknown> {
        let scenario = fail::FailScenario::setup();
        for (name, _) in fail::list() {
            if !Failpoint::ALL.iter().any(|point| point.name() == name) {
                return Err(Unknown(name));
            }
        }
        Ok(Armed { _scenario: scenario })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Failpoint;

    #[test]
    fn every_name_is_one_points_own() {
        let names: BTreeSet<_> = Failpoint::ALL.iter().map(|point| point.name()).collect();
        assert_eq!(names.len(), Failpoint::ALL.len());
    }
}
