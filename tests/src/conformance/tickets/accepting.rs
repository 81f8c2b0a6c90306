//! From the door to the queue.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rolecall_shared::domain::ticket::State;
use rolecall_shared::domain::{ClaimId, Code};
use rolecall_shared::tickets::{Accepted, BELL_LIFETIME, Enqueued};

use super::{Lifetime, MAX_DEADLINE, Subject, host, job, job_on, succeeded};
use crate::conformance::eventually;

/// How long a ticket is kept that nobody was promised.
const UNPROMISED: Duration = MAX_DEADLINE.saturating_add(Duration::from_hours(1));

/// New, then known while the fingerprint is the same, in every state.
pub async fn a_new_ticket_is_known_by_its_fingerprint(subject: Subject) {
    let job = subject.accepting().await;
    let mut other = job.clone();
    other.fingerprint = "another".into();

    for state in [State::Accepting, State::Queued] {
        let Accepted::Known(known) = subject.tickets.accept(&job).await.expect("an answer") else {
            panic!("not known as {}", state.as_str())
        };
        assert_eq!((known.state, &known.job), (state, &job));
        assert!(matches!(subject.tickets.accept(&other).await.expect("an answer"), Accepted::Reused));
        subject.tickets.enqueue(job.ticket, &job.host).await.expect("enqueued");
    }

    let ended = subject.ended(succeeded()).await;
    let Accepted::Known(known) = subject.tickets.accept(&ended).await.expect("an answer") else {
        panic!("a finished ticket is not known")
    };
    assert_eq!((known.state, known.ending), (State::Succeeded, Some(succeeded())));
    assert!(subject.tickets.find(super::job().ticket).await.expect("an answer").is_none());
}

/// A withdrawn attempt is not remembered, even for another request; and what was unpromised before is kept once queued.
pub async fn a_withdrawn_ticket_may_try_again(subject: Subject) {
    let mut job = subject.accepting().await;
    assert!(subject.ticket_lifetime(&job).await.is_fresh(UNPROMISED));
    assert_eq!(subject.tickets.withdraw(job.ticket).await.expect("an answer"), Some(State::Withdrawn));
    assert!(subject.ticket_lifetime(&job).await.is_fresh(UNPROMISED));
    let revision = subject.find(&job).await.revision;

    job.fingerprint = "another".into();
    assert!(matches!(subject.tickets.accept(&job).await.expect("an answer"), Accepted::New));
    let again = subject.find(&job).await;
    assert_eq!((again.state, again.revision, &again.job), (State::Accepting, revision + 1, &job));

    subject.tickets.enqueue(job.ticket, &job.host).await.expect("enqueued");
    assert_eq!(subject.ticket_lifetime(&job).await, Lifetime::Endless);
}

/// Withdrawing answers the state there is.
pub async fn withdrawing_later_than_the_lane_changes_nothing(subject: Subject) {
    let (job, _) = subject.running().await;
    assert_eq!(subject.tickets.withdraw(job.ticket).await.expect("an answer"), Some(State::Running));
    assert_eq!(subject.state(&job).await, State::Running);
    assert_eq!(subject.tickets.withdraw(super::job().ticket).await.expect("an answer"), None);
}

/// Of all who enqueue for one host within two seconds one rings; again when the lane has begun, or the time is over.
pub async fn one_bell_in_two_seconds(subject: Subject) {
    let (host, tickets) = (host(), &subject.tickets);
    let enqueue = async || {
        let job = job_on(&host);
        tickets.accept(&job).await.expect("accepted");
        tickets.enqueue(job.ticket, &host).await.expect("enqueued")
    };
    assert_eq!(enqueue().await, Enqueued { state: State::Queued, ring: true });
    assert_eq!(enqueue().await, Enqueued { state: State::Queued, ring: false });
    let other = subject.queued().await;
    assert!(!tickets.want_bell(&other.host).await.expect("an answer"), "another host had its own bell");

    tickets.clear_bell(&host).await.expect("cleared");
    let rung = Instant::now();
    assert!(enqueue().await.ring);
    eventually("the bell is forgotten", Duration::from_secs(10), async || enqueue().await.ring.then_some(()))
        .await;
    assert!(rung.elapsed() >= BELL_LIFETIME.mul_f32(0.9), "after {:?}", rung.elapsed());
}

/// The confirm comes after the lane: the state is the lane's, and nobody needs to ring.
pub async fn a_lane_may_be_faster_than_the_confirm(subject: Subject) {
    let job = subject.accepting().await;
    assert_eq!(subject.claim(ClaimId::new(), [&job]).await, ["started"]);
    assert_eq!(subject.ticket_lifetime(&job).await, Lifetime::Endless);
    let late = subject.tickets.enqueue(job.ticket, &job.host).await.expect("an answer");
    assert_eq!(late, Enqueued { state: State::Running, ring: false });
    assert!(subject.tickets.want_bell(&job.host).await.expect("an answer"), "the bell was used up");

    let withdrawn = subject.accepting().await;
    subject.tickets.withdraw(withdrawn.ticket).await.expect("withdrawn");
    let late = subject.tickets.enqueue(withdrawn.ticket, &withdrawn.host).await.expect("an answer");
    assert_eq!(late, Enqueued { state: State::Withdrawn, ring: false });
}

/// The store forgot it between accept and confirm.
pub async fn a_ticket_lost_before_the_confirm_has_an_unknown_outcome(subject: Subject) {
    let job = subject.accepting().await;
    subject.store.lose(job.ticket).await;
    let failure = subject.tickets.enqueue(job.ticket, &job.host).await.expect_err("a failure");
    assert_eq!((failure.code(), failure.ticket()), (Code::OutcomeUnknown, Some(job.ticket)));
    assert!(subject.tickets.find(job.ticket).await.expect("an answer").is_none(), "half a ticket");
}

/// A thousand callers at once: each its ticket, and hardly a bell.
pub async fn a_thousand_at_once(subject: Subject) {
    let (host, start) = (host(), Instant::now());
    let rings = join_all((0..1000).map(|_| async {
        let job = job_on(&host);
        assert!(matches!(subject.tickets.accept(&job).await.expect("accepted"), Accepted::New));
        let enqueued = subject.tickets.enqueue(job.ticket, &host).await.expect("enqueued");
        assert_eq!(enqueued.state, State::Queued);
        enqueued.ring
    }))
    .await;
    let rings = rings.into_iter().filter(|ring| *ring).count();
    let most = 1 + start.elapsed().as_secs() / BELL_LIFETIME.as_secs();
    assert!((1..=usize::try_from(most).expect("a number")).contains(&rings), "{rings} bells");
}

/// The same idempotency key from many at once.
pub async fn of_many_equal_ones_one_is_new(subject: Subject) {
    let job = job();
    let answers = join_all((0..100).map(|_| subject.tickets.accept(&job))).await;
    let new = answers.into_iter().filter(|a| matches!(a.as_ref().expect("accepted"), Accepted::New)).count();
    assert_eq!(new, 1);
    assert_eq!(subject.find(&job).await.revision, 1);
}
