//! A lane takes jobs, and gives back.

use futures_util::future::join;
use rolecall_shared::domain::ClaimId;
use rolecall_shared::domain::ticket::State;
use rolecall_shared::tickets::{Accepted, Claimed, Close, ClosingAs, Touched};

use super::{Lifetime, Subject, job, succeeded};

/// An unfinished job in every position of a batch.
pub async fn the_prefix_ends_at_unfinished_jobs(subject: Subject) {
    for position in 0..4 {
        let (unfinished, _) = subject.running().await;
        let mut batch = vec![subject.queued().await, subject.queued().await, subject.queued().await];
        batch.insert(position, unfinished);

        let expected = if position == 0 { vec!["alone 1"] } else { vec!["started"; position] };
        assert_eq!(subject.claim(ClaimId::new(), &batch).await, expected, "at {position}");
        // What stands behind the prefix is untouched.
        for (place, job) in batch.iter().enumerate().skip(expected.len()) {
            let state = if place == position { State::Running } else { State::Queued };
            let ticket = subject.find(job).await;
            assert_eq!((ticket.state, ticket.attempts), (state, 0), "at {position}, {place}");
        }
    }
    let finished = subject.ended(succeeded()).await;
    let (unfinished, _) = subject.running().await;
    assert_eq!(subject.claim(ClaimId::new(), [&finished, &unfinished]).await, ["succeeded"]);
    assert!(subject.claim(ClaimId::new(), []).await.is_empty());
}

/// Finished, withdrawn, closing and unknown ones in the middle of a batch stop nothing.
pub async fn what_cannot_run_is_said_in_its_place(subject: Subject) {
    let withdrawn = subject.accepting().await;
    subject.tickets.withdraw(withdrawn.ticket).await.expect("withdrawn");
    let (cancelled, expired) = (subject.queued().await, subject.queued().await);
    subject.tickets.close(cancelled.ticket, ClosingAs::Cancelled).await.expect("closed");
    subject.tickets.close(expired.ticket, ClosingAs::Expired).await.expect("closed");
    let batch = [
        subject.ended(succeeded()).await,
        withdrawn,
        cancelled,
        expired,
        job(),
        subject.queued().await,
        subject.accepting().await,
    ];
    let expected =
        ["succeeded", "withdrawn", "closing cancelled", "closing expired", "unknown", "started", "started"];
    assert_eq!(subject.claim(ClaimId::new(), &batch).await, expected);
    let answers = subject.tickets.claim(ClaimId::new(), &batch[..1]).await.expect("claimed");
    let [Claimed::Final(ticket)] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!((&ticket.job, &ticket.ending), (&batch[0], &Some(succeeded())));
    assert!(subject.tickets.find(batch[4].ticket).await.expect("an answer").is_none());
}

/// The first start counts nothing; each start after a claim that died counts one.
pub async fn attempts_count_starts_alone_only(subject: Subject) {
    let (job, _) = subject.running().await;
    assert_eq!(subject.find(&job).await.attempts, 0);
    for attempts in 1..=4 {
        assert_eq!(subject.claim(ClaimId::new(), [&job]).await, [format!("alone {attempts}")]);
        assert_eq!(subject.find(&job).await.attempts, attempts);
    }
}

/// A batch that was given back is queued as if nothing had been; what others hold or nobody is left alone.
pub async fn giving_back_costs_nothing(subject: Subject) {
    let claim = ClaimId::new();
    let batch = [subject.queued().await, subject.queued().await];
    let (foreign, _) = subject.running().await;
    let finished = subject.ended(succeeded()).await;
    let unknown = job();
    assert_eq!(subject.claim(claim, &batch).await, ["started"; 2]);

    let all = [batch[0].ticket, foreign.ticket, finished.ticket, unknown.ticket, batch[1].ticket];
    for _ in 0..2 {
        subject.tickets.give_back(claim, &all, Touched::No).await.expect("given back");
    }
    subject.tickets.give_back(claim, &[], Touched::No).await.expect("given back");
    for job in &batch {
        let ticket = subject.find(job).await;
        assert_eq!((ticket.state, ticket.attempts), (State::Queued, 0));
        assert_eq!(subject.ticket_lifetime(job).await, Lifetime::Endless);
    }
    assert_eq!(subject.state(&foreign).await, State::Running);
    assert_eq!(subject.state(&finished).await, State::Succeeded);
    assert!(subject.tickets.find(unknown.ticket).await.expect("an answer").is_none());
    assert_eq!(subject.claim(ClaimId::new(), &batch).await, ["started"; 2]);
}

