//! Hosts that run dry, and what is done to all hosts at once.

use std::time::Instant;

use rolecall_tests::process::Role;
use rolecall_tests::{Client, Running, eventually};
use serde_json::{Value, json};

use crate::{PATIENCE, create, events, host};

async fn act(client: &Client, path: &str, reason: &str) -> rolecall_tests::Answer {
    client.post(&format!("/api/v2/hosts/{path}"), &json!({ "reason": reason })).await.expect(200)
}

#[tokio::test]
async fn a_host_that_drains_ends_what_it_has_and_takes_no_more() {
    const JOBS: usize = 50;
    let rolecall = Running::start("drain").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let second = rolecall.start(Role::Api).await;
    let elsewhere = rolecall.client(&second);
    let address = target.host();

    let paused = act(client, &format!("{address}/pause"), "upgrade").await;
    assert_eq!((paused.text("paused.reason"), paused.find("draining")), ("upgrade", None));
    let mut waiting = Vec::new();
    for n in 0..JOBS {
        let job = create(target, &rolecall.role(&format!("ada{n}")));
        waiting.push(elsewhere.submit_once(&format!("key-{n}"), &job).await.expect(202).id());
    }
    assert_eq!(host(client, &address).await["backlog"], JOBS);

    // Draining means running dry, so the pause is over.
    let began = Instant::now();
    let drained = act(client, &format!("{address}/drain"), "moving away").await;
    assert_eq!((drained.at("paused"), drained.text("draining.by")), (&Value::Null, &*rolecall.user));
    refused_everywhere(&rolecall, &elsewhere).await;
    let again = create(target, &rolecall.role("ada0"));
    let known = elsewhere.submit_once("key-0", &again).await;
    assert_eq!((known.status < 300, known.id()), (true, waiting[0].clone()), "a retry is not a new job");

    for ticket in &waiting {
        client.wait(ticket).await.expect_outcome("created");
    }
    let found = eventually("the host to have run dry", PATIENCE, async || {
        let found = host(client, &address).await;
        (found["drained"] == true).then_some(found)
    })
    .await;
    println!("{JOBS} jobs drained in {:.2} s", began.elapsed().as_secs_f32());
    assert_eq!((&found["state"], &found["backlog"]), (&json!("draining"), &json!(0)));
    assert_eq!(found["draining"], *drained.at("draining"));
    // Again it is the same drain, with its first reason and time.
    let again = act(client, &format!("{address}/drain"), "another").await;
    assert_eq!(again.body, drained.body);

    let resumed = client.post(&format!("/api/v2/hosts/{address}/resume"), &json!({})).await.expect(200);
    assert!(resumed.at("draining").is_null() && resumed.at("paused").is_null(), "{resumed}");
    let job = create(target, &rolecall.role("later"));
    elsewhere.run(&job).await.expect_outcome("created");
    let found = host(client, &address).await;
    assert_eq!((&found["state"], found.get("drained")), (&json!("ok"), None));
    client.post(&format!("/api/v2/hosts/{address}/resume"), &json!({})).await.expect(200);

    let rows = events(client, &format!("host={address}")).await;
    let rows: Vec<_> = rows.iter().filter(|event| event.starts_with("host.")).collect();
    assert_eq!(rows, ["host.paused", "host.resumed", "host.draining", "host.resumed"]);
    let rows = client.audit(&format!("host={address}&event=host.resumed")).await.expect(200);
    let ended = |row: usize| rows.at(&format!("items.{row}.detail.ended")).clone();
    assert_eq!((ended(1), ended(0)), (json!(["pause"]), json!(["drain"])));
}

