//! Headers and queries: preconditions, keys, waits, limits, cursors, filters.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::HeaderValue;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::Scene;
use crate::case::Case;
use crate::with;

const MALFORMED: &str = "malformed_request";

pub fn cases(scene: &Scene) -> Vec<Case> {
    let mut cases = keys(scene);
    cases.extend(preconditions(scene));
    cases.extend(queries(scene));
    cases.extend(cursors(scene));
    cases
}

fn header(request: RequestBuilder, name: &str, value: &[u8]) -> RequestBuilder {
    request.header(name, HeaderValue::from_bytes(value).unwrap())
}

fn keys(scene: &Scene) -> Vec<Case> {
    let mut cases = Vec::new();
    let long = [b'k'; 256];
    for key in [&b""[..], b" ", b"two words", b"tab\tbed", "schlüssel".as_bytes(), b"\xff\xfe", &long] {
        let request = header(scene.submit(&scene.devqa()), "idempotency-key", key);
        let name = format!("Idempotency-Key {:?}", String::from_utf8_lossy(key));
        cases.push(Case::new(name, request, 400, MALFORMED));
    }
    let twice = scene.submit(&scene.devqa()).header("idempotency-key", "a").header("idempotency-key", "b");
    cases.push(Case::new("two keys", twice, 400, MALFORMED));
    cases
}

fn preconditions(scene: &Scene) -> Vec<Case> {
    let path = format!("/api/v2/targets/dev/{}", scene.target.database);
    let put = || scene.client.request(Method::PUT, &path).json(&scene.target.registration());
    let delete = || scene.client.request(Method::DELETE, &path);
    let mut cases = Vec::new();
    for tags in ["\"1\", \"2\"", "*, \"1\""] {
        cases.push(Case::new(format!("PUT If-Match {tags}"), put().header("if-match", tags), 400, MALFORMED));
        cases.push(Case::new(
            format!("DELETE If-Match {tags}"),
            delete().header("if-match", tags),
            400,
            MALFORMED,
        ));
    }
    let both = put().header("if-match", "\"1\"").header("if-none-match", "*");
    cases.push(Case::new("both preconditions", both, 400, MALFORMED));
    let tag = put().header("if-none-match", "\"1\"");
    cases.push(Case::new("PUT If-None-Match with a tag", tag, 400, MALFORMED));
    let any = put().header("if-none-match", "*");
    cases.push(Case::new("PUT If-None-Match * on what is there", any, 412, "revision_mismatch"));
    // Nothing that we never gave lets anybody through: an unreadable demand is not no demand.
    for tag in [
        &b"\"999\""[..],
        b"\"0\"",
        b"\"-1\"",
        b"\"nonsense\"",
        b"nonsense",
        b"\"\xff\"",
        b"\"\"",
        b"W/\"\"",
        b"W/",
    ] {
        let name = format!("If-Match {:?}", String::from_utf8_lossy(tag));
        cases.push(Case::new(
            format!("PUT {name}"),
            header(put(), "if-match", tag),
            412,
            "revision_mismatch",
        ));
        cases.push(Case::new(
            format!("DELETE {name}"),
            header(delete(), "if-match", tag),
            412,
            "revision_mismatch",
        ));
    }
    cases
}

