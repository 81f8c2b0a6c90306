//! Whether the store holds every ticket, and where a ticket stands in its line.

use std::time::Duration;

use rolecall_shared::domain::ticket::State;
use rolecall_shared::domain::{ClaimId, HostKey, Job};
use rolecall_shared::tickets::{REBUILDING_SILENCE, Touched};

use super::{Subject, failed, host, job_on};
use crate::conformance::eventually;

/// A store that nobody has looked after is not whole; one rebuilding makes it so, and only one is under way.
pub async fn a_store_is_whole_once_it_was_rebuilt(subject: Subject) {
    let tickets = &subject.tickets;
    assert!(!tickets.is_whole().await.expect("an answer"));
    assert!(!tickets.end_rebuilding("nobody").await.expect("an answer"));
    assert!(tickets.begin_rebuilding("first").await.expect("an answer"));
    for second in [
        tickets.begin_rebuilding("second").await,
        tickets.keep_rebuilding("second").await,
        tickets.end_rebuilding("second").await,
        tickets.is_whole().await,
    ] {
        assert!(!second.expect("an answer"));
    }
    tickets.give_up_rebuilding("second").await.expect("an answer");
    assert!(tickets.keep_rebuilding("first").await.expect("an answer"));
    tickets.give_up_rebuilding("first").await.expect("an answer");
    assert!(tickets.begin_rebuilding("last").await.expect("an answer"));
    assert!(tickets.end_rebuilding("last").await.expect("an answer"));
    assert!(tickets.is_whole().await.expect("an answer"));
    assert!(!tickets.begin_rebuilding("third").await.expect("an answer"));
}

/// Whoever rebuilt may have died: after a silence another begins, and the first does not count any more.
pub async fn a_silent_rebuilding_gives_way(subject: Subject) {
    let tickets = &subject.tickets;
    assert!(tickets.begin_rebuilding("silent").await.expect("an answer"));
    eventually("another may begin", REBUILDING_SILENCE + Duration::from_secs(10), async || {
        tickets.begin_rebuilding("next").await.expect("an answer").then_some(())
    })
    .await;
    assert!(!tickets.end_rebuilding("silent").await.expect("an answer"));
    assert!(tickets.end_rebuilding("next").await.expect("an answer"));
}

/// Longest first, each once in a time; what is over is not shown, nor what the store has lost.
pub async fn tickets_that_do_not_move_are_shown_once(subject: Subject) {
    let (first, (second, _)) = (subject.queued().await, subject.running().await);
    let (lost, _over) = (subject.queued().await, subject.ended(failed()).await);
    subject.store.lose(lost.ticket).await;
    let withdrawn = subject.accepting().await;
    subject.tickets.withdraw(withdrawn.ticket).await.expect("an answer");

    let unmoved = async |limit, since| subject.tickets.unmoved(limit, since).await.expect("an answer");
    let hour = Duration::from_hours(1);
    assert!(unmoved(10, hour).await.is_empty());
    assert_eq!(unmoved(1, Duration::ZERO).await, [first.ticket]);
    assert_eq!(unmoved(10, Duration::ZERO).await, [second.ticket, first.ticket]);
    assert!(unmoved(10, hour).await.is_empty());
}

/// Everybody who is before it, and itself; a new line for every host, and after a loss at its end.
pub async fn a_ticket_knows_about_where_it_stands(subject: Subject) {
    let host = host();
    let mut jobs = Vec::new();
    for _ in 0..4 {
        let job = job_on(&host);
        assert_eq!(position(&subject, &job, &host).await, None);
        subject.queue(&job).await;
        jobs.push(job);
    }
    let positions = async || {
        let mut positions = Vec::new();
        for job in &jobs {
            positions.push(position(&subject, job, &host).await);
        }
        positions
    };
    assert_eq!(positions().await, [Some(1), Some(2), Some(3), Some(4)]);
    let elsewhere = subject.queued().await;
    assert_eq!(position(&subject, &elsewhere, &elsewhere.host).await, Some(1));

    let claim = ClaimId::new();
    subject.claim(claim, &jobs[..2]).await;
    assert_eq!(positions().await[2..], [Some(1), Some(2)]);
    subject.tickets.give_back(claim, &[jobs[1].ticket], Touched::No).await.expect("given back");
    assert_eq!(positions().await[1..], [Some(1), Some(1), Some(2)], "about");

    subject.store.lose(jobs[2].ticket).await;
    subject.tickets.restore_queued(&jobs[2]).await.expect("rebuilt");
    assert_eq!(subject.state(&jobs[2]).await, State::Queued);
    assert_eq!(position(&subject, &jobs[2], &host).await, Some(3));
}

async fn position(subject: &Subject, job: &Job, host: &HostKey) -> Option<u64> {
    subject.tickets.position(job.ticket, host).await.expect("an answer")
}
