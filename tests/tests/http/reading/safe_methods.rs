//! HEAD and OPTIONS never change anything, wherever they are sent and whatever they carry.

use reqwest::Method;
use rolecall_tests::client::send;
use rolecall_tests::{Client, Running};
use serde_json::{Value, json};

use crate::create;

/// Everything that could have changed, as the API shows it. Timestamps of looking are not in it.
async fn state(client: &Client, ticket: &str) -> Vec<Value> {
    let mut state = Vec::new();
    for path in ["/api/v2/targets", "/api/v2/hosts", "/api/v2/audit", &format!("/api/v2/tickets/{ticket}")] {
        state.push(client.get(path).await.expect(200).body);
    }
    state
}

#[tokio::test]
async fn asking_about_a_method_does_nothing() {
    let rolecall = Running::start("safe-methods").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let created = client.run(&create(target, &rolecall.role("ada"))).await.expect_outcome("created");
    client.target_act("dev", &rolecall.target(2).database, "pause").await.expect(200);
    // Waiting on a paused host: could be cancelled, would be run by a resume.
    let waiting = client.submit(&create(rolecall.target(2), &rolecall.role("grace"))).await.expect(202);
    let before = state(client, &created.id()).await;

    let paths = client.get("/openapi.json").await.expect(200);
    let places = [created.id(), waiting.id()].into_iter().zip([target, rolecall.target(2)]);
    for (ticket, target) in places {
        for path in paths.at("paths").as_object().unwrap().keys() {
            let path = path
                .replace("{id}", &ticket)
                .replace("{host}", &target.host())
                .replace("{env}", "dev")
                .replace("{database}", &target.database)
                .replace("{name}", &rolecall.role("ada"));
            for method in [Method::HEAD, Method::OPTIONS] {
                for body in [
                    create(target, &rolecall.role("new")),
                    target.registration(),
                    json!({ "items": [create(target, &rolecall.role("new"))] }),
                ] {
                    let answer = send(client.request(method.clone(), &path).json(&body)).await;
                    assert!(answer.status < 500, "{method} {path}: {answer}");
                    if method == Method::HEAD {
                        assert_eq!(answer.body, "", "{path}");
                    }
                }
            }
        }
    }
    assert_eq!(state(client, &created.id()).await, before);
    assert_eq!(client.ticket(&waiting.id()).await.expect(200).text("state"), "queued");
    client.role("dev", &target.database, &rolecall.role("new")).await.expect_problem(404, "role_not_found");
    client.take_secret(&created.id()).await.expect(200);
}
