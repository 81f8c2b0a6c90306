//! Tickets become final, and come back after a loss.

use std::time::Duration;

use jiff::SignedDuration;
use rolecall_shared::domain::ticket::{Ending, Outcome, State};
use rolecall_shared::domain::{ClaimId, Clock, SystemClock};
use rolecall_shared::tickets::{Accepted, ClosingAs};

use super::{FINISHED, Lifetime, SECRET, Subject, failed, job, settled, succeeded};

/// Everything about an ending reads back.
pub async fn a_settled_ticket_says_how_it_ended(subject: Subject) {
    let partly = Ending::Succeeded {
        outcome: Outcome::Created,
        missing: vec!["SELECT on \"t\"".into()],
        secret_expires_at: Some(SystemClock.now()),
        kind: None,
    };
    for ending in [succeeded(), failed(), partly] {
        let (job, claim) = subject.running().await;
        let end = settled(&job, ending.clone());
        assert_eq!(subject.tickets.settle(claim, std::slice::from_ref(&end)).await.expect("settled"), [true]);
        let ticket = subject.find(&job).await;
        assert_eq!((ticket.state, &ticket.ending), (ending.state(), &Some(ending)));
        assert_eq!((ticket.finished_at, &ticket.job), (Some(end.finished_at), &job));
    }
    assert!(subject.tickets.settle(ClaimId::new(), &[]).await.expect("settled").is_empty());
}

/// Only who holds it, and once.
pub async fn another_claim_cannot_settle(subject: Subject) {
    let (job, dead) = subject.running().await;
    let living = ClaimId::new();
    subject.claim(living, [&job]).await;
    let settle = async |claim, ending| {
        subject.tickets.settle(claim, &[settled(&job, ending)]).await.expect("an answer")[0]
    };
    assert!(!settle(dead, failed()).await);
    assert_eq!(subject.state(&job).await, State::Running);
    assert!(settle(living, succeeded()).await);
    assert!(!settle(living, failed()).await);
    assert_eq!(subject.state(&job).await, State::Succeeded);
}

/// One foreign ticket in a batch does not keep the others.
pub async fn a_batch_is_settled_one_by_one(subject: Subject) {
    let claim = ClaimId::new();
    let batch = [subject.queued().await, subject.queued().await];
    subject.claim(claim, &batch).await;
    let (foreign, _) = subject.running().await;
    let all = [&batch[0], &foreign, &batch[1]].map(|job| settled(job, succeeded()));
    assert_eq!(subject.tickets.settle(claim, &all).await.expect("settled"), [true, false, true]);
    assert_eq!(subject.state(&foreign).await, State::Running);
}

/// The store lost it while it ran.
pub async fn a_lost_ticket_is_written_anew(subject: Subject) {
    let (job, claim) = subject.running().await;
    subject.store.lose(job.ticket).await;
    assert_eq!(subject.tickets.settle(claim, &[settled(&job, succeeded())]).await.expect("settled"), [true]);
    let ticket = subject.find(&job).await;
    assert_eq!((ticket.state, &ticket.job), (State::Succeeded, &job));
    assert!(subject.ticket_lifetime(&job).await.is_fresh(FINISHED));
    let Accepted::Known(_) = subject.tickets.accept(&job).await.expect("an answer") else {
        panic!("its idempotency key was lost")
    };

    let cancelled = subject.queued().await;
    subject.tickets.close(cancelled.ticket, ClosingAs::Cancelled).await.expect("closed");
    subject.store.lose(cancelled.ticket).await;
    subject.tickets.closed(&settled(&cancelled, Ending::Cancelled)).await.expect("closed");
    assert_eq!(subject.state(&cancelled).await, State::Cancelled);
}

/// Unfinished tickets are kept without end, finished ones for a time.
pub async fn lifetimes_begin_with_the_end(subject: Subject) {
    let (job, claim) = subject.running().await;
    assert_eq!(subject.ticket_lifetime(&job).await, Lifetime::Endless);
    subject.tickets.settle(claim, &[settled(&job, failed())]).await.expect("settled");
    assert!(subject.ticket_lifetime(&job).await.is_fresh(FINISHED));

    let closing = subject.queued().await;
    subject.tickets.close(closing.ticket, ClosingAs::Expired).await.expect("closed");
    assert_eq!(subject.ticket_lifetime(&closing).await, Lifetime::Endless);
    subject.tickets.closed(&settled(&closing, Ending::Expired)).await.expect("closed");
    assert!(subject.ticket_lifetime(&closing).await.is_fresh(FINISHED));
}

/// From its message a ticket comes back as queued, and runs; one that is known stays as it is.
pub async fn restoring_queues_only_what_is_lost(subject: Subject) {
    let lost = job();
    subject.tickets.restore_queued(&lost).await.expect("restored");
    assert_eq!(subject.state(&lost).await, State::Queued);
    assert_eq!(subject.ticket_lifetime(&lost).await, Lifetime::Endless);
    assert_eq!(subject.claim(ClaimId::new(), [&lost]).await, ["started"]);
    subject.tickets.restore_queued(&lost).await.expect("restored");
    assert_eq!(subject.state(&lost).await, State::Running);
}

/// What history knows as final is final, whatever the store thinks; a final ticket stays as it ended.
pub async fn history_outranks_every_unfinished_state(subject: Subject) {
    let (queued, closing, accepting, withdrawn) = (
        subject.queued().await,
        subject.queued().await,
        subject.accepting().await,
        subject.accepting().await,
    );
    subject.tickets.close(closing.ticket, ClosingAs::Cancelled).await.expect("closed");
    subject.tickets.withdraw(withdrawn.ticket).await.expect("withdrawn");
    let running = subject.running().await.0;
    for job in [job(), queued, closing, accepting, withdrawn, running] {
        let end = settled(&job, succeeded());
        subject.tickets.restore_final(&end).await.expect("restored");
        let ticket = subject.find(&job).await;
        assert_eq!((ticket.state, ticket.ending), (State::Succeeded, Some(succeeded())));
        assert!(subject.ticket_lifetime(&job).await.is_fresh(FINISHED));
        subject.tickets.restore_final(&settled(&job, failed())).await.expect("restored");
        assert_eq!(subject.state(&job).await, State::Succeeded);
    }
}

/// A secret has the rest of the time since its job ended, and never a second lifetime.
pub async fn a_restored_secret_has_only_the_rest_of_its_time(subject: Subject) {
    let (job, _) = subject.running().await;
    subject.tickets.keep_secrets(&[(job.ticket, b"sealed".to_vec())]).await.expect("kept");
    let now = settled(&job, succeeded());
    let mut ended = now.clone();
    ended.finished_at -= SignedDuration::from_mins(20);
    for end in [ended, now] {
        subject.tickets.restore_final(&end).await.expect("restored");
        assert!(subject.secret_lifetime(&job).await.is_fresh(SECRET.saturating_sub(Duration::from_mins(20))));
        subject.store.lose(job.ticket).await;
    }
}

/// A reader's `ETag` from before a loss must never stand for another state after it.
pub async fn a_restored_revision_was_never_seen(subject: Subject) {
    let (job, _) = subject.running().await;
    let seen = subject.find(&job).await.revision;
    subject.store.lose(job.ticket).await;
    subject.tickets.restore_queued(&job).await.expect("restored");
    assert!(subject.find(&job).await.revision > seen);
}
