//! The table of states, driven through the port.

use rolecall_shared::domain::ticket::{Ending, State};
use rolecall_shared::domain::{ClaimId, Job};
use rolecall_shared::tickets::{ClosingAs, Touched};

use super::{Subject, failed, settled, succeeded};

/// A ticket in a state, the claim that holds or held it, closing towards `next` if that is a way to close.
async fn bring(subject: &Subject, state: State, next: State) -> (Job, ClaimId) {
    let tickets = &subject.tickets;
    let closing = if next == State::Expired { ClosingAs::Expired } else { ClosingAs::Cancelled };
    let closed = |as_what: ClosingAs| async move {
        let job = subject.queued().await;
        tickets.close(job.ticket, as_what).await.expect("closed");
        job
    };
    let unclaimed = match state {
        State::Accepting => subject.accepting().await,
        State::Queued => subject.queued().await,
        State::Withdrawn => {
            let job = subject.accepting().await;
            tickets.withdraw(job.ticket).await.expect("withdrawn");
            job
        }
        State::Running => return subject.running().await,
        State::Closing => closed(closing).await,
        State::Succeeded => subject.ended(succeeded()).await,
        State::Failed => subject.ended(failed()).await,
        State::Cancelled | State::Expired => {
            let as_what = if state == State::Expired { ClosingAs::Expired } else { ClosingAs::Cancelled };
            let job = closed(as_what).await;
            tickets.closed(&settled(&job, as_what.ending())).await.expect("closed");
            job
        }
    };
    (unclaimed, ClaimId::new())
}

/// Tries everything that could bring a ticket to a state.
async fn attempt(subject: &Subject, job: &Job, claim: ClaimId, next: State) {
    let tickets = &subject.tickets;
    let settle = async |ending: Ending| {
        let settled = settled(job, ending);
        tickets.settle(claim, std::slice::from_ref(&settled)).await.expect("an answer");
        tickets.closed(&settled).await.expect("an answer");
    };
    match next {
        State::Accepting => drop(tickets.accept(job).await.expect("an answer")),
        State::Queued => {
            tickets.enqueue(job.ticket, &job.host).await.expect("an answer");
            tickets.give_back(claim, &[job.ticket], Touched::No).await.expect("an answer");
            tickets.restore_queued(job).await.expect("an answer");
        }
        State::Withdrawn => drop(tickets.withdraw(job.ticket).await.expect("an answer")),
        State::Running => drop(subject.claim(claim, [job]).await),
        State::Closing => {
            for closing in [ClosingAs::Cancelled, ClosingAs::Expired] {
                tickets.close(job.ticket, closing).await.expect("an answer");
            }
        }
        State::Succeeded => settle(succeeded()).await,
        State::Failed => settle(failed()).await,
        State::Cancelled => settle(Ending::Cancelled).await,
        State::Expired => settle(Ending::Expired).await,
    }
}

/// Each of the 81 pairs: what the table allows happens and counts one revision; nothing else happens at all.
pub async fn every_pair_of_states_is_as_the_table_says(subject: Subject) {
    for from in State::ALL {
        for to in State::ALL {
            let (job, claim) = bring(&subject, from, to).await;
            let before = subject.find(&job).await;
            assert_eq!(before.state, from);

            attempt(&subject, &job, claim, to).await;
            let after = subject.find(&job).await;
            let pair = format!("{} -> {}", from.as_str(), to.as_str());
            let changes = if from.can_become(to) {
                1
            } else if (from, to) == (State::Accepting, State::Running) {
                // A lane with the message in its hands: through `queued`, in one step.
                2
            } else {
                0
            };
            assert_eq!(after.state, if changes > 0 { to } else { from }, "{pair}");
            assert_eq!(after.revision, before.revision + changes, "{pair}");
            assert_eq!(after.job, job, "{pair}");
            let ended = after.state.is_final() && after.state != State::Withdrawn;
            assert_eq!(after.ending.map(|ending| ending.state()), ended.then_some(after.state), "{pair}");
            assert_eq!(after.finished_at.is_some(), ended, "{pair}");
        }
    }
}
