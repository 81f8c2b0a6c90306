//! Jobs that say who is told of their end.

use rolecall_tests::{Manner, Receiver};
use serde_json::{Value, json};

use crate::scene::{Scene, builder, deliveries, delivery, id, register, verify};

fn job(scene: &Scene, name: &str, callback: &str) -> Value {
    let mut job = scene.target(1).create_role(&scene.role(name));
    job["callback"] = callback.into();
    job
}

#[tokio::test]
async fn the_end_of_a_job_is_told_where_it_says() {
    let (listed, other) =
        (Receiver::start(Manner::Status(200)).await, Receiver::start(Manner::Status(200)).await);
    let scene = Scene::of(builder("callbacks").set("webhooks.callback_hosts", listed.host())).await;
    let endpoint =
        register(&scene.client, json!({ "url": other.url("/hook"), "events": ["secret.expired"] })).await;

    // A URL on a host of the list: each is told its own, whatever stands in the path.
    let urls = [listed.url("/runs/1?token=a"), listed.url("/runs/2")];
    let jobs: Vec<Value> =
        urls.iter().enumerate().map(|(n, url)| job(&scene, &format!("url{n}"), url)).collect();
    let tickets = scene.client.submit_all(&jobs).await;
    for (ticket, url) in tickets.iter().zip(&urls) {
        let ended = scene.client.wait(ticket).await.expect_outcome("created");
        assert!(!ended.to_string().contains("token="), "{ended}");
        let heard = listed.hears("ticket.succeeded", 2).await;
        let told = heard.iter().find(|heard| heard.ticket().as_ref() == Some(ticket)).expect("it is told");
        assert!(url.ends_with(&told.path), "{url} {}", told.path);
    }
    let webhooks = scene.client.get("/api/v2/webhooks").await.expect(200);
    let stands_for = webhooks.list("items").iter().find(|each| each["callbacks_only"] == true).expect("one");
    verify(&listed.heard()[0], stands_for["public_key"].as_str().expect("a key")).expect("v1a");
    let callbacks = stands_for["id"].as_str().expect("an id");
    assert_eq!(deliveries(&scene.client, callbacks, "").await.len(), 2);
    assert_eq!(stands_for["url"], json!(format!("http://{}", listed.host())));

    // The id of a webhook: whatever that one hears of else.
    let ended = scene.client.run(&job(&scene, "id", &id(&endpoint))).await.expect_outcome("created");
    assert_eq!(ended.text("callback"), id(&endpoint));
    let told = delivery(&scene.client, &id(&endpoint), "ticket.succeeded", "delivered").await;
    assert_eq!(told["ticket"], json!(ended.id()));
    assert_eq!(other.heard()[0].path, "/hook");

    // A retry with the same key and another callback is another request.
    let first = scene.client.submit_once("k", &job(&scene, "key", &urls[0])).await.expect(202);
    scene
        .client
        .submit_once("k", &job(&scene, "key", &urls[1]))
        .await
        .expect_problem(422, "idempotency_key_reused");
    scene.client.wait(&first.id()).await;
}

#[tokio::test]
async fn a_job_may_name_what_is_listed_and_what_is_its_owners() {
    let listed = Receiver::start(Manner::Status(200)).await;
    let scene = Scene::of(builder("callback-rights").set("webhooks.callback_hosts", listed.host())).await;
    let foreign = scene.account("foreign", &["submit:*/*:*"]);
    let theirs = id(&register(&foreign, json!({ "url": listed.url("/") })).await);
    let other = Receiver::start(Manner::Status(200)).await;
    for callback in [
        theirs.as_str(),
        "7d444840-9dc0-41d1-b245-5ffdce74fad2",
        &other.url("/"),
        "https://example.com/",
        "ftp://example.com/",
        &listed.url("/").replace("http://", "http://user:password@"),
        "no url",
        "",
    ] {
        let answer =
            scene.client.submit(&job(&scene, "x", callback)).await.expect_problem(422, "invalid_request");
        assert_eq!(answer.faulty_fields(), ["callback"], "{callback}: {answer}");
    }
    assert_eq!(other.heard().len(), 0);
}
