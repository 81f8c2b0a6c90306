use std::time::Duration;

use super::*;
use crate::app::fakes::{FakeQueue, FakeTickets, job};

struct Servers {
    tickets: Arc<FakeTickets>,
    queue: Arc<FakeQueue>,
}

fn servers() -> (Servers, Keeper) {
    let servers = Servers { tickets: Arc::default(), queue: Arc::default() };
    let keeper = Keeper {
        tickets: Arc::clone(&servers.tickets) as Arc<dyn Tickets>,
        queue: Arc::clone(&servers.queue) as Arc<dyn Queue>,
        confirm_timeout: Duration::from_secs(10),
    };
    (servers, keeper)
}

impl Servers {
    fn state(&self, job: &Job) -> Option<State> {
        self.tickets.tickets.lock().unwrap().get(&job.ticket).map(|ticket| ticket.state)
    }

    fn published(&self) -> Vec<TicketId> {
        self.queue.published.lock().unwrap().clone()
    }
}

fn states(answers: &[Answer]) -> Vec<Result<State, Code>> {
    let of = |answer: &Answer| match answer {
        Ok(Kept::Now(_, state)) => Ok(*state),
        Ok(Kept::Before(ticket)) => Ok(ticket.state),
        Err(failure) => Err(failure.code()),
    };
    answers.iter().map(of).collect()
}

#[tokio::test]
async fn accepted_means_ticket_message_and_bell() {
    let (servers, keeper) = servers();
    let one = job("r1", "db1");
    assert_eq!(states(&keeper.keep(vec![one.clone()]).await), [Ok(State::Queued)]);
    assert_eq!(servers.published(), [one.ticket]);
    assert_eq!(*servers.queue.rung.lock().unwrap(), [one.host]);
}

#[tokio::test]
async fn without_a_confirm_the_ticket_is_withdrawn_and_forgotten() {
    let (servers, keeper) = servers();
    let one = job("r1", "db1");
    servers.queue.break_down();
    let answers = keeper.keep(vec![one.clone()]).await;
    assert_eq!(states(&answers), [Err(Code::BrokerUnavailable)]);
    assert_eq!(servers.state(&one), Some(State::Withdrawn));
}

#[tokio::test]
async fn a_lane_that_was_faster_than_the_confirm_means_accepted() {
    let (servers, keeper) = servers();
    *servers.tickets.lane_made_it.lock().unwrap() = Some(State::Running);
    servers.queue.break_down();
    assert_eq!(states(&keeper.keep(vec![job("r1", "db1")]).await), [Ok(State::Running)]);
}

#[tokio::test]
async fn a_store_that_fails_in_the_middle_leaves_the_outcome_unknown() {
    for broker_is_down in [false, true] {
        let (servers, keeper) = servers();
        servers.tickets.breaks_after_accepting.store(true, Ordering::SeqCst);
        if broker_is_down {
            servers.queue.break_down();
        }
        let one = job("r1", "db1");
        let answers = keeper.keep(vec![one.clone()]).await;
        let failure = answers[0].as_ref().unwrap_err();
        assert_eq!((failure.code(), failure.ticket()), (Code::OutcomeUnknown, Some(one.ticket)));
    }
}

#[tokio::test]
async fn a_ticket_withdrawn_by_another_try_is_not_accepted() {
    let (servers, keeper) = servers();
    *servers.tickets.lane_made_it.lock().unwrap() = Some(State::Withdrawn);
    assert_eq!(states(&keeper.keep(vec![job("r1", "db1")]).await), [Err(Code::BrokerUnavailable)]);
}

#[tokio::test]
async fn a_retry_meets_the_same_ticket() {
    let (servers, keeper) = servers();
    let one = job("r1", "db1");
    keeper.keep(vec![one.clone()]).await;
    assert_eq!(states(&keeper.keep(vec![one.clone()]).await), [Ok(State::Queued)]);
    assert_eq!(servers.published(), [one.ticket], "not published again");

    let other = Job { fingerprint: "other".into(), ..one.clone() };
    assert_eq!(states(&keeper.keep(vec![other]).await), [Err(Code::IdempotencyKeyReused)]);

    // Its first try died between ticket and confirm.
    servers.tickets.tickets.lock().unwrap().get_mut(&one.ticket).unwrap().state = State::Accepting;
    assert_eq!(states(&keeper.keep(vec![one.clone()]).await), [Ok(State::Queued)]);
    assert_eq!(servers.published(), [one.ticket, one.ticket]);
}

#[tokio::test]
async fn the_jobs_of_a_host_stay_in_order() {
    let (servers, keeper) = servers();
    let jobs: Vec<Job> =
        (0..300).map(|n| job(&format!("r{n}"), if n % 2 == 0 { "a" } else { "b" })).collect();
    let answers = keeper.keep(jobs.clone()).await;
    assert!(answers.iter().all(Result::is_ok));
    let answered: Vec<_> = answers.iter().flatten().map(Kept::ticket_id).collect();
    assert_eq!(answered, jobs.iter().map(|job| job.ticket).collect::<Vec<_>>());
    for host in ["a:5432", "b:5432"] {
        let of_host: Vec<_> = jobs.iter().filter(|j| j.host.to_string() == host).map(|j| j.ticket).collect();
        let published: Vec<_> = servers.published().into_iter().filter(|id| of_host.contains(id)).collect();
        assert_eq!(published, of_host);
    }
}

#[tokio::test]
async fn copies_in_a_batch_follow_the_first_one() {
    let (servers, keeper) = servers();
    let one = job("r1", "db1");
    let other = Job { fingerprint: "other".into(), ..one.clone() };
    let answers = keeper.keep(vec![one.clone(), other, one.clone()]).await;
    let expected = [Ok(State::Queued), Err(Code::IdempotencyKeyReused), Ok(State::Queued)];
    assert_eq!(states(&answers), expected);
    assert_eq!(servers.published(), [one.ticket]);
}

#[tokio::test]
async fn after_one_silence_the_rest_of_a_batch_is_not_tried() {
    let (servers, keeper) = servers();
    *servers.queue.breaks_after.lock().unwrap() = Some(1);
    let jobs: Vec<Job> = (0..1000).map(|n| job(&format!("r{n}"), "db1")).collect();
    let answers = keeper.keep(jobs.clone()).await;
    assert!(answers[0].is_ok());
    assert!(
        answers[1..].iter().all(|answer| answer.as_ref().is_err_and(|f| f.code() == Code::BrokerUnavailable))
    );
    assert!(servers.queue.tried.load(Ordering::SeqCst) < 200);
    assert_eq!(servers.state(&jobs[999]), Some(State::Withdrawn));
}
