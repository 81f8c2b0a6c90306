//! `rolecall webhooks`.

use rolecall_tests::{Manner, Receiver};
use serde_json::json;

use crate::scene::{Scene, delivery, verify, webhook};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_can_do_all_of_it() {
    let scene = Scene::new("commands").await;
    let receiver = Receiver::start(Manner::Status(200)).await;
    let client = scene.account("ops", &["submit:*/*:*"]);
    let url = receiver.url("/hook");
    let create = ["webhooks", "create", "ops", &url, "--event", "ticket.succeeded", "--env", "dev", "--json"];
    let made = scene.command_json(&create);
    let id = made["id"].as_str().expect("an id").to_owned();
    assert_eq!(webhook(&client, &id, "active").await.text("url"), url);

    let ping = scene.command_json(&["webhooks", "ping", &id, "--json"]);
    assert_eq!((&ping["state"], &ping["event"]), (&json!("delivered"), &json!("webhook.ping")));
    let heard = receiver.hears("webhook.ping", 1).await.remove(0);
    verify(&heard, made["secret"].as_str().expect("a secret")).expect("it signs");
    receiver.answer(Manner::Status(500));
    let failed = scene.run(&["webhooks", "ping", &id]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&failed.stderr).contains("the receiver did not take it"), "{failed:?}");
    receiver.answer(Manner::Status(200));

    let rotated = scene.command_json(&["webhooks", "rotate", &id, "--keep-old", "60", "--json"]);
    assert_ne!(rotated["secret"], made["secret"]);
    assert!(rotated["old_keys_until"].is_string());
    assert_eq!(scene.command_json(&["webhooks", "pause", &id, "--json"])["state"], "paused");
    let ended = client.run(&scene.target(1).create_role(&scene.role("ada"))).await.expect_outcome("created");
    assert_eq!(scene.command_json(&["webhooks", "resume", &id, "--json"])["state"], "active");
    delivery(&client, &id, "ticket.succeeded", "delivered").await;
    let list = ["webhooks", "deliveries", &id, "--event", "ticket.succeeded", "--json"];
    let listed = scene.command_json(&list);
    let told = &listed["deliveries"][0];
    assert_eq!((&told["ticket"], &told["attempts"][0]["status"]), (&json!(ended.id()), &json!(200)));
    let number = told["id"].to_string();
    assert_eq!(scene.command_json(&["webhooks", "replay", &id, &number, "--json"])["replayed"], 1);
    receiver.hears("ticket.succeeded", 2).await;
    delivery(&client, &id, "ticket.succeeded", "delivered").await;
    let replay = ["webhooks", "replay", &id, "--state", "delivered", "--event", "ticket.succeeded", "--json"];
    assert_eq!(scene.command_json(&replay)["replayed"], 1);
    receiver.hears("ticket.succeeded", 3).await;

    let all = scene.command_json(&["webhooks", "list", "--json"]);
    assert_eq!(all["webhooks"].as_array().map(Vec::len), Some(1));
    assert!(!all.to_string().contains("whsec_") && !all.to_string().contains("whsk_"), "{all}");
    assert_eq!(scene.command_json(&["webhooks", "delete", &id, "--json"])["removed"], true);
    let missing = scene.run(&["webhooks", "pause", &id]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("webhook_not_found"), "{missing:?}");
    let missing = scene.run(&["webhooks", "create", "nobody", &url]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("account_not_found"), "{missing:?}");
    for wrong in ["https://10.0.0.1/", "x"] {
        assert_eq!(scene.run(&["webhooks", "create", "ops", wrong]).status.code(), Some(1), "{wrong}");
    }
}