/// Every process knows at once; and the other hosts take jobs as ever.
async fn refused_everywhere(rolecall: &Running, elsewhere: &Client) {
    let (drained, other) = (rolecall.target(1), rolecall.target(2));
    for client in [&rolecall.client, elsewhere] {
        let refused = client.submit(&create(drained, &rolecall.role("refused"))).await;
        let refused = refused.expect_problem(503, "host_draining");
        assert_eq!((refused.header("retry-after"), refused.at("retry")), (Some("30"), &json!(true)));
        assert_eq!(refused.text("host"), drained.host());
        assert!(refused.text("detail").contains("moving away"), "{refused}");
    }
    let items = [create(drained, &rolecall.role("refused")), create(other, &rolecall.role("free"))];
    let batch = elsewhere.post("/api/v2/jobs/batch", &json!({ "items": items })).await.expect(202);
    assert_eq!((batch.at("accepted"), batch.at("refused")), (&json!(1), &json!(1)));
    assert_eq!(batch.text("items.0.problem.code"), "host_draining");
    elsewhere.wait(batch.text("items.1.ticket")).await.expect_outcome("created");
    let role = rolecall.role("refused");
    let made = drained.text("SELECT rolname FROM pg_roles WHERE rolname = $1", &[&role]).await;
    assert_eq!(made, None);
}

#[tokio::test]
async fn everything_can_be_stopped_drained_and_let_go() {
    let rolecall = Running::start("drain-all").await;
    let client = &rolecall.client;
    let targets = [rolecall.target(1), rolecall.target(2)];
    let mut hosts = targets.map(rolecall_tests::Target::host);
    hosts.sort_unstable();
    let named = |answer: &rolecall_tests::Answer, part: &str| -> Vec<String> {
        let items = answer.list("items").iter().filter(|item| item[part].is_object());
        items.map(|item| item["host"].as_str().unwrap().to_owned()).collect()
    };

    let address = &hosts[0];
    act(client, &format!("{address}/drain"), "before").await;
    let paused = act(client, "pause", "the room burns").await;
    assert_eq!(named(&paused, "paused"), hosts);
    assert_eq!(named(&paused, "draining"), hosts[..1], "a pause ends no drain");
    let on_other = targets.into_iter().find(|target| target.host() == hosts[1]).unwrap();
    let waiting = client.submit(&create(on_other, &rolecall.role("ada"))).await.expect(202);
    assert_eq!(client.ticket(&waiting.id()).await.text("waiting_reason"), "host_paused");

    let drained = act(client, "drain", "it is put out").await;
    assert_eq!((named(&drained, "draining"), named(&drained, "paused")), (hosts.to_vec(), Vec::new()));
    client.wait(&waiting.id()).await.expect_outcome("created");
    for target in targets {
        let refused = client.submit(&create(target, &rolecall.role("grace"))).await;
        refused.expect_problem(503, "host_draining");
    }
    let resumed = client.post("/api/v2/hosts/resume", &json!({})).await.expect(200);
    assert_eq!(resumed.list("items").len(), 2);
    for target in targets {
        client.run(&create(target, &rolecall.role("grace"))).await.expect_outcome("created");
    }
    for (address, expected) in [
        (&hosts[0], vec!["host.draining", "host.paused", "host.resumed", "host.resumed"]),
        (&hosts[1], vec!["host.paused", "host.resumed", "host.draining", "host.resumed"]),
    ] {
        let rows = events(client, &format!("host={address}")).await;
        let rows: Vec<_> = rows.iter().filter(|event| event.starts_with("host.")).collect();
        assert_eq!(rows, expected, "{address}");
    }
    nobody_is_drained_by_mistake(client, address).await;
}

async fn nobody_is_drained_by_mistake(client: &Client, address: &str) {
    let before = host(client, address).await;
    for act in ["pause", "drain", "resume"] {
        for nowhere in ["nowhere:5432", "127.0.0.1:1", "127.0.0.1", "%00:1", "DB1:5432"] {
            let answer = client.post(&format!("/api/v2/hosts/{nowhere}/{act}"), &json!({})).await;
            answer.expect_problem(404, "host_not_found");
        }
    }
    for path in [format!("/api/v2/hosts/{address}/drain"), "/api/v2/hosts/drain".to_owned()] {
        for body in [json!({ "reason": "r".repeat(501) }), json!({ "reason": 1 }), json!({ "until": "x" })] {
            client.post(&path, &body).await.expect_problem(422, "invalid_request");
        }
    }
    assert_eq!(host(client, address).await, before);
}
