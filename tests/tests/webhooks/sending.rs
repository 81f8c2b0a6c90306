//! How often an event is sent, when, and to how many at once.

use std::time::Duration;

use rolecall_tests::{Manner, Receiver, eventually};
use serde_json::{Value, json};

use crate::scene::{PATIENCE, Scene, builder, deliveries, delivery, id, register};

#[tokio::test]
async fn an_event_is_sent_until_it_is_taken_or_given_up_and_can_be_told_again() {
    let scene = Scene::new("schedule").await;
    let receiver = Receiver::start(Manner::Status(500)).await;
    let made = id(&register(&scene.client, json!({ "url": receiver.url("/") })).await);
    let first = scene.make("ada").await;
    let failed = delivery(&scene.client, &made, "ticket.succeeded", "failed").await;
    // The first and three more.
    let heard = receiver.heard();
    assert_eq!(heard.len(), 4);
    assert!(heard.iter().all(|each| each.id() == heard[0].id() && each.body == heard[0].body), "{heard:#?}");
    let attempts = failed["attempts"].as_array().expect("a list");
    assert_eq!(attempts.len(), 4);
    for attempt in attempts {
        assert_eq!((&attempt["status"], &attempt["error"]), (&json!(500), &json!("the answer was 500")));
        assert!(attempt["at"].is_string() && attempt["duration_ms"].is_u64(), "{attempt}");
    }
    let gaps: Vec<_> = heard.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    assert!(gaps.iter().all(|gap| *gap >= Duration::from_millis(75)), "{gaps:?}");

    // One by one.
    receiver.answer(Manner::Status(200));
    let path = format!("/api/v2/webhooks/{made}");
    let number = failed["id"].as_i64().expect("a number");
    scene.client.post(&format!("{path}/deliveries/{number}/replay"), &json!({})).await.expect(202);
    let told = delivery(&scene.client, &made, "ticket.succeeded", "delivered").await;
    assert_eq!(told["attempts"].as_array().map(Vec::len), Some(5));
    assert_eq!(receiver.heard()[4].id(), heard[0].id());
    assert_eq!(Some(receiver.heard()[4].id()), told["webhook_id"].as_str());
    let missing = scene.client.post(&format!("{path}/deliveries/999999/replay"), &json!({})).await;
    missing.expect_problem(404, "delivery_not_found");

    // By range: only what was written down from then on.
    let then = told["ended_at"].as_str().expect("a time").to_owned();
    let second = scene.make("bob").await;
    receiver.hears("ticket.succeeded", 6).await;
    eventually("both to be delivered", PATIENCE, async || {
        (deliveries(&scene.client, &made, "state=delivered").await.len() == 2).then_some(())
    })
    .await;
    let replay = async |body: Value| scene.client.post(&format!("{path}/replay"), &body).await;
    let replayed = replay(json!({ "from": then, "state": "delivered" })).await.expect(202);
    assert_eq!(replayed.at("replayed"), &json!(1));
    let heard = receiver.hears("ticket.succeeded", 7).await;
    assert_eq!(heard[6].ticket(), Some(second));
    let replayed = replay(json!({ "to": then, "state": "delivered", "ticket": first })).await.expect(202);
    assert_eq!(replayed.at("replayed"), &json!(1));
    assert_eq!(receiver.hears("ticket.succeeded", 8).await[7].ticket(), Some(first));
    assert_eq!(replay(json!({})).await.expect(202).at("replayed"), &json!(0), "nothing has failed");
    replay(json!({ "form": "x" })).await.expect_problem(422, "invalid_request");
    let audit = scene.client.audit("event=webhook.replayed").await.expect(200);
    assert_eq!(audit.list("items").len(), 3);
}

#[tokio::test]
async fn a_receiver_that_asks_for_patience_is_given_it() {
    let scene = Scene::of(builder("patience").set("webhooks.max_retry_after_seconds", "2")).await;
    let busy = Receiver::start(Manner::Header(503, "retry-after", "86400".to_owned())).await;
    let made = id(&register(&scene.client, json!({ "url": busy.url("/") })).await);
    scene.make("ada").await;
    busy.hears("ticket.succeeded", 1).await;
    busy.answer(Manner::Status(200));
    eventually("the attempt to be written down", PATIENCE, async || {
        let found = deliveries(&scene.client, &made, "").await;
        (found[0]["attempts"] != json!([])).then_some(())
    })
    .await;
    // Nothing is sent there meanwhile, no other event either.
    scene.make("bob").await;
    let heard = busy.hears("ticket.succeeded", 3).await;
    for later in &heard[1..] {
        let waited = later.at - heard[0].at;
        assert!(waited >= Duration::from_millis(1_900), "{waited:?}");
        assert!(waited < Duration::from_secs(20), "{waited:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let scene = Scene::new("redirect").await;
    let inner = Receiver::start(Manner::Status(200)).await;
    let receiver = Receiver::start(Manner::Header(307, "location", inner.url("/"))).await;
    let made = id(&register(&scene.client, json!({ "url": receiver.url("/") })).await);
    scene.make("ada").await;
    let failed = delivery(&scene.client, &made, "ticket.succeeded", "failed").await;
    assert_eq!(failed["attempts"][0]["status"], 307);
    assert_eq!(failed["attempts"][0]["error"], "a redirect, which is not followed");
    assert_eq!((receiver.heard().len(), inner.heard().len()), (4, 0));
}

#[tokio::test]
async fn few_are_under_way_at_one_endpoint_over_all_processes() {
    let scene = Scene::of(builder("at-once").set("webhooks.in_flight_per_endpoint", "3")).await;
    let _second = scene.start(rolecall_tests::process::Role::Worker).await;
    let (hanging, well) = (Receiver::start(Manner::Hang).await, Receiver::start(Manner::Status(200)).await);
    register(&scene.client, json!({ "url": hanging.url("/") })).await;
    register(&scene.client, json!({ "url": well.url("/") })).await;
    let jobs: Vec<Value> =
        (0..20).map(|n| scene.target(1).create_role(&scene.role(&format!("r{n}")))).collect();
    for ticket in scene.client.submit_all(&jobs).await {
        scene.client.wait(&ticket).await.expect_outcome("created");
    }
    well.hears("ticket.succeeded", 20).await;
    hanging.hears("ticket.succeeded", 6).await;
    assert_eq!(hanging.most_at_once(), 3);
    assert!(well.most_at_once() <= 3, "{}", well.most_at_once());
}
