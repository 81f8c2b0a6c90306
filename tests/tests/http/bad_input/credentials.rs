//! Who does not prove who they are meets one answer, whatever is wrong and wherever they ask.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use reqwest::{Client, Method};
use rolecall_tests::client::send;
use serde_json::Value;

use super::Scene;
use crate::case::judge_problem;
use crate::raw;

/// Every documented route, without credentials and with wrong ones.
pub async fn every_route_asks(scene: &Scene, documented: &BTreeSet<String>) {
    let document = scene.client.get("/openapi.json").await.expect(200);
    let (http, url) = (Client::builder().no_proxy().build().unwrap(), scene.rolecall.api.url());
    let mut count = 0;
    // The one that is left out is for those who come with an issuer's word instead.
    let paths = document.at("paths").as_object().unwrap().iter();
    for (path, item) in paths.filter(|(path, _)| *path != "/auth/oidc") {
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            // One account each: after some failures an account is closed to its address for a while.
            let account = format!("tester{count}");
            let request = || http.request(method.clone(), format!("{url}{path}")).body("not even JSON");
            for request in [request(), request().basic_auth(account, Some("wrong"))] {
                let answer = send(request).await;
                let faults = judge_problem(&answer, 401, "unauthenticated", documented);
                assert_eq!(faults, [""; 0], "{method} {path}: {answer}");
                count += 1;
            }
        }
    }
    assert!(count >= 2 * 17, "{count} requests");
}

/// Nothing tells a missing header from a wrong password or an unknown account.
pub async fn every_fault_is_the_same_answer(scene: &Scene, documented: &BTreeSet<String>) {
    let (user, password) = (scene.rolecall.user.as_str(), scene.rolecall.password.as_str());
    let (http, url) =
        (Client::builder().no_proxy().build().unwrap(), format!("{}/api/v2/hosts", scene.rolecall.api.url()));
    let basic = |credentials: &[u8]| format!("Basic {}", STANDARD.encode(credentials)).into_bytes();
    let right = STANDARD.encode(format!("{user}:{password}"));
    let mut headers: Vec<Vec<u8>> = [
        "",
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic ====",
        "Bearer abc",
        "Digest username=\"tester\"",
        "Negotiate",
        "basic:abc",
        "\u{e9}",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    headers.push(format!("Bearer {right}").into_bytes());
    headers.push(right.clone().into_bytes());
    headers.push(format!("Basic {}", right.trim_end_matches('=')).into_bytes());
    headers.push(format!("Basic {right} {right}").into_bytes());
    headers.push(format!("Basic,{right}").into_bytes());
    headers.push(b"Basic \xff\xfe\xfd".to_vec());
    if right.ends_with('=') {
        assert_ne!(headers[11], headers[12]);
    } else {
        // Without padding the header is right as it stands.
        headers.remove(12);
    }
    let long = "p".repeat(60_000);
    for credentials in [
        "no colon",
        "",
        ":",
        &format!(":{password}"),
        &format!("{user}:"),
        &format!("{user}:{password} "),
        &format!("{user}:{}", password.to_uppercase()),
        &format!("{}:{password}", user.to_uppercase()),
        &format!("nobody:{password}"),
        "stranger:пароль",
        "tëster:x",
        "tester:a\0b",
        &format!("{user}\n:{password}"),
        &format!("{user}:{long}"),
        "' OR 1=1 --:x",
    ] {
        headers.push(basic(credentials.as_bytes()));
    }
    headers.push(basic(b"tester:\xff\xfe"));
    headers.push(basic(b"\xff\xfe:x"));

    let mut answers = BTreeSet::new();
    for header in headers {
        let value = HeaderValue::from_bytes(&header).unwrap();
        let answer = send(http.get(&url).header("authorization", value)).await;
        let shown = String::from_utf8_lossy(&header[..header.len().min(60)]).into_owned();
        assert_eq!(judge_problem(&answer, 401, "unauthenticated", documented), [""; 0], "{shown}: {answer}");
        answers.insert(answer.body.to_string());
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    send(http.get(&url).header("authorization", format!("bAsIc {right}"))).await.expect(200);
    the_right_one_among_two_is_not_enough(scene, &right).await;
    // More than the server reads of any head: it does not get as far as to ask who is calling.
    let giant =
        format!("GET / HTTP/1.1\r\nhost: x\r\nauthorization: Basic {}\r\n\r\n", "A".repeat(1_000_000));
    assert_eq!(raw::exchange(&scene.rolecall.api.url(), giant.as_bytes()).await.status, 431);
}

/// Which of two headers counts is nobody's guess.
async fn the_right_one_among_two_is_not_enough(scene: &Scene, right: &str) {
    let head = "GET /api/v2/hosts HTTP/1.1\r\nhost: x\r\n";
    for headers in [
        format!("authorization: Basic {right}\r\nauthorization: Basic eDp5\r\n"),
        format!("authorization: Basic eDp5\r\nauthorization: Basic {right}\r\n"),
    ] {
        let answer =
            raw::exchange(&scene.rolecall.api.url(), format!("{head}{headers}\r\n").as_bytes()).await;
        assert!(answer.is_problem(401, "unauthenticated"), "{answer}");
        assert_eq!(answer.body["retry"], Value::Bool(false));
    }
}
