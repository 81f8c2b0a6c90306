//! Whose webhooks are whose, and who may hear of what.

use reqwest::Method;
use rolecall_tests::client::send;
use rolecall_tests::{Manner, Receiver};
use serde_json::json;

use crate::scene::{Scene, builder, delivery, id, register};

const ACTS: [(&str, &str); 11] = [
    ("GET", ""),
    ("PATCH", ""),
    ("DELETE", ""),
    ("POST", "/pause"),
    ("POST", "/resume"),
    ("POST", "/rotate"),
    ("POST", "/ping"),
    ("GET", "/deliveries"),
    ("POST", "/deliveries/1/replay"),
    ("POST", "/replay"),
    ("GET", "/deliveries?state=failed"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_its_owners() {
    let scene = Scene::of(builder("rights").set("webhooks.endpoints_per_account", "2")).await;
    let receiver = Receiver::start(Manner::Status(200)).await;
    let (owner, stranger) =
        (scene.account("owner", &["submit:*/*:*"]), scene.account("stranger", &["*:dev/*:*"]));
    let made = id(&register(&owner, json!({ "url": receiver.url("/token/x") })).await);
    let path = format!("/api/v2/webhooks/{made}");

    for (method, act) in ACTS {
        let request = stranger.request(method.parse().expect("a method"), &format!("{path}{act}"));
        let answer = send(if method == "GET" { request } else { request.json(&json!({})) }).await;
        answer.expect_problem(404, "webhook_not_found");
    }
    assert_eq!(stranger.get("/api/v2/webhooks").await.expect(200).list("items").len(), 0);
    stranger.get("/api/v2/webhooks?account=owner").await.expect_problem(403, "forbidden");

    // Who may see accounts sees it, but not where it leads, and cannot lead it elsewhere.
    let seen = scene.client.get(&path).await.expect(200);
    assert_eq!(seen.text("url"), receiver.url(""));
    assert_eq!(owner.get(&path).await.expect(200).text("url"), receiver.url("/token/x"));
    assert_eq!(scene.client.get("/api/v2/webhooks?account=owner").await.expect(200).list("items").len(), 1);
    let change = scene.client.request(Method::PATCH, &path).json(&json!({ "url": receiver.url("/mine") }));
    send(change).await.expect_problem(404, "webhook_not_found");
    scene.client.post(&format!("{path}/rotate"), &json!({})).await.expect_problem(404, "webhook_not_found");
    scene.client.post(&format!("{path}/pause"), &json!({})).await.expect(200);

    register(&owner, json!({ "url": receiver.url("/") })).await;
    let third = owner.post("/api/v2/webhooks", &json!({ "url": receiver.url("/") })).await;
    third.expect_problem(409, "too_many_webhooks");
    scene.command_json(&["accounts", "delete", "owner", "--json"]);
    scene.client.get(&path).await.expect_problem(404, "webhook_not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybodys_events_are_for_those_who_may_read_them_for_as_long_as_they_may() {
    let scene = Scene::new("scope").await;
    let receiver = Receiver::start(Manner::Status(200)).await;
    let client = scene.account("reader", &["read:dev/*:*"]);
    let webhook = |more: serde_json::Value| {
        let mut body = more;
        body["url"] = receiver.url("/").into();
        body
    };
    let refused = client.post("/api/v2/webhooks", &webhook(json!({ "scope": "all" }))).await;
    refused.expect_problem(403, "forbidden");
    let refused = client.post("/api/v2/webhooks", &webhook(json!({ "events": ["host.paused"] }))).await;
    assert_eq!(refused.expect_problem(422, "invalid_request").faulty_fields(), ["scope"]);
    let made = id(&register(&client, webhook(json!({ "scope": "all", "envs": ["dev"] }))).await);

    scene.make("ada").await;
    receiver.hears("ticket.succeeded", 1).await;
    scene.command_json(&["accounts", "set", "reader", "--access", "read:qa/*:*", "--json"]);
    scene.fail().await;
    let refused = delivery(&client, &made, "ticket.failed", "failed").await;
    assert_eq!(refused["attempts"][0]["error"], "its account may not hear of this any more");
    assert_eq!(receiver.heard().len(), 1);
    // A closed account hears of nothing at all.
    scene.command_json(&["accounts", "set", "reader", "--access", "read:dev/*:*", "--disable", "--json"]);
    scene.make("bob").await;
    assert_eq!(crate::scene::deliveries(&scene.client, &made, "").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_registrations_are_told_by_field() {
    let scene = Scene::new("bad").await;
    for (body, field) in [
        (json!({}), "url"),
        (json!({ "url": "https://10.0.0.1/" }), "url"),
        (json!({ "url": "https://[::ffff:10.0.0.1]/" }), "url"),
        (json!({ "url": "gopher://example.com/" }), "url"),
        (json!({ "url": format!("https://example.com/{}", "x".repeat(3_000)) }), "url"),
        (json!({ "url": "https://example.com/", "events": ["account.added"] }), "events"),
        (json!({ "url": "https://example.com/", "events": "ticket.failed" }), "events"),
        (json!({ "url": "https://example.com/", "envs": ["no env"] }), "envs"),
        (json!({ "url": "https://example.com/", "scope": "some" }), "scope"),
        (json!({ "url": "https://example.com/", "description": "x".repeat(257) }), "description"),
        (json!({ "url": "https://example.com/", "secret": "whsec_x" }), "secret"),
    ] {
        let answer =
            scene.client.post("/api/v2/webhooks", &body).await.expect_problem(422, "invalid_request");
        assert_eq!(answer.faulty_fields(), [field], "{body}: {answer}");
    }
    scene.client.get("/api/v2/webhooks/nothing").await.expect_problem(404, "webhook_not_found");
}
