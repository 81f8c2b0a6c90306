//! What every implementation of [`Tickets`] has to do.
//!
//! An implementation brings a function that makes a [`Subject`] whose store nobody else uses, and runs
//! `rolecall_tests::tickets_conformance!(that_function);`, which makes one test of each case.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use rolecall_shared::config;
use rolecall_shared::domain::ticket::{Ending, Outcome, State, Ticket};
use rolecall_shared::domain::{
    Actor, ClaimId, Clock, Code, DatabaseName, Env, HostKey, Job, Operation, Rights, RoleName, SystemClock,
    TargetKey, TicketId,
};
use rolecall_shared::tickets::{Accepted, Claimed, ClosingAs, Settled, Tickets};

pub mod accepting;
pub mod claiming;
pub mod closing;
pub mod hosts;
pub mod joining;
pub mod moving;
pub mod rebuilding;
pub mod secrets;
pub mod settling;
pub mod table;

/// For how long the subject keeps finished tickets.
pub const FINISHED: Duration = Duration::from_hours(24);
/// For how long the subject keeps a secret after its ticket was settled.
pub const SECRET: Duration = Duration::from_hours(1);
/// The longest deadline the subject is told of.
pub const MAX_DEADLINE: Duration = Duration::from_hours(12);

/// An implementation under test, on a store of its own.
pub struct Subject {
    /// The implementation.
    pub tickets: Arc<dyn Tickets>,
    /// What the suite must do behind its back.
    pub store: Arc<dyn Store>,
}

/// The store behind an implementation.
pub trait Store: Send + Sync {
    /// Forgets a ticket and everything about it but its secret, as a store does that comes back older.
    fn lose(&self, ticket: TicketId) -> BoxFuture<'_, ()>;
    /// For how long something will still be there.
    fn lifetime(&self, kept: Kept) -> BoxFuture<'_, Lifetime>;
}

/// Something that is kept.
#[derive(Debug, Clone, Copy)]
pub enum Kept {
    /// A ticket.
    Ticket(TicketId),
    /// A secret.
    Secret(TicketId),
}

/// How long it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// It is not there.
    Gone,
    /// Until somebody removes it.
    Endless,
    /// For this long.
    Left(Duration),
}

impl Lifetime {
    /// Whether it began just now with the given length.
    pub fn is_fresh(self, length: Duration) -> bool {
        match self {
            Self::Left(left) => left <= length && left + Duration::from_mins(1) > length,
            Self::Gone | Self::Endless => false,
        }
    }
}

/// The settings that a subject is made with.
pub fn settings() -> config::Tickets {
    config::Tickets {
        deadline: Duration::from_mins(15),
        max_deadline: MAX_DEADLINE,
        finished_ttl: FINISHED,
        secret_ttl: SECRET,
    }
}

/// A job that no other test knows, on a host of its own, with the usual deadline.
pub fn job() -> Job {
    job_on(&host())
}

/// The same on a host that several share.
pub fn job_on(host: &HostKey) -> Job {
    let now = SystemClock.now();
    Job {
        ticket: TicketId::new(now),
        operation: Operation::ResetPassword { role: RoleName::from_stored("jsmith").expect("a name") },
        target: TargetKey {
            env: Env::parse("dev").expect("an env"),
            database: DatabaseName::parse("myapp_dev").expect("a name"),
        },
        host: host.clone(),
        actor: Actor {
            account: "ci".into(),
            owner: "ci".into(),
            address: Some("127.0.0.1".into()),
            via: None,
        },
        fingerprint: "5d41402abc4b2a76b9719d911017c592".into(),
        submitted_at: now,
        deadline_at: now + SignedDuration::from_mins(15),
        metadata: BTreeMap::from([("pipeline".to_owned(), "4711 \"quoted\" é\n".to_owned())]),
        rights: Rights::all(),
        callback: None,
        replay_of: None,
    }
}

/// A host that no other test knows.
pub fn host() -> HostKey {
    HostKey::new(&format!("h{}.example.com", uuid::Uuid::new_v4().simple()), 5432).expect("a host")
}

/// How a job ended: now.
pub fn settled(job: &Job, ending: Ending) -> Settled {
    Settled { job: job.clone(), ending, finished_at: SystemClock.now() }
}

/// It succeeded, with a password.
pub fn succeeded() -> Ending {
    Ending::Succeeded {
        outcome: Outcome::PasswordReset,
        missing: Vec::new(),
        secret_expires_at: Timestamp::from_second(1_900_000_000).ok(),
        kind: None,
    }
}

/// It failed.
pub fn failed() -> Ending {
    Ending::Failed { code: Code::RoleNotFound, detail: "No role \"jsmith\".".into() }
}

impl Subject {
    /// Reads a ticket that must be there.
    pub async fn find(&self, job: &Job) -> Ticket {
        self.tickets.find(job.ticket).await.expect("the store answers").expect("the ticket is there")
    }

    /// The state of a ticket that must be there.
    pub async fn state(&self, job: &Job) -> State {
        self.find(job).await.state
    }

