//! From what happens over a rule to a channel: by the same deliveries as webhooks.

use std::time::Duration;

use rolecall_tests::installation::{Builder, run_well};
use rolecall_tests::{Installation, Running, eventually};
use serde_json::{Value, json};

use crate::vendor::{Mood, Room, Vendor, WEBEX_ROOM, WEBEX_TOKEN};

const PATIENCE: Duration = Duration::from_secs(40);

fn builder(name: &str, slack: &Room) -> Builder {
    Installation::builder(name)
        .set("webhooks.schedule", "100ms,100ms,100ms")
        .set("webhooks.poll_milliseconds", "50")
        .set("notify.channels.room.type", "slack")
        .set("notify.channels.room.url", slack.url())
        .set("notify.channels.room.trusted", "true")
}

fn rule(builder: Builder, name: &str, keys: &[(&str, &str)]) -> Builder {
    keys.iter()
        .fold(builder, |builder, (key, value)| builder.set(&format!("notify.rules.{name}.{key}"), *value))
}

fn command(rolecall: &Installation, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--json"]].concat();
    serde_json::from_str(&run_well(&rolecall.environment(), rolecall.dir(), &arguments)).expect("JSON")
}

/// The endpoints that stand for rules, by their names; waits until there are so many.
async fn endpoints(rolecall: &Installation, count: usize) -> Vec<(String, String)> {
    eventually(&format!("{count} rules"), PATIENCE, async || {
        let listed = command(rolecall, &["webhooks", "list"]);
        let webhooks = listed["webhooks"].as_array().expect("a list");
        let rules = webhooks.iter().filter_map(|webhook| {
            Some((webhook["rule"].as_str()?.to_owned(), webhook["id"].as_str()?.to_owned()))
        });
        let rules: Vec<_> = rules.collect();
        (rules.len() == count).then_some(rules)
    })
    .await
}

async fn texts(room: &Room, count: usize) -> Vec<String> {
    let what = format!("{count} messages");
    eventually(&what, PATIENCE, async || Some(room.texts()).filter(|texts| texts.len() >= count)).await
}

/// A job that fails: there is no such role.
async fn fail(rolecall: &Running) -> String {
    let database = &rolecall.target(1).database;
    let job = json!({ "operation": "reset_password", "username": "nobody_here", "env": "dev", "database": database });
    rolecall.client.run(&job).await.id()
}

#[tokio::test]
async fn an_event_is_told_by_the_rules_that_match_it_and_by_no_other() {
    let (slack, webex) = (Room::open(Vendor::Slack).await, Room::open(Vendor::Webex).await);
    let builder = builder("notify-rules", &slack)
        .set("notify.channels.webex.type", "webex")
        .set("notify.channels.webex.api_url", webex.url())
        .set("notify.channels.webex.trusted", "true")
        .set("notify.channels.webex.token", WEBEX_TOKEN)
        .set("notify.channels.webex.room", WEBEX_ROOM);
    let failed = [
        ("events", "ticket.failed"),
        ("envs", "dev"),
        ("channels", "room,webex"),
        ("template", "{code} {sequence}"),
    ];
    let other_env = [("events", "*"), ("envs", "prod"), ("channels", "room"), ("template", "wrong env")];
    let kinds = [
        ("events", "ticket.*"),
        ("kinds", "devqa"),
        ("channels", "room"),
        ("template", "{kind} {outcome} {rule}"),
    ];
    let hosts = [("events", "host.paused"), ("channels", "webex"), ("template", "{host} {account}")];
    let builder = rule(rule(builder, "failed", &failed), "other", &other_env);
    let rolecall = rule(rule(builder, "kinds", &kinds), "hosts", &hosts).start().await;
    let rules = endpoints(&rolecall, 5).await;
    let names: Vec<_> = rules.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["failed/room", "failed/webex", "hosts/webex", "kinds/room", "other/room"] {
        assert!(names.contains(&name), "{names:?}");
    }

    fail(&rolecall).await;
    assert_eq!(texts(&slack, 1).await, ["role_not_found 1"]);
    assert_eq!(texts(&webex, 1).await, ["role\\_not\\_found 1"]);
    let role = rolecall.role("ada");
    let target = rolecall.target(1);
    let job = json!({ "operation": "create_role", "kind": "devqa", "username": role, "env": "dev", "database": target.database });
    rolecall.client.run(&job).await.expect_outcome("created");
    assert_eq!(texts(&slack, 2).await[1], "devqa created kinds");
    let host = target.host();
    rolecall.client.post(&format!("/api/v2/hosts/{host}/pause"), &json!({})).await.expect(200);
    let said = format!("{host} {}", rolecall.user).replace('_', "\\_");
    assert_eq!(texts(&webex, 2).await[1], said);
    assert_eq!((slack.said().len(), webex.said().len()), (2, 2));
    for secret in ["slack-token", WEBEX_TOKEN] {
        assert!(!rolecall.worker.log_text().contains(secret));
    }
}

