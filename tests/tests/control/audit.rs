//! Reading the audit.

use rolecall_shared::control::EventFilter;
use rolecall_shared::domain::{Event, EventName};
use rolecall_tests::control::ControlDatabase;
use rolecall_tests::stack::Stack;
use serde_json::json;

use crate::{actor, at, create_role};

#[tokio::test]
async fn an_event_reads_back_and_happens_once_per_ticket() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let of_job = Event {
        outcome: Some("unread".into()),
        detail: json!({ "nested": { "n": 1.5, "text": "'\"\\" } }),
        ..Event::of_job(EventName::SecretExpired, at(1), &create_role("web01"))
    };
    let bare = Event::new(EventName::AccountChanged, at(2), actor("root"));
    for event in [&of_job, &of_job, &bare, &bare] {
        control.record(event).await.unwrap();
    }
    let events = control.list_events(&EventFilter::default(), None, 10).await.unwrap();
    let events: Vec<_> = events.into_iter().map(|recorded| recorded.event).collect();
    assert_eq!(events, [bare.clone(), bare, of_job], "without a ticket nothing says that it is the same");
}

#[tokio::test]
async fn pages_and_filters() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let job = create_role("web01");
    let other =
        Event { host: Some(crate::host("h:1")), ..Event::new(EventName::HostPaused, at(5), actor("ops")) };
    for n in 0..5 {
        let event = Event { ticket: None, ..Event::of_job(EventName::SecretExpired, at(n), &job) };
        control.record(&event).await.unwrap();
    }
    control.record(&Event::of_job(EventName::SecretTaken, at(9), &job)).await.unwrap();
    control.record(&other).await.unwrap();

    // Page by page, nothing twice and nothing missing.
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = control.list_events(&EventFilter::default(), before, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.seq);
        seen.extend(page.into_iter().map(|recorded| recorded.seq));
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");

    let none = EventFilter::default;
    for (filter, expected) in [
        (EventFilter { name: Some(EventName::HostPaused), ..none() }, 1),
        (EventFilter { ticket: Some(job.ticket), ..none() }, 1),
        (EventFilter { account: Some("ci".into()), ..none() }, 6),
        (EventFilter { env: Some("dev".into()), ..none() }, 6),
        (EventFilter { env: Some("prod".into()), ..none() }, 0),
        (EventFilter { database: Some("my\"app".into()), ..none() }, 6),
        (EventFilter { host: Some("h:1".into()), ..none() }, 1),
        (EventFilter { role: Some("web01".into()), ..none() }, 6),
        (EventFilter { role: Some("web01' OR true --".into()), ..none() }, 0),
        (EventFilter { from: Some(at(3)), ..none() }, 4),
        (EventFilter { to: Some(at(3)), ..none() }, 3),
        (EventFilter { from: Some(at(3)), to: Some(at(5)), account: Some("ci".into()), ..none() }, 2),
    ] {
        let found = control.list_events(&filter, None, 100).await.unwrap().len();
        assert_eq!(found, expected, "{filter:?}");
    }
}