fn queries(scene: &Scene) -> Vec<Case> {
    let mut cases = Vec::new();
    let ticket = format!("/api/v2/tickets/{}", uuid::Uuid::now_v7());
    for wait in ["-1", "51", "abc", "1.5", "", "99999999999999999999999", "1s", "%00", "+1", "1%201", "０"] {
        cases.push(Case::new(
            format!("wait={wait}"),
            scene.get(&format!("{ticket}?wait={wait}")),
            400,
            MALFORMED,
        ));
    }
    let roles = format!("/api/v2/targets/dev/{}/roles", scene.target.database);
    for list in ["/api/v2/targets", "/api/v2/hosts", "/api/v2/audit", &roles] {
        for query in [
            "limit=0",
            "limit=201",
            "limit=-1",
            "limit=x",
            "limit=",
            "limit=1&limit=2",
            "page=2",
            "cursor=a&cursor=b",
            "limit=1&Limit=2",
        ] {
            cases.push(Case::new(
                format!("{list}?{query}"),
                scene.get(&format!("{list}?{query}")),
                400,
                MALFORMED,
            ));
        }
    }
    cases.push(Case::new("two waits", scene.get(&format!("{ticket}?wait=1&wait=2")), 400, MALFORMED));
    cases.push(Case::new("an unknown wait", scene.get(&format!("{ticket}?waits=1")), 400, MALFORMED));
    let long = format!("role={}", "r".repeat(301));
    for filter in [
        "event=ticket.nonsense",
        "event=",
        "event=Ticket.Succeeded",
        "ticket=not-one",
        "ticket=",
        "account=",
        "account=%00",
        "role=a%00b",
        "env=",
        "database=",
        "host=",
        "from=yesterday",
        "from=2026-13-01T00:00:00Z",
        "from=",
        "to=now",
        "from=2026-01-01",
        "to=-009000-01-01T00:00:00Z",
        "from=-009000-01-01T00:00:00Z",
        "evnt=secret.taken",
        "role=a&role=b",
        &long,
    ] {
        let request = scene.get(&format!("/api/v2/audit?{filter}"));
        cases.push(Case::new(format!("audit?{filter:.40}"), request, 400, MALFORMED));
    }
    cases
}

fn cursors(scene: &Scene) -> Vec<Case> {
    let roles = format!("/api/v2/targets/dev/{}/roles", scene.target.database);
    let lists = [
        ("targets", "/api/v2/targets"),
        ("hosts", "/api/v2/hosts"),
        ("audit", "/api/v2/audit"),
        ("roles", &roles),
    ];
    let forged = |list: &str, key: serde_json::Value| URL_SAFE_NO_PAD.encode(json!([list, key]).to_string());
    let mut cases = Vec::new();
    for (list, path) in lists {
        let mut cursors = vec![
            "x".to_owned(),
            "%20".into(),
            "e30".into(),
            "W10".into(),
            "%ff".into(),
            "=".into(),
            "A".repeat(5000),
        ];
        cursors.extend([
            forged("elsewhere", json!(["1"])),
            forged(list, json!([])),
            forged(list, json!(["a", "b", "c"])),
            forged(list, json!([1])),
            forged(list, json!(["a\0b"])),
            forged(list, json!(["dev", "a\0b"])),
            forged(list, json!(["x".repeat(5000)])),
        ]);
        cursors.extend(match list {
            "audit" => {
                vec![forged(list, json!(["99999999999999999999"])), forged(list, json!(["1; DROP TABLE x"]))]
            }
            "hosts" => vec![forged(list, json!(["nohost"])), forged(list, json!(["db1:0"]))],
            "targets" => vec![forged(list, json!(["Dev", "x"]))],
            _ => Vec::new(),
        });
        for cursor in cursors {
            let request = scene.get(&format!("{path}?cursor={cursor}"));
            cases.push(Case::new(format!("{path}?cursor={cursor:.60}"), request, 400, MALFORMED));
        }
        cases.push(Case::new(
            format!("{path} with no cursor"),
            scene.get(&format!("{path}?cursor=")),
            400,
            MALFORMED,
        ));
    }
    cases
}

/// A key stands for one request; in another spelling it is still the same request.
pub async fn a_reused_key_is_told(scene: &Scene) {
    let job = with(&scene.devqa(), "deadline", "15m");
    let first = scene.client.submit_once("deploy-4711", &job).await.expect(202);
    let again = scene.client.submit_once("deploy-4711", &with(&job, "deadline", 900)).await.expect(202);
    assert_eq!(first.id(), again.id());
    for other in [
        with(&job, "username", "grace"),
        with(&job, "deadline", "16m"),
        with(&job, "metadata", json!({ "a": "b" })),
    ] {
        let refused = scene.client.submit_once("deploy-4711", &other).await;
        refused.expect_problem(422, "idempotency_key_reused");
    }
    let wish = scene.submit(&scene.devqa()).header("prefer", "wait=soon, respond-async");
    rolecall_tests::client::send(wish).await.expect(202);
}
