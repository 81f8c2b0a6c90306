//! The OpenAPI document and the page that shows it: true, complete, and without a need for anything else.

use std::collections::BTreeSet;

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
    let get = async |path: &str| send(http.get(format!("{}{path}", api.url()))).await;

    // Nobody is asked who they are.
    let document = get("/openapi.json").await.expect(200);
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
    the_page_is_whole(&get).await;
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
async fn the_page_is_whole(get: &impl AsyncFn(&str) -> Answer) {
    assert!(matches!(get("/docs").await.status, 200 | 303 | 307 | 308));
    let page = get("/docs/").await.expect(200);
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'self'"));
    let html = page.body.as_str().unwrap();
    let mut loaded = 0;
    for attribute in ["src=\"", "href=\""] {
        for rest in html.split(attribute).skip(1) {
            let (link, _) = rest.split_once('"').unwrap();
            assert!(!link.contains("//"), "{link} is elsewhere");
            let file = get(&format!("/docs/{}", link.trim_start_matches("./"))).await.expect(200);
            assert!(file.body.as_str().is_some_and(|text| !text.is_empty()), "{link} is empty");
            loaded += 1;
        }
    }
    assert!(loaded >= 4, "{loaded} files");
    assert!(!html.contains("<script>"), "the policy would not run an inline script");
    let start = get("/docs/swagger-initializer.js").await.expect(200);
    let start = start.body.as_str().unwrap();
    assert!(start.contains("/openapi.json") && !start.contains("://"), "{start}");
    assert!(start.contains("\"validatorUrl\": \"none\""), "no online validator is asked: {start}");
    get("/docs/no-such-file.js").await.expect(404);
}
