//! SIGTERM: whoever waits is answered with what is known, and the process ends well.

use std::time::{Duration, Instant};

use reqwest::Method;
use rolecall_tests::{Client, Installation, eventually};

use crate::{PATIENCE, create};

#[tokio::test]
async fn a_stopping_api_answers_those_who_wait() {
    // One place for those who wait: whether it is taken can be seen from outside.
    let rolecall = Installation::builder("stopping").set("api.max_waiting_streams", "1").start().await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    client.target_act("dev", &target.database, "pause").await.expect(200);
    let accepted = client.submit(&create(target, &rolecall.role("ada"))).await.expect(202);

    let path = format!("/api/v2/tickets/{}?wait=40", accepted.id());
    let start = Instant::now();
    let waiting = eventually("a place to wait", PATIENCE, async || {
        let answer = client.get(&path).await;
        (answer.status != 429).then_some(answer)
    });
    let stop = async {
        somebody_waits(client).await;
        rolecall.api.stop().await
    };
    let (answer, status) = futures_util::future::join(waiting, stop).await;
    let answer = answer.expect(200);
    assert_eq!((answer.id(), answer.text("state")), (accepted.id(), "queued"));
    assert!(start.elapsed() < Duration::from_secs(20), "it did not wait to the end: {:?}", start.elapsed());
    assert_eq!(status.code(), Some(0));

    // What was accepted is there for the next process.
    let api = rolecall.start(rolecall_tests::process::Role::Api).await;
    let client = rolecall.client(&api);
    client.target_act("dev", &target.database, "resume").await.expect(200);
    client.wait(&accepted.id()).await.expect_outcome("created");
}

/// The events of an unknown ticket need a place, and give it back at once: refused as one too many, somebody has it.
async fn somebody_waits(client: &Client) {
    let unknown = format!("/api/v2/tickets/{}/events", uuid::Uuid::now_v7());
    eventually("the request to wait", PATIENCE, async || {
        (client.get(&unknown).await.status == 429).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stream_ends_with_the_process() {
    let rolecall = Installation::builder("stream-end").start().await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    client.target_act("dev", &target.database, "pause").await.expect(200);
    let accepted = client.submit(&create(target, &rolecall.role("ada"))).await.expect(202);
    let path = format!("/api/v2/tickets/{}/events", accepted.id());
    let mut stream = client.request(Method::GET, &path).send().await.unwrap();
    let mut text = String::new();
    while !text.contains("\n\n") {
        text.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().expect("an event")).unwrap());
    }
    assert!(text.contains("event: state") && text.contains(&accepted.id()), "{text}");

    rolecall.api.signal("TERM");
    let rest = async { while stream.chunk().await.expect("a well-formed end").is_some() {} };
    tokio::time::timeout(PATIENCE, rest).await.expect("the stream ends");
    assert_eq!(rolecall.api.ended().await.code(), Some(0));
    assert_eq!(rolecall.worker.stop().await.code(), Some(0));
}