#[tokio::test]
async fn what_a_channel_did_not_take_is_tried_again_listed_and_replayed() {
    let slack = Room::open(Vendor::Slack).await;
    let builder = rule(
        builder("notify-replay", &slack),
        "failed",
        &[("events", "ticket.failed"), ("channels", "room")],
    );
    let rolecall = builder.set("webhooks.max_retry_after_seconds", "0").start().await;
    let (_, id) = endpoints(&rolecall, 1).await.remove(0);
    slack.is(Mood::Busy);
    let ticket = fail(&rolecall).await;
    let delivery = |state: &'static str| {
        let (rolecall, id) = (&rolecall, &id);
        async move {
            eventually(state, PATIENCE, async || {
                let listed = command(rolecall, &["webhooks", "deliveries", id]);
                let delivery = listed["deliveries"][0].clone();
                (delivery["state"] == state).then_some(delivery)
            })
            .await
        }
    };
    let failed = delivery("failed").await;
    assert_eq!((&failed["ticket"], &failed["event"]), (&json!(ticket), &json!("ticket.failed")), "{failed}");
    let attempts = failed["attempts"].as_array().expect("attempts");
    assert!(attempts.len() == 4 && attempts.iter().all(|attempt| attempt["status"] == 429), "{failed}");
    assert!(!failed.to_string().contains("slack-token"), "{failed}");
    slack.is(Mood::Well);
    assert_eq!(command(&rolecall, &["webhooks", "replay", &id])["replayed"], 1);
    delivery("delivered").await;
    assert_eq!(slack.said().len(), 1);
    let listed = command(&rolecall, &["webhooks", "list"]).to_string();
    assert!(!listed.contains("slack-token"), "{listed}");
}

#[tokio::test]
async fn a_room_that_is_gone_is_left_alone_until_the_next_start() {
    let slack = Room::open(Vendor::Slack).await;
    let builder =
        rule(builder("notify-gone", &slack), "failed", &[("events", "ticket.failed"), ("channels", "room")]);
    let mut rolecall = builder.start().await;
    endpoints(&rolecall, 1).await;
    let state = async |rolecall: &Running, state: &str| {
        eventually(state, PATIENCE, async || {
            (command(rolecall, &["webhooks", "list"])["webhooks"][0]["state"] == state).then_some(())
        })
        .await;
    };
    slack.is(Mood::Gone);
    fail(&rolecall).await;
    state(&rolecall, "disabled").await;
    slack.is(Mood::Well);
    rolecall.restart_worker().await;
    state(&rolecall, "active").await;
    fail(&rolecall).await;
    texts(&slack, 1).await;
}

#[tokio::test]
async fn rules_follow_the_configuration_of_the_last_start() {
    let slack = Room::open(Vendor::Slack).await;
    let one = [("events", "ticket.failed"), ("channels", "room")];
    let builder = rule(rule(builder("notify-sync", &slack), "one", &one), "two", &one);
    let mut rolecall = builder.start().await;
    let before = endpoints(&rolecall, 2).await;
    // Another worker with the same rules changes nothing.
    let second = rolecall.start(rolecall_tests::process::Role::Worker).await;
    eventually("rules of the second worker", PATIENCE, async || {
        second.log_text().contains("notifications are told by these rules").then_some(())
    })
    .await;
    for (event, count) in [("webhook.added", 2), ("webhook.changed", 0), ("webhook.removed", 0)] {
        let audit = rolecall.client.audit(&format!("event={event}")).await.expect(200);
        assert_eq!(audit.at("items").as_array().map(Vec::len), Some(count), "{event}: {audit}");
    }
    drop(second);
    rolecall.set("notify.rules.one.events", "ticket.failed,ticket.succeeded");
    for key in ["events", "channels"] {
        rolecall.unset(&format!("notify.rules.two.{key}"));
    }
    rolecall.restart_worker().await;
    let after = endpoints(&rolecall, 1).await;
    assert_eq!(after, [before.into_iter().find(|(name, _)| name == "one/room").expect("a rule")]);
    let ended = rolecall.client.run(&rolecall.target(1).create_role(&rolecall.role("ada"))).await;
    ended.expect_outcome("created");
    texts(&slack, 1).await;
}