    /// A new ticket, accepting.
    pub async fn accepting(&self) -> Job {
        let job = job();
        assert!(matches!(self.tickets.accept(&job).await.expect("accepted"), Accepted::New));
        job
    }

    /// Brings a job to `queued`.
    pub async fn queue(&self, job: &Job) {
        assert!(matches!(self.tickets.accept(job).await.expect("accepted"), Accepted::New));
        let enqueued = self.tickets.enqueue(job.ticket, &job.host).await.expect("enqueued");
        assert_eq!(enqueued.state, State::Queued);
    }

    /// A new ticket, queued.
    pub async fn queued(&self) -> Job {
        let job = job();
        self.queue(&job).await;
        job
    }

    /// A new ticket, running under a new claim.
    pub async fn running(&self) -> (Job, ClaimId) {
        let (job, claim) = (self.queued().await, ClaimId::new());
        assert_eq!(self.claim(claim, [&job]).await, ["started"]);
        (job, claim)
    }

    /// A new ticket that ended that way.
    pub async fn ended(&self, ending: Ending) -> Job {
        let (job, claim) = self.running().await;
        let answer = self.tickets.settle(claim, &[settled(&job, ending)]).await.expect("settled");
        assert_eq!(answer, [true]);
        job
    }

    /// Claims, and says in words what the answers are.
    pub async fn claim<'j>(&self, claim: ClaimId, jobs: impl IntoIterator<Item = &'j Job>) -> Vec<String> {
        let jobs: Vec<_> = jobs.into_iter().cloned().collect();
        let answers = self.tickets.claim(claim, &jobs).await.expect("claimed");
        answers
            .into_iter()
            .map(|answer| match answer {
                Claimed::Started => "started".to_owned(),
                Claimed::Alone { attempts } => format!("alone {attempts}"),
                Claimed::Final(ticket) => ticket.state.as_str().to_owned(),
                Claimed::Closing(_, ClosingAs::Cancelled) => "closing cancelled".to_owned(),
                Claimed::Closing(_, ClosingAs::Expired) => "closing expired".to_owned(),
                Claimed::Unknown => "unknown".to_owned(),
            })
            .collect()
    }

    /// For how long a ticket is kept.
    pub async fn ticket_lifetime(&self, job: &Job) -> Lifetime {
        self.store.lifetime(Kept::Ticket(job.ticket)).await
    }

    /// For how long a secret is kept.
    pub async fn secret_lifetime(&self, job: &Job) -> Lifetime {
        self.store.lifetime(Kept::Secret(job.ticket)).await
    }
}

/// One `#[tokio::test]` for each case of the suite. The argument names an async function without arguments, in scope, that
/// answers a [`Subject`](crate::conformance::tickets::Subject).
#[macro_export]
macro_rules! tickets_conformance {
    ($subject:ident) => {
        $crate::tickets_conformance! { @$subject;
            table: every_pair_of_states_is_as_the_table_says;
            accepting: a_new_ticket_is_known_by_its_fingerprint, a_withdrawn_ticket_may_try_again,
                withdrawing_later_than_the_lane_changes_nothing, one_bell_in_two_seconds,
                a_lane_may_be_faster_than_the_confirm, a_ticket_lost_before_the_confirm_has_an_unknown_outcome,
                a_thousand_at_once, of_many_equal_ones_one_is_new;
            claiming: the_prefix_ends_at_unfinished_jobs, what_cannot_run_is_said_in_its_place,
                attempts_count_starts_alone_only, giving_back_costs_nothing,
                a_start_without_an_outcome_stays_running_when_given_back,
                what_may_have_touched_its_host_stays_running_when_given_back, the_same_claim_may_ask_again,
                of_two_claims_one_starts, the_late_message_of_a_withdrawn_attempt_is_not_run;
            settling: a_settled_ticket_says_how_it_ended, another_claim_cannot_settle, a_batch_is_settled_one_by_one,
                a_lost_ticket_is_written_anew, lifetimes_begin_with_the_end, restoring_queues_only_what_is_lost,
                history_outranks_every_unfinished_state, a_restored_revision_was_never_seen,
                a_restored_secret_has_only_the_rest_of_its_time;
            closing: what_is_closed_first_stays, due_are_the_queued_whose_deadline_passed,
                running_tickets_never_hide_the_due, a_dead_letter_keeps_its_state;
            secrets: the_first_secret_stays, a_secret_lives_until_it_is_settled_and_a_while,
                a_secret_nobody_needs_goes;
            joining: the_first_ticket_stands_until_it_is_spent, who_leaves_takes_nobody_along,
                of_many_at_once_one_stands_for_all;
            hosts: failures_of_a_host_add_up, bells_are_shared_by_all_who_ring;
            moving: every_change_is_told_once_in_order;
            rebuilding: a_store_is_whole_once_it_was_rebuilt, a_silent_rebuilding_gives_way,
                tickets_that_do_not_move_are_shown_once, a_ticket_knows_about_where_it_stands;
        }
    };
    (@$subject:ident; $($topic:ident: $($case:ident),+;)+) => {
        $(mod $topic {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::conformance::tickets::$topic::$case(super::$subject().await).await;
            })+
        })+
    };
}
