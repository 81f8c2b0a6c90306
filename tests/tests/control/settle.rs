//! Ends of jobs: audit and history, once.

use std::collections::BTreeSet;

use rolecall_shared::control::{Control, EventFilter, Settlement};
use rolecall_shared::domain::ticket::{Ending, Outcome};
use rolecall_shared::domain::{Code, EventName, Job, TicketId};
use rolecall_tests::control::ControlDatabase;
use rolecall_tests::stack::Stack;

use crate::{at, create_role, until_lock_waits};

fn created(job: Job) -> Settlement {
    let ending = Ending::Succeeded {
        outcome: Outcome::Created,
        missing: vec!["SELECT on \"t\"".into()],
        secret_expires_at: Some(at(3600)),
        kind: None,
    };
    Settlement { job, ending, finished_at: at(2), attempts: 1 }
}

async fn audited(control: &Control) -> Vec<(TicketId, EventName)> {
    let mut events = control.list_events(&EventFilter::default(), None, 10_000).await.unwrap();
    events.reverse();
    events.into_iter().map(|recorded| (recorded.event.ticket.unwrap(), recorded.event.name)).collect()
}

fn in_order<const N: usize>(mut settlements: [Settlement; N]) -> Vec<Settlement> {
    settlements.sort_by_key(|settlement| settlement.job.ticket);
    settlements.into()
}

#[tokio::test]
async fn every_ending_reads_back_as_it_was_written() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let ending = |ending| Settlement { ending, ..created(create_role("web01_8080")) };
    let settlements = [
        created(create_role("o'brien\"; DROP ROLE x; --")),
        ending(Ending::Failed { code: Code::RoleNotFound, detail: "no such role".into() }),
        ending(Ending::Cancelled),
        ending(Ending::Expired),
    ];
    control.settle(&settlements).await.unwrap();

    let tickets: Vec<_> = settlements.iter().map(|settlement| settlement.job.ticket).collect();
    let mut history = control.find_history(&tickets).await.unwrap();
    for settlement in &settlements {
        assert_eq!(history.remove(&settlement.job.ticket).as_ref(), Some(settlement));
    }
    assert!(control.find_history(&[TicketId::derived("nobody", "1")]).await.unwrap().is_empty());

    let events = control.list_events(&EventFilter::default(), None, 10).await.unwrap();
    let outcomes: Vec<_> = events
        .iter()
        .rev()
        .map(|recorded| (recorded.event.name, recorded.event.outcome.as_deref()))
        .collect();
    assert_eq!(
        outcomes,
        [
            (EventName::TicketSucceeded, Some("created")),
            (EventName::TicketFailed, Some("role_not_found")),
            (EventName::TicketCancelled, Some("cancelled")),
            (EventName::TicketExpired, Some("expired")),
        ]
    );
    let first = &events[3].event;
    let job = &settlements[0].job;
    assert_eq!(first.actor, job.actor);
    assert_eq!((first.target.as_ref(), first.host.as_ref()), (Some(&job.target), Some(&job.host)));
    assert_eq!((first.operation.as_deref(), first.kind.as_deref()), (Some("create_role"), Some("app")));
    assert_eq!(first.role.as_deref(), Some("o'brien\"; DROP ROLE x; --"));
    assert_eq!((first.at, &first.detail["missing"][0]), (at(2), &"SELECT on \"t\"".into()));
}

#[tokio::test]
async fn settling_again_changes_nothing_whatever_it_says() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let settlement = created(create_role("web01"));
    let ticket = settlement.job.ticket;
    control.settle(std::slice::from_ref(&settlement)).await.unwrap();
    let other = Settlement { ending: Ending::Expired, finished_at: at(99), ..settlement.clone() };
    // Alone, with a new one beside it, and twice in one call.
    let fresh = created(create_role("web02"));
    control.settle(std::slice::from_ref(&other)).await.unwrap();
    control.settle(&[other, fresh.clone()]).await.unwrap();
    let fresh_again = Settlement { ending: Ending::Cancelled, ..fresh.clone() };
    control.settle(&[fresh_again, settlement.clone()]).await.unwrap();
    let twice = created(create_role("web03"));
    control
        .settle(&[twice.clone(), Settlement { ending: Ending::Cancelled, ..twice.clone() }])
        .await
        .unwrap();
    control.settle(&[]).await.unwrap();

    let tickets = [ticket, fresh.job.ticket, twice.job.ticket];
    let history = control.find_history(&tickets).await.unwrap();
    assert_eq!(history.into_values().collect::<Vec<_>>(), in_order([settlement, fresh, twice]));
    assert_eq!(audited(&control).await, tickets.map(|ticket| (ticket, EventName::TicketSucceeded)));
}

#[tokio::test]
async fn a_thousand_at_once_keep_their_order_in_the_audit() {
    let (database, control) = ControlDatabase::migrated(Stack::shared()).await;
    // Whatever plan the server takes: this one sorts by ticket on its way.
    for setting in ["enable_hashjoin", "enable_nestloop"] {
        let sql = format!("ALTER ROLE {}_writer SET {setting} = off", database.name);
        database.superuser().await.batch_execute(&sql).await.unwrap();
    }
    // Derived ids, so that the order of the call is not the order of the ids.
    let settlements: Vec<_> = (0..1000)
        .map(|n| {
            let job = create_role(&format!("role_{n}"));
            created(Job { ticket: TicketId::derived("ci", &n.to_string()), ..job })
        })
        .collect();
    control.settle(&settlements).await.unwrap();
    let expected: Vec<_> =
        settlements.iter().map(|settlement| (settlement.job.ticket, EventName::TicketSucceeded)).collect();
    assert_eq!(audited(&control).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_tickets_from_two_workers_neither_block_nor_double() {
    let (database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let mut settlements: Vec<_> = (0..9).map(|n| created(create_role(&format!("role_{n}")))).collect();
    settlements.sort_by_key(|settlement| settlement.job.ticket);
    let reversed: Vec<_> = settlements.iter().rev().cloned().collect();

    // Somebody holds the ticket in the middle, so that both calls are half-way when it is let go. Were each to insert
    // in the order it was given, they would then wait for each other.
    let (mut holder, watcher) = (database.superuser().await, database.superuser().await);
    let hold = holder.transaction().await.unwrap();
    let middle = settlements[4].job.ticket.as_uuid();
    hold.execute("INSERT INTO history_tickets VALUES ($1, now(), '', '')", &[&middle]).await.unwrap();
    let (one, two, ()) = tokio::join!(control.settle(&settlements), control.settle(&reversed), async {
        until_lock_waits(&watcher, 2).await;
        hold.rollback().await.unwrap();
    });
    one.unwrap();
    two.unwrap();
    let events = audited(&control).await;
    assert_eq!(events.len(), 9);
    assert_eq!(events.iter().map(|(ticket, _)| ticket).collect::<BTreeSet<_>>().len(), 9);
}

#[tokio::test]
async fn a_job_with_a_nul_in_its_labels_is_settled_all_the_same() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let mut settlement = created(create_role("web01"));
    settlement.job.metadata.insert("nul\0".into(), "\0".into());
    let ticket = settlement.job.ticket;
    control.settle(&[settlement]).await.unwrap();
    assert_eq!(
        control.find_history(&[ticket]).await.unwrap()[&ticket].job.metadata["nul\u{fffd}"],
        "\u{fffd}"
    );
}
