//! The OpenAPI document and the page that shows it: true, complete, and without a need for anything else.

use std::collections::BTreeSet;
use std::io::{Seek, Write};
use std::process::Command;

use reqwest::{Client, Method};
use rolecall_tests::client::send;
use rolecall_tests::process::Role;
use rolecall_tests::{Answer, Installation};

/// What an item of `paths` may have besides methods.
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "patch", "options", "head", "trace"];

#[tokio::test]
async fn documents_are_true_and_need_nothing_from_elsewhere() {
    let installation = Installation::new("documents").await;
    let api = installation.start(Role::Api).await;
    let client = installation.client(&api);
    let http = Client::builder().no_proxy().build().unwrap();

    // Nobody is asked who they are.
    let document = send(http.get(format!("{}/openapi.json", api.url()))).await.expect(200);
    assert_eq!(document.text("openapi"), "3.1.0");
    let mut count = 0;
    for (path, item) in document.at("paths").as_object().unwrap() {
        let documented: BTreeSet<_> = item.as_object().unwrap().keys().map(String::as_str).collect();
        assert!(documented.iter().all(|method| METHODS.contains(method)), "{path}");
        for method in &documented {
            let operation = &item[*method];
            assert!(
                operation["summary"].is_string() && operation["responses"]["default"].is_object(),
                "{method} {path}"
            );
            count += 1;
        }
        served_as_documented(&client, path, &documented).await;
    }
    assert!(count >= 17, "{count} operations");
    every_reference_leads_somewhere(&document);
    the_page_is_whole(&http, &api.url()).await;
}

/// Every documented method is served, and no other one.
async fn served_as_documented(client: &rolecall_tests::Client, path: &str, documented: &BTreeSet<&str>) {
    for method in METHODS {
        let name = method.to_uppercase();
        let answer = send(client.request(name.parse::<Method>().unwrap(), path)).await;
        let is_served = documented.contains(method) || (method == "head" && documented.contains("get"));
        assert_ne!(answer.find("code"), Some("not_found"), "{name} {path}");
        assert_eq!(answer.status == 405, !is_served, "{name} {path}: {answer}");
        if !is_served {
            let allow = answer.header("allow").unwrap_or_default().to_lowercase();
            let mut allowed: BTreeSet<_> = allow.split(',').map(str::trim).collect();
            if documented.contains("get") {
                assert!(allowed.remove("head"), "{path} allows {allow}");
            }
            assert_eq!(allowed, *documented, "{name} {path}");
        }
    }
}

fn every_reference_leads_somewhere(document: &Answer) {
    let text = document.body.to_string();
    let mut count = 0;
    for reference in text.split("\"$ref\":\"").skip(1) {
        let (reference, _) = reference.split_once('"').unwrap();
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        assert!(document.body.pointer(pointer).is_some(), "{reference} leads nowhere");
        count += 1;
    }
    assert!(count > 20, "{count} references");
}

/// The page and all it loads come from here.
async fn the_page_is_whole(http: &Client, url: &str) {
    let moved = http.get(format!("{url}/docs")).send().await.unwrap();
    assert_eq!((moved.status().as_u16(), moved.url().path()), (200, "/docs/"));
    let html = file(http, &format!("{url}/docs/")).await;
    let mut loaded = 0;
    for attribute in ["src=\"", "href=\""] {
        for rest in html.split(attribute).skip(1) {
            let (link, _) = rest.split_once('"').unwrap();
            assert!(!link.contains("//"), "{link} is elsewhere");
            let text = file(http, &format!("{url}/docs/{}", link.trim_start_matches("./"))).await;
            assert!(!text.is_empty(), "{link} is empty");
            loaded += 1;
        }
    }
    assert!(loaded >= 4, "{loaded} files in {html}");
    assert!(!html.contains("<script>"), "the policy would not run an inline script");
    let start = file(http, &format!("{url}/docs/swagger-initializer.js")).await;
    assert!(start.contains("\"/openapi.json\"") && !start.contains("://"), "{start}");
    assert!(start.contains("\"validatorUrl\": \"none\""), "no online validator is asked: {start}");
    send(http.get(format!("{url}/docs/no-such-file.js"))).await.expect(404);
}

/// A file of the page, as a browser unpacks it.
async fn file(http: &Client, url: &str) -> String {
    let response = http.get(url).send().await.unwrap();
    assert_eq!(response.status(), 200, "{url}");
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'self'") && !policy.contains("//"), "{policy}");
    let is_packed = response.headers().get("content-encoding").is_some_and(|encoding| encoding == "gzip");
    let bytes = response.bytes().await.unwrap().to_vec();
    let bytes = if is_packed { unpacked(&bytes) } else { bytes };
    String::from_utf8_lossy(&bytes).into_owned()
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut packed = tempfile::tempfile().unwrap();
    packed.write_all(bytes).unwrap();
    packed.rewind().unwrap();
    let output = Command::new("gzip").arg("-dc").stdin(packed).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}
