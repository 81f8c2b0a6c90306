//! What endpoints hear of, how it is signed, and their states.

use rolecall_tests::{Manner, Receiver, eventually};
use serde_json::{Value, json};

use crate::scene::{PATIENCE, Scene, builder, deliveries, delivery, id, register, verify, webhook};

#[tokio::test]
async fn what_happens_to_a_ticket_is_told_signed_and_without_a_secret() {
    let scene = Scene::of(builder("webhooks").set("api.public_url", "https://rolecall.example.com/")).await;
    let receiver = Receiver::start(Manner::Status(204)).await;
    let made =
        register(&scene.client, json!({ "url": receiver.url("/hook?x=1"), "description": "ci" })).await;
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let (secret, public) = (made.text("secret"), made.text("public_key"));

    let ticket = scene.make("ada").await;
    let taken = scene.client.take_secret(&ticket).await.expect(200);
    let ended = receiver.hears("ticket.succeeded", 1).await.remove(0);
    let left = receiver.hears("secret.taken", 1).await.remove(0);

    for heard in [&ended, &left] {
        assert_eq!((heard.path.as_str(), heard.header("content-type")), ("/hook?x=1", "application/json"));
        verify(heard, secret).expect("v1");
        verify(heard, public).expect("v1a");
        let text = String::from_utf8(heard.body.to_vec()).expect("text");
        assert!(!text.contains(taken.text("password")) && !text.contains("SCRAM"), "{text}");
    }
    assert_ne!(ended.id(), left.id());
    let (ended, left) = (ended.json(), left.json());
    let database = &scene.target(1).database;
    let url = format!("https://rolecall.example.com/api/v2/tickets/{ticket}");
    assert_eq!(
        ended["data"],
        json!({
            "ticket": ticket, "ticket_url": url, "sequence": 1, "state": "succeeded", "outcome": "created",
            "operation": "create_role", "kind": "devqa", "role": scene.role("ada"), "env": "dev",
            "database": database, "host": scene.target(1).host(), "account": scene.user,
        })
    );
    assert_eq!((&left["data"]["sequence"], &left["data"]["ticket"]), (&json!(2), &json!(ticket)));
    assert!(ended["timestamp"].as_str().is_some_and(|at| at.ends_with('Z')));

    let told = delivery(&scene.client, &id(&made), "ticket.succeeded", "delivered").await;
    assert_eq!(told["attempts"][0]["status"], 204);
    assert_eq!(told["ticket"], json!(ticket));
    let shown = scene.client.get(&format!("/api/v2/webhooks/{}", id(&made))).await.expect(200);
    assert!(shown.find("secret").is_none());
    assert_eq!(scene.client.get("/api/v2/webhooks").await.expect(200).list("items").len(), 1);
}

