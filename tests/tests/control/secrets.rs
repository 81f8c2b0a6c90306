//! Who took which password, also when the database's answer is lost.

use rolecall_shared::control::{Control, EventFilter, Take};
use rolecall_shared::domain::{Code, EventName};
use rolecall_tests::control::ControlDatabase;
use rolecall_tests::stack::Stack;

use crate::proxy::Proxy;
use crate::{actor, at, create_role};

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_at_once_exactly_one_takes_it() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let job = create_role("web01");
    assert_eq!(control.find_taken(job.ticket).await.unwrap(), None);
    let calls = (0..20).map(|n| {
        let (control, job) = (control.clone(), job.clone());
        async move { (n, control.take_secret(&job, &actor(&format!("account{n}")), at(n)).await.unwrap()) }
    });
    let answers = futures_util::future::join_all(calls).await;

    let winners: Vec<_> = answers.iter().filter(|(_, take)| *take == Take::Now).collect();
    assert_eq!(winners.len(), 1, "{answers:?}");
    let winner = winners[0].0;
    let taken = control.find_taken(job.ticket).await.unwrap().unwrap();
    assert_eq!((taken.at, &taken.account), (at(winner), &format!("account{winner}")));
    assert_eq!(taken.address.as_deref(), Some("192.0.2.7"));
    for (n, take) in &answers {
        if *n != winner {
            assert_eq!(*take, Take::Before(taken.clone()));
        }
    }
    let events = control.list_events(&EventFilter::default(), None, 100).await.unwrap();
    assert_eq!(events.len(), 1);
    let event = &events[0].event;
    assert_eq!((event.name, event.ticket), (EventName::SecretTaken, Some(job.ticket)));
    assert_eq!(event.actor, actor(&format!("account{winner}")), "who took it, not who asked for the role");
    assert_eq!((event.target.as_ref(), event.role.as_deref()), (Some(&job.target), Some("web01")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_out_and_not_guessed() {
    let (database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let job = create_role("web01");
    let proxy = Proxy::start(&database, 1).await;
    let through = Control::new(&proxy.settings).unwrap();

    // The row stands, its answer was thrown away: this call took it, and must say so.
    let take = through.take_secret(&job, &actor("ci"), at(1)).await.unwrap();
    assert_eq!(take, Take::Now);
    assert_eq!(proxy.swallowed(), 1, "the proxy did its part");
    let Take::Before(taken) = control.take_secret(&job, &actor("late"), at(2)).await.unwrap() else {
        panic!("taken twice");
    };
    assert_eq!(taken.account, "ci");
    let filter = EventFilter { name: Some(EventName::SecretTaken), ..EventFilter::default() };
    assert_eq!(control.list_events(&filter, None, 10).await.unwrap().len(), 1);

    // Somebody else's row stands, and the answer that says so was thrown away.
    let proxy = Proxy::start(&database, 1).await;
    let through = Control::new(&proxy.settings).unwrap();
    let take = through.take_secret(&job, &actor("later"), at(3)).await.unwrap();
    assert_eq!(take, Take::Before(taken));
    assert_eq!(proxy.swallowed(), 1, "the proxy did its part");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_stay_lost_end_in_an_error() {
    let (database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let job = create_role("web01");
    let proxy = Proxy::start(&database, usize::MAX).await;
    let through = Control::new(&proxy.settings).unwrap();
    let failure = through.take_secret(&job, &actor("ci"), at(1)).await.unwrap_err();
    assert_eq!(failure.code(), Code::ControlDatabaseUnavailable);
    assert_eq!(failure.ticket(), Some(job.ticket));
    assert_eq!(proxy.swallowed(), 3, "bounded");
    assert_eq!(control.find_taken(job.ticket).await.unwrap().unwrap().account, "ci");
}
