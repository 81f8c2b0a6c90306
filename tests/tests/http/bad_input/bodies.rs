//! Bodies as a whole: size, form, type; batches.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::Scene;
use crate::case::{Case, judge_problem};
use crate::{raw, with};

const LIMIT: usize = 1_048_576;

pub fn cases(scene: &Scene) -> Vec<Case> {
    let mut cases = forms(scene);
    cases.extend(types(scene));
    cases.extend(batches(scene));
    cases
}

fn send(scene: &Scene, method: Method, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    scene.client.request(method, path).header("content-type", "application/json").body(body)
}

fn forms(scene: &Scene) -> Vec<Case> {
    let mut cases = Vec::new();
    let target = format!("/api/v2/targets/dev/{}", scene.target.database);
    let good = scene.devqa().to_string();
    let deep =
        |open: &str, close: &str| format!("{{\"metadata\":{}1{}}}", open.repeat(5000), close.repeat(5000));
    for (method, path) in
        [(Method::POST, "/api/v2/jobs"), (Method::POST, "/api/v2/jobs/batch"), (Method::PUT, target.as_str())]
    {
        for body in [
            String::new(),
            " ".into(),
            "nonsense-in-the-body".into(),
            "{".into(),
            "{'operation':1}".into(),
            "{\"operation\":}".into(),
            "{\"a\":01}".into(),
            "{\"a\":NaN}".into(),
            "{\"a\":\"\u{1}\"}".into(),
            "{\"a\":\"\\ud800\"}".into(),
            format!("{good}{good}"),
            format!("\u{feff}{good}"),
            good[..good.len() - 1].to_owned(),
            deep("[", "]"),
            deep("{\"a\":", "}"),
            "[".repeat(100_000),
            "operation=create_role".into(),
            "<job/>".into(),
        ] {
            let name = format!("{method} {path} {body:.40?}");
            let case =
                Case::new(name, send(scene, method.clone(), path, body.clone()), 400, "malformed_json");
            cases.push(if body.starts_with("nonsense") { case.hides(body) } else { case });
        }
        for body in ["[]", "null", "5", "\"text\"", "true"] {
            let request = send(scene, method.clone(), path, body);
            cases.push(Case::new(format!("{method} {path} {body}"), request, 422, "invalid_request"));
        }
        let request = send(scene, method, path, b"{\"a\":\"\xff\xfe\"}".to_vec());
        cases.push(Case::new(format!("{path} not UTF-8"), request, 400, "malformed_json"));
    }
    cases
}

fn types(scene: &Scene) -> Vec<Case> {
    let good = scene.devqa().to_string();
    let pause = format!("/api/v2/targets/dev/{}/pause", scene.target.database);
    let mut cases = Vec::new();
    for path in ["/api/v2/jobs", &pause] {
        for mime in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "text/json",
            "json",
            "",
            "application/json\u{e9}",
        ] {
            let request = scene.client.request(Method::POST, path).body(good.clone());
            let value = reqwest::header::HeaderValue::from_bytes(mime.as_bytes()).unwrap();
            let case = Case::new(
                format!("{path} as {mime:?}"),
                request.header("content-type", value),
                415,
                "unsupported_media_type",
            );
            cases.push(case);
        }
        let request = scene.client.request(Method::POST, path).body(good.clone());
        cases.push(Case::new(format!("{path} without a type"), request, 415, "unsupported_media_type"));
    }
    cases
}

fn batches(scene: &Scene) -> Vec<Case> {
    let batch = |body: Value| scene.client.request(Method::POST, "/api/v2/jobs/batch").json(&body);
    let items = |count: usize| batch(json!({ "items": vec![json!({}); count] }));
    let keyed = batch(json!({ "items": [scene.devqa()] })).header("idempotency-key", "deploy-4711");
    vec![
        Case::new("no item", items(0), 422, "batch_size"),
        Case::new("1,001 items", items(1001), 422, "batch_size"),
        Case::faulty("no items", batch(json!({})), &["items"]),
        Case::faulty("items null", batch(json!({ "items": null })), &["items"]),
        Case::faulty("items an object", batch(json!({ "items": {} })), &["items"]),
        Case::faulty("items a text", batch(json!({ "items": "[]" })), &["items"]),
        Case::faulty("a foreign field", batch(json!({ "items": [scene.devqa()], "wait": 1 })), &["wait"]),
        Case::new("a key for the whole batch", keyed, 400, "malformed_request"),
    ]
}

