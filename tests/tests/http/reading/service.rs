//! Health, request ids, headers that are on every answer.

use std::collections::BTreeSet;

use reqwest::{Client, Method};
use rolecall_tests::client::send;
use rolecall_tests::{Answer, Running};
use serde_json::json;

use crate::create;

#[tokio::test]
async fn every_answer_carries_what_keeps_it_safe_and_found() {
    let rolecall = Running::start("service").await;
    let client = &rolecall.client;
    let created =
        client.run(&create(rolecall.target(1), &rolecall.role("ada"))).await.expect_outcome("created");
    let (tickets, target) = (format!("/api/v2/tickets/{}", created.id()), &rolecall.target(1).database);

    let secret = client.take_secret(&created.id()).await.expect(200);
    let again = client.take_secret(&created.id()).await.expect_problem(410, "secret_taken");
    for answer in [&secret, &again] {
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let ticket = client.get(&tickets).await.expect(200);
    let found = client.target("dev", target).await.expect(200);
    for answer in [&ticket, &found] {
        assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
    }
    let nobody = Client::builder().no_proxy().build().unwrap();
    let url = |path: &str| format!("{}{path}", rolecall.api.url());
    let mut answers = vec![secret, again, ticket, found];
    for path in ["/api/v2/hosts", "/livez", "/readyz", "/metrics", "/openapi.json", "/docs/", "/nothing"] {
        answers.push(send(nobody.get(url(path))).await);
    }
    answers.push(send(nobody.put(url("/api/v2/jobs"))).await);
    let mut ids = BTreeSet::new();
    for answer in &answers {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name} of {answer}");
        }
        assert!(
            answer.header("content-security-policy").is_some_and(|p| p.contains("frame-ancestors 'none'"))
        );
        assert!(answer.header("cache-control").is_some());
        assert!(ids.insert(answer.header("x-request-id").expect("an id").to_owned()), "an id of its own");
    }
    request_ids_are_kept_if_plain(&rolecall).await;
    health_names_what_it_depends_on(&rolecall).await;
}

async fn request_ids_are_kept_if_plain(rolecall: &Running) {
    let ask = async |id: &[u8]| -> Answer {
        let value = reqwest::header::HeaderValue::from_bytes(id).unwrap();
        send(rolecall.client.request(Method::GET, "/api/v2/hosts").header("x-request-id", value)).await
    };
    let kept = format!("pipeline-4711.{}", rolecall.id);
    assert_eq!(ask(kept.as_bytes()).await.header("x-request-id"), Some(kept.as_str()));
    let log = rolecall.api.log_text();
    assert!(log.lines().any(|line| line.contains(&kept) && line.contains("answered")), "the log has it");
    let over = [b'x'; 65];
    for id in [&b"two words"[..], b"\"quoted\"", b"\xff\xfe", b"a\tb", b"", &over] {
        let answer = ask(id).await.expect(200);
        let given = answer.header("x-request-id").unwrap();
        assert!(given.as_bytes() != id && given.len() == 36, "{given}");
    }
}

async fn health_names_what_it_depends_on(rolecall: &Running) {
    let nobody = Client::builder().no_proxy().build().unwrap();
    for url in [rolecall.api.url(), rolecall.worker.url()] {
        let live = send(nobody.get(format!("{url}/livez"))).await.expect(200);
        assert_eq!(live.body, json!({ "status": "ok" }));
        let ready = send(nobody.get(format!("{url}/readyz"))).await.expect(200);
        let dependencies = json!({ "control": "ok", "rabbitmq": "ok", "redis": "ok" });
        assert_eq!(ready.body, json!({ "status": "ok", "dependencies": dependencies }));
    }
}