/// The names of what an endpoint was or will be told, the oldest first. Rows are there when the ticket is final.
async fn told(scene: &Scene, id: &str) -> Vec<String> {
    let found = deliveries(&scene.client, id, "").await;
    found.iter().rev().map(|delivery| delivery["event"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn an_endpoint_hears_what_its_filters_let_through() {
    let scene = Scene::new("filters").await;
    let receiver = Receiver::start(Manner::Status(200)).await;
    let endpoint = async |more: Value| {
        let mut webhook = more;
        webhook["url"] = receiver.url("/").into();
        id(&register(&scene.client, webhook).await)
    };
    let all = endpoint(json!({ "scope": "all" })).await;
    let own = endpoint(json!({})).await;
    let failed = endpoint(json!({ "events": ["ticket.failed", "ticket.failed"] })).await;
    let qa = endpoint(json!({ "envs": ["qa"], "scope": "all" })).await;
    let hosts_of_dev = endpoint(json!({ "envs": ["dev"], "events": ["host.paused"], "scope": "all" })).await;
    let foreign = scene.account("foreign", &["submit:*/*:*"]);
    let other = register(&foreign, json!({ "url": receiver.url("/") })).await;

    scene.make("ada").await;
    let failure = scene.fail().await;
    let database = &scene.target(1).database;
    scene.client.target_act("dev", database, "pause").await.expect(200);
    scene.client.target_act("dev", database, "resume").await.expect(200);

    let everything = ["ticket.succeeded", "ticket.failed", "host.paused", "host.resumed"];
    assert_eq!(told(&scene, &all).await, everything);
    assert_eq!(told(&scene, &own).await, everything[..2]);
    assert_eq!(told(&scene, &failed).await, ["ticket.failed"]);
    assert_eq!(told(&scene, &qa).await, [""; 0]);
    assert_eq!(told(&scene, &hosts_of_dev).await, ["host.paused"]);
    assert_eq!(deliveries(&foreign, &id(&other), "").await.len(), 0);
    let told = receiver.hears("ticket.failed", 3).await.remove(0).json();
    assert_eq!(told["data"]["code"], "role_not_found");
    assert_eq!(told["data"]["ticket"], json!(failure));

    // Changed, it hears of something else from then on.
    let changed = scene.client.request(reqwest::Method::PATCH, &format!("/api/v2/webhooks/{failed}"));
    let changed = rolecall_tests::client::send(changed.json(&json!({ "events": [], "envs": ["dev"] }))).await;
    assert_eq!(changed.expect(200).list("envs"), ["dev"]);
    scene.make("bob").await;
    assert_eq!(deliveries(&scene.client, &failed, "event=ticket.succeeded").await.len(), 1);
}

#[tokio::test]
async fn during_a_rotation_both_keys_sign() {
    let scene = Scene::new("rotation").await;
    let receiver = Receiver::start(Manner::Status(200)).await;
    let made = register(&scene.client, json!({ "url": receiver.url("/") })).await;
    let (path, old) = (format!("/api/v2/webhooks/{}", id(&made)), made.text("secret"));
    let rotate = async |body: Value| scene.client.post(&format!("{path}/rotate"), &body).await;

    let rotated = rotate(json!({ "keep_old_seconds": 600 })).await.expect(200);
    let new = rotated.text("secret").to_owned();
    assert_ne!(new, old);
    assert_eq!(rotated.text("old_public_key"), made.text("public_key"));
    scene.make("ada").await;
    let heard = receiver.hears("ticket.succeeded", 1).await.remove(0);
    for key in [old, &new, made.text("public_key"), rotated.text("public_key")] {
        verify(&heard, key).expect("while both sign");
    }
    assert_eq!(heard.header("webhook-signature").split(' ').count(), 4);

    let again = rotate(json!({ "keep_old_seconds": 0 })).await.expect(200);
    scene.make("bob").await;
    let heard = receiver.hears("ticket.succeeded", 2).await.remove(1);
    verify(&heard, again.text("secret")).expect("the newest signs");
    for key in [old, &new] {
        verify(&heard, key).expect_err("the older do not");
    }
    rotate(json!({ "keep_old_seconds": 2_592_001 })).await.expect_problem(422, "invalid_request");
    scene.client.delete(&path).await.expect(204);
    rotate(json!({})).await.expect_problem(404, "webhook_not_found");
}

#[tokio::test]
async fn while_an_endpoint_is_paused_events_wait() {
    let scene = Scene::new("paused").await;
    let receiver = Receiver::start(Manner::Status(200)).await;
    let made = id(&register(&scene.client, json!({ "url": receiver.url("/") })).await);
    let act =
        async |act: &str| scene.client.post(&format!("/api/v2/webhooks/{made}/{act}"), &json!({})).await;
    assert_eq!(act("pause").await.expect(200).text("state"), "paused");
    act("ping").await.expect_problem(409, "webhook_not_active");
    scene.make("ada").await;
    // What is told to another one was due later, so this one would have been told before.
    let other = Receiver::start(Manner::Status(200)).await;
    let fence = id(&register(&scene.client, json!({ "url": other.url("/") })).await);
    scene.client.post(&format!("/api/v2/webhooks/{fence}/ping"), &json!({})).await.expect(202);
    other.hears("webhook.ping", 1).await;
    let waiting = delivery(&scene.client, &made, "ticket.succeeded", "pending").await;
    assert_eq!(waiting["attempts"], json!([]));
    assert_eq!(receiver.heard().len(), 0);
    act("resume").await.expect(200);
    receiver.hears("ticket.succeeded", 1).await;
    delivery(&scene.client, &made, "ticket.succeeded", "delivered").await;
}

#[tokio::test]
async fn who_is_gone_is_disabled_and_says_so() {
    let scene = Scene::new("gone").await;
    let receiver = Receiver::start(Manner::Status(410)).await;
    let made = id(&register(&scene.client, json!({ "url": receiver.url("/secret-path") })).await);
    let ticket = scene.make("ada").await;
    let disabled = webhook(&scene.client, &made, "disabled").await;
    assert_eq!(disabled.text("reason"), "gone");
    // It is disabled with its row in one step, and the row is shown once it stands in the ledger.
    let row = eventually("its row in the audit", PATIENCE, async || {
        let audit = scene.client.audit("event=webhook.disabled").await.expect(200);
        audit.list("items").first().cloned()
    })
    .await;
    assert_eq!((&row["detail"]["reason"], &row["detail"]["webhook"]), (&json!("gone"), &json!(made)));
    let everything = scene.client.audit("limit=200").await.expect(200);
    assert!(!everything.to_string().contains("secret-path"), "{everything}");
    assert_eq!(receiver.heard().len(), 1);

    // It hears of nothing that happens meanwhile, and nothing of it can be told again.
    scene.make("bob").await;
    assert_eq!(deliveries(&scene.client, &made, "").await.len(), 1);
    let replay = format!("/api/v2/webhooks/{made}/replay");
    scene.client.post(&replay, &json!({})).await.expect_problem(409, "webhook_not_active");

    receiver.answer(Manner::Status(200));
    let resumed = scene.client.post(&format!("/api/v2/webhooks/{made}/resume"), &json!({})).await.expect(200);
    assert_eq!((resumed.text("state"), resumed.find("reason")), ("active", None));
    assert_eq!(scene.client.post(&replay, &json!({})).await.expect(202).at("replayed"), &json!(1));
    let heard = receiver.hears("ticket.succeeded", 2).await;
    assert_eq!(heard[0].id(), heard[1].id());
    assert_eq!(heard[1].ticket(), Some(ticket));
}

#[tokio::test]
async fn who_only_fails_for_too_long_is_disabled() {
    let scene = Scene::of(
        builder("failing")
            .set("webhooks.disable_after_seconds", "1")
            .set("webhooks.schedule", "300ms,300ms,300ms,300ms,300ms,300ms,300ms,300ms,300ms,300ms,300ms"),
    )
    .await;
    let (failing, wavering) =
        (Receiver::start(Manner::Status(500)).await, Receiver::start(Manner::Status(500)).await);
    let made = id(&register(&scene.client, json!({ "url": failing.url("/") })).await);
    let other = id(&register(&scene.client, json!({ "url": wavering.url("/") })).await);
    scene.make("ada").await;
    wavering.hears("ticket.succeeded", 2).await;
    wavering.answer(Manner::Status(200));
    let disabled = webhook(&scene.client, &made, "disabled").await;
    assert_eq!(disabled.text("reason"), "failing");
    assert!(failing.heard().len() >= 3, "{}", failing.heard().len());
    let well = webhook(&scene.client, &other, "active").await;
    assert_eq!(well.find("failing_since"), None);
    let told = delivery(&scene.client, &made, "ticket.succeeded", "pending").await;
    assert_eq!(told["attempts"][0]["error"], "the answer was 500");
}

#[tokio::test]
async fn what_ended_long_ago_is_forgotten() {
    let scene = Scene::of(builder("retention").set("webhooks.keep_seconds", "1")).await;
    let receiver = Receiver::start(Manner::Status(200)).await;
    let made = id(&register(&scene.client, json!({ "url": receiver.url("/") })).await);
    scene.make("ada").await;
    receiver.hears("ticket.succeeded", 1).await;
    let superuser = scene.control.superuser().await;
    eventually("nothing to be left", PATIENCE, async || {
        let sql = "SELECT (SELECT count(*) FROM webhook_deliveries) + (SELECT count(*) FROM webhook_attempts) \
                   + (SELECT count(*) FROM webhook_events)";
        let left: i64 = superuser.query_one(sql, &[]).await.expect("a count").get(0);
        (left == 0).then_some(())
    })
    .await;
    assert_eq!(deliveries(&scene.client, &made, "").await.len(), 0);
}