/// A COMMIT of the start that died may have been done: until its outcome is known nobody may cancel the ticket.
pub async fn a_start_without_an_outcome_stays_running_when_given_back(subject: Subject) {
    let (job, _) = subject.running().await;
    for _ in 0..3 {
        let claim = ClaimId::new();
        assert_eq!(subject.claim(claim, [&job]).await, ["alone 1"], "the attempt was not refunded");
        subject.tickets.give_back(claim, &[job.ticket], Touched::No).await.expect("given back");
        let ticket = subject.find(&job).await;
        assert_eq!((ticket.state, ticket.attempts), (State::Running, 0));
        let close = subject.tickets.close(job.ticket, ClosingAs::Cancelled).await.expect("an answer");
        assert!(matches!(close, Close::Not(_)));
        let late = subject.tickets.settle(claim, &[super::settled(&job, succeeded())]).await;
        assert_eq!(late.expect("an answer"), [false], "it was given back");
    }
}

/// Something of it may be committed on the host: it must be neither cancelled nor expire, and nothing is spent.
pub async fn what_may_have_touched_its_host_stays_running_when_given_back(subject: Subject) {
    let job = subject.queued().await;
    let claim = ClaimId::new();
    assert_eq!(subject.claim(claim, [&job]).await, ["started"]);
    subject.tickets.give_back(claim, &[job.ticket], Touched::Perhaps).await.expect("given back");
    for _ in 0..3 {
        let ticket = subject.find(&job).await;
        assert_eq!((ticket.state, ticket.attempts), (State::Running, 0));
        let close = subject.tickets.close(job.ticket, ClosingAs::Cancelled).await.expect("an answer");
        assert!(matches!(close, Close::Not(_)));
        let claim = ClaimId::new();
        assert_eq!(subject.claim(claim, [&job]).await, ["alone 1"]);
        subject.tickets.give_back(claim, &[job.ticket], Touched::Perhaps).await.expect("given back");
    }
}

/// The answer was lost: the same claim asks again, gets the same, and nothing is counted.
pub async fn the_same_claim_may_ask_again(subject: Subject) {
    let claim = ClaimId::new();
    let batch = [subject.queued().await, subject.queued().await, subject.running().await.0];
    for _ in 0..2 {
        assert_eq!(subject.claim(claim, &batch).await, ["started"; 2]);
    }
    let (alone, next) = (subject.running().await.0, subject.queued().await);
    for _ in 0..2 {
        assert_eq!(subject.claim(claim, [&alone, &next]).await, ["alone 1"]);
    }
    assert_eq!(subject.find(&batch[0]).await.revision, 3);
}

/// Two lanes at once: one starts it, the other finds it running.
pub async fn of_two_claims_one_starts(subject: Subject) {
    for _ in 0..100 {
        let job = subject.queued().await;
        let (first, second) =
            join(subject.claim(ClaimId::new(), [&job]), subject.claim(ClaimId::new(), [&job])).await;
        let mut answers = [first, second].concat();
        answers.sort();
        assert_eq!(answers, ["alone 1", "started"]);
    }
}

/// An attempt was withdrawn, its key used again for another request; then the first message arrives after all.
pub async fn the_late_message_of_a_withdrawn_attempt_is_not_run(subject: Subject) {
    let late = subject.accepting().await;
    subject.tickets.withdraw(late.ticket).await.expect("withdrawn");
    let mut job = late.clone();
    job.fingerprint = "another".into();
    assert!(matches!(subject.tickets.accept(&job).await.expect("accepted"), Accepted::New));

    assert_eq!(subject.claim(ClaimId::new(), [&late]).await, ["withdrawn"]);
    assert_eq!(subject.state(&job).await, State::Accepting);
    let claim = ClaimId::new();
    assert_eq!(subject.claim(claim, [&job]).await, ["started"]);
    assert_eq!(subject.claim(ClaimId::new(), [&late]).await, ["withdrawn"]);
    assert_eq!(subject.find(&job).await.attempts, 0);
}
