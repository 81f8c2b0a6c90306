//! A worker that dies between commit and delivery, during delivery, or after it before anything says so: each event arrives
//! all the same, under the id it had.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use rolecall_shared::failpoints::Failpoint;
use rolecall_tests::process::Role;
use rolecall_tests::{Manner, Receiver, binary};
use serde_json::json;

use crate::scene::{builder, delivery, id, register};

const POINTS: [(Failpoint, usize); 4] = [
    // The rows are committed; the ticket is not even final.
    (Failpoint::AfterControl, 0),
    (Failpoint::AfterTickets, 0),
    // Leased.
    (Failpoint::BeforeSend, 0),
    // The receiver has it.
    (Failpoint::AfterSend, 1),
];

#[tokio::test]
async fn every_event_arrives_whenever_the_worker_dies() {
    binary::with_failpoints();
    join_all(POINTS.map(|(point, heard)| dies_at(point, heard))).await;
}

async fn dies_at(point: Failpoint, heard_before: usize) {
    let rolecall = builder(point.name()).set("webhooks.timeout_milliseconds", "1000").create().await;
    let api = rolecall.start(Role::Api).await;
    let client = rolecall.client(&api);
    let target = rolecall.target(1);
    client.put_target("dev", &target.database, &target.registration()).await.expect(201);
    let receiver = Receiver::start(Manner::Status(200)).await;
    let made = id(&register(&client, json!({ "url": receiver.url("/") })).await);

    let first = rolecall.start_to_die_at(Role::Worker, point).await;
    let ticket = client.submit(&target.create_role(&rolecall.role("ada"))).await.expect(202).id();
    assert!(!first.ended().await.success(), "{}", point.name());
    // One that died of something else before may have told it; a worker told of its death does not.
    let before = receiver.heard();
    if matches!(point, Failpoint::BeforeSend | Failpoint::AfterSend) {
        assert_eq!(before.len(), heard_before, "{}", point.name());
    }
    let _second = rolecall.start(Role::Worker).await;
    client.wait(&ticket).await.expect_outcome("created");
    delivery(&client, &made, "ticket.succeeded", "delivered").await;
    let heard = receiver.heard();
    let ids: BTreeSet<&str> = heard.iter().map(rolecall_tests::Heard::id).collect();
    assert_eq!(ids.len(), 1, "{}: {heard:#?}", point.name());
    assert!(heard.iter().all(|each| each.ticket().as_ref() == Some(&ticket)), "{}", point.name());
    assert!(heard.len() > heard_before, "{}", point.name());
}

/// The first worker is killed while its receiver thinks; the next one tells it again.
#[tokio::test]
async fn a_delivery_under_way_is_taken_up_by_another_worker() {
    let rolecall = builder("under-way").set("webhooks.timeout_milliseconds", "3000").create().await;
    let api = rolecall.start(Role::Api).await;
    let client = rolecall.client(&api);
    let target = rolecall.target(1);
    client.put_target("dev", &target.database, &target.registration()).await.expect(201);
    let receiver = Receiver::start(Manner::Hang).await;
    let made = id(&register(&client, json!({ "url": receiver.url("/") })).await);
    let first = rolecall.start(Role::Worker).await;
    client.run(&target.create_role(&rolecall.role("ada"))).await.expect_outcome("created");
    receiver.hears("ticket.succeeded", 1).await;
    first.kill();
    receiver.answer(Manner::Status(200));
    let _second = rolecall.start(Role::Worker).await;
    delivery(&client, &made, "ticket.succeeded", "delivered").await;
    let heard = receiver.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!((heard[0].id(), &heard[0].body), (heard[1].id(), &heard[1].body));
}
