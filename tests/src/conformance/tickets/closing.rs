//! Cancels and deadlines.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rolecall_shared::domain::ticket::{Ending, State};
use rolecall_shared::domain::{ClaimId, Clock, Job, SystemClock};
use rolecall_shared::tickets::{CLOSING_GRACE, Close, ClosingAs, Touched};

use super::{Subject, job, settled};
use crate::conformance::eventually;

async fn close(subject: &Subject, job: &Job, closing: ClosingAs) -> Close {
    subject.tickets.close(job.ticket, closing).await.expect("an answer")
}

async fn queued_until(subject: &Subject, deadline_at: Timestamp) -> Job {
    let job = Job { deadline_at, ..job() };
    subject.queue(&job).await;
    job
}

/// A deadline that passes while somebody cancels changes nothing, and the other way round.
pub async fn what_is_closed_first_stays(subject: Subject) {
    let job = subject.queued().await;
    for closing in [ClosingAs::Cancelled, ClosingAs::Expired] {
        let Close::Closing(ticket, as_what) = close(&subject, &job, closing).await else {
            panic!("not closing")
        };
        assert_eq!((ticket.state, as_what), (State::Closing, ClosingAs::Cancelled));
    }
    subject.tickets.closed(&settled(&job, Ending::Expired)).await.expect("an answer");
    assert_eq!(subject.state(&job).await, State::Closing);
    subject.tickets.closed(&settled(&job, Ending::Cancelled)).await.expect("an answer");
    assert_eq!(subject.state(&job).await, State::Cancelled);

    let Close::Not(ticket) = close(&subject, &job, ClosingAs::Cancelled).await else { panic!("not final") };
    assert_eq!((ticket.state, ticket.ending), (State::Cancelled, Some(Ending::Cancelled)));
    let (running, _) = subject.running().await;
    assert!(matches!(close(&subject, &running, ClosingAs::Expired).await, Close::Not(_)));
    assert!(matches!(close(&subject, &super::job(), ClosingAs::Expired).await, Close::Unknown));
}

/// Oldest first, no more than asked; a closing one comes when the one who closed it has had his time.
pub async fn due_are_the_queued_whose_deadline_passed(subject: Subject) {
    let now = SystemClock.now();
    let second = queued_until(&subject, now - SignedDuration::from_mins(1)).await;
    let first = queued_until(&subject, now - SignedDuration::from_mins(2)).await;
    let future = subject.queued().await;
    // Nobody was promised this one.
    let accepting = Job { deadline_at: now - SignedDuration::from_mins(3), ..job() };
    subject.tickets.accept(&accepting).await.expect("accepted");
    let due = async |limit| subject.tickets.due(limit).await.expect("an answer");
    assert_eq!(due(10).await, [first.ticket, second.ticket]);
    assert_eq!(due(1).await, [first.ticket]);

    close(&subject, &first, ClosingAs::Expired).await;
    close(&subject, &future, ClosingAs::Cancelled).await;
    assert_eq!(due(10).await, [second.ticket], "whoever closed it has some time for it");
    eventually("the closing ones are due", CLOSING_GRACE + Duration::from_secs(10), async || {
        (due(10).await == [second.ticket, first.ticket, future.ticket]).then_some(())
    })
    .await;

    subject.tickets.closed(&settled(&first, Ending::Expired)).await.expect("closed");
    subject.tickets.closed(&settled(&future, Ending::Cancelled)).await.expect("closed");
    assert_eq!(due(10).await, [second.ticket]);
    // Lost by the store: nothing to look at, and it must not come back for ever.
    subject.store.lose(second.ticket).await;
    assert!(due(10).await.is_empty());
}

/// However many run past their deadline, the queued ones behind them are seen; given back they are due again.
pub async fn running_tickets_never_hide_the_due(subject: Subject) {
    let past = SystemClock.now() - SignedDuration::from_mins(5);
    let claim = ClaimId::new();
    let mut running = Vec::new();
    for _ in 0..5 {
        running.push(queued_until(&subject, past).await);
    }
    subject.claim(claim, &running).await;
    let queued = queued_until(&subject, past + SignedDuration::from_mins(1)).await;
    assert_eq!(subject.tickets.due(1).await.expect("an answer"), [queued.ticket]);

    subject.tickets.give_back(claim, &[running[3].ticket], Touched::No).await.expect("given back");
    assert_eq!(subject.tickets.due(9).await.expect("an answer"), [running[3].ticket, queued.ticket]);
}

/// A message was put aside: the ticket says why and waits as it was, until a lane takes it again.
pub async fn a_dead_letter_keeps_its_state(subject: Subject) {
    let job = subject.queued().await;
    subject.tickets.dead_letter(job.ticket, "unknown version 9").await.expect("marked");
    let ticket = subject.find(&job).await;
    assert_eq!((ticket.state, ticket.dead_lettered.as_deref()), (State::Queued, Some("unknown version 9")));

    assert_eq!(subject.claim(ClaimId::new(), [&job]).await, ["started"]);
    assert_eq!(subject.find(&job).await.dead_lettered, None);
    let unknown = super::job();
    subject.tickets.dead_letter(unknown.ticket, "?").await.expect("an answer");
    assert!(subject.tickets.find(unknown.ticket).await.expect("an answer").is_none());
}
