//! Backlog per host and waiting requests, exactly at their limits.

use reqwest::Method;
use rolecall_tests::client::send;
use rolecall_tests::{Installation, eventually};
use serde_json::json;

use crate::{PATIENCE, create};

#[tokio::test]
async fn a_full_host_is_named_and_its_neighbour_still_works() {
    let rolecall = Installation::builder("backlog").set("api.backlog_per_host", "3").start().await;
    let (client, full, free) = (&rolecall.client, rolecall.target(1), rolecall.target(2));
    client.target_act("dev", &full.database, "pause").await.expect(200);
    let job = |n: usize| create(full, &rolecall.role(&format!("r{n}")));
    let mut kept = Vec::new();
    for n in 0..3 {
        kept.push(client.submit_once(&format!("key-{n}"), &job(n)).await.expect(202).id());
    }
    let refused = client.submit(&job(3)).await.expect_problem(429, "host_backlog_full");
    assert_eq!((refused.text("host"), refused.body["limit"].as_u64()), (full.host().as_str(), Some(3)));
    assert!(refused.text("detail").contains(&full.host()) && refused.body["retry"] == true);
    let seconds: u64 = refused.header("retry-after").expect("when to come back").parse().unwrap();
    assert!((1..=60).contains(&seconds));

    // A retry of what was kept needs no place.
    assert_eq!(client.submit_once("key-0", &job(0)).await.expect(202).id(), kept[0]);
    // In a batch the host's items alone are refused.
    let mixed = json!({ "items": [job(4), create(free, &rolecall.role("free")), job(5)] });
    let answer = client.post("/api/v2/jobs/batch", &mixed).await.expect(202);
    let codes: Vec<_> = answer.list("items").iter().map(|item| item["problem"]["code"].as_str()).collect();
    assert_eq!(codes, [Some("host_backlog_full"), None, Some("host_backlog_full")]);
    client.wait(answer.text("items.1.ticket")).await.expect_outcome("created");

    client.target_act("dev", &full.database, "resume").await.expect(200);
    for id in &kept {
        client.wait(id).await.expect_outcome("created");
    }
    eventually("a place on the host", PATIENCE, async || {
        let answer = client.submit(&job(6)).await;
        matches!(answer.status, 200 | 202).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_waits_too_many_is_told_at_once() {
    let rolecall = Installation::builder("waiting").set("api.max_waiting_streams", "1").start().await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    client.target_act("dev", &target.database, "pause").await.expect(200);
    let path = format!(
        "/api/v2/tickets/{}",
        client.submit(&create(target, &rolecall.role("ada"))).await.expect(202).id()
    );

    let mut stream = client.request(Method::GET, &format!("{path}/events")).send().await.unwrap();
    assert_eq!(stream.status(), 200);
    assert!(stream.chunk().await.unwrap().is_some(), "the first event");
    for waiting in [format!("{path}?wait=5"), format!("{path}/events")] {
        let refused = client.get(&waiting).await.expect_problem(429, "too_many_requests");
        assert!(refused.headers.contains_key("retry-after"));
    }
    client.get(&path).await.expect(200);
    // A wish is no demand: the job is kept, and the answer says so without waiting.
    let wish = client.request(Method::POST, "/api/v2/jobs").header("prefer", "wait=5");
    send(wish.json(&create(target, &rolecall.role("grace")))).await.expect(202);
    drop(stream);
    eventually("the place to be free again", PATIENCE, async || {
        (client.get(&format!("{path}?wait=1")).await.status == 200).then_some(())
    })
    .await;
}