/// A body of the limit is read, one byte more is not; with a stated length and without.
pub async fn the_size_limit_is_exact(scene: &Scene, documented: &BTreeSet<String>) {
    let url = scene.rolecall.api.url();
    let authorization = scene.authorization();
    let job = scene.devqa().to_string();
    let padded = |length: usize| format!("{job}{}", " ".repeat(length - job.len()));

    rolecall_tests::client::send(send(scene, Method::POST, "/api/v2/jobs", padded(LIMIT))).await.expect(202);
    let head = format!(
        "POST /api/v2/jobs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: {authorization}\r\n"
    );
    let chunked = |length: usize| {
        format!("{head}transfer-encoding: chunked\r\n\r\n{length:x}\r\n{}\r\n0\r\n\r\n", padded(length))
    };
    let accepted = raw::exchange(&url, chunked(LIMIT).as_bytes()).await;
    assert_eq!(accepted.status, 202, "{accepted}");

    let stated = format!("{head}content-length: {}\r\n\r\n", LIMIT + 1);
    for bytes in [stated, chunked(LIMIT + 1)] {
        let answer = raw::exchange(&url, bytes.as_bytes()).await;
        assert_eq!(judge_problem(&answer, 413, "body_too_large", documented), [""; 0], "{answer}");
        assert_eq!(answer.body["limit_bytes"], LIMIT);
    }
}

/// Each item its own ticket or problem, in order; a thousand are taken.
pub async fn a_batch_has_a_problem_per_item(scene: &Scene, documented: &BTreeSet<String>) {
    let good = scene.devqa();
    let keyed = with(&good, "idempotency_key", "batch-1");
    let hostile = "evil'; DROP ROLE ada; --";
    let items = json!([
        good,
        5,
        {},
        with(&good, "kind", "nope"),
        with(&good, "username", hostile),
        keyed,
        with(&good, "database", "no_such_database"),
        with(&keyed, "username", "grace"),
        with(&good, "idempotency_key", "a b"),
        with(&good, "env", "prod"),
        scene.reset(),
        keyed,
    ]);
    let answer = scene.client.post("/api/v2/jobs/batch", &json!({ "items": items })).await.expect(202);
    let expected = [
        None,
        Some("invalid_request"),
        Some("invalid_request"),
        Some("unknown_kind"),
        Some("invalid_request"),
        None,
        Some("target_not_found"),
        Some("idempotency_key_reused"),
        Some("invalid_request"),
        Some("kind_not_allowed_in_env"),
        None,
        None,
    ];
    let found: Vec<_> = answer.list("items").iter().map(|item| item["problem"]["code"].as_str()).collect();
    assert_eq!(found, expected, "{answer}");
    assert!(found.iter().flatten().all(|code| documented.contains(*code)));
    assert_eq!((&answer.body["accepted"], &answer.body["refused"]), (&json!(4), &json!(8)));
    assert_eq!(answer.at("items.4.problem.errors.0.field"), "username");
    assert_eq!(answer.at("items.8.problem.errors.0.field"), "idempotency_key");
    assert_eq!(answer.text("items.5.ticket"), answer.text("items.11.ticket"), "one key, one ticket");
    assert!(!answer.body.to_string().contains(hostile));

    let bad = scene.client.post("/api/v2/jobs/batch", &json!({ "items": [5, {}] })).await.expect(200);
    assert_eq!((&bad.body["accepted"], &bad.body["refused"]), (&json!(0), &json!(2)));

    let items: Vec<_> = (0..1000).map(|n| with(&good, "username", format!("b{n}"))).collect();
    let answer = scene.client.post("/api/v2/jobs/batch", &json!({ "items": items })).await.expect(202);
    assert_eq!((&answer.body["accepted"], &answer.body["refused"]), (&json!(1000), &json!(0)));
    let in_order = answer.list("items").iter().enumerate().all(|(n, item)| item["role"] == format!("b{n}"));
    assert!(in_order, "answers stand in the order of the items");
}
