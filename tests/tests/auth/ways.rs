//! API tokens, sessions, the local socket, and limits on those who have proven nothing.

use std::process::Command;
use std::time::Duration;

use reqwest::Method;
use rolecall_tests::client::send;
use rolecall_tests::process::Role;
use rolecall_tests::{Installation, Running, eventually};
use serde_json::{Value, json};

use crate::people::{bearer, get, with_rights};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn an_api_token_does_what_its_scope_allows_until_it_is_revoked_everywhere() {
    let rolecall = Running::start("tokens").await;
    let another = rolecall.start(Role::Api).await;
    let url = rolecall.api.url();
    let ci = with_rights(&rolecall, &rolecall.client, "ci", &["read:dev/*:*", "submit:dev/*:*"]);
    let wider = json!({ "name": "x", "scope": ["read:*/*:*"] });
    ci.post("/api/v2/tokens", &wider).await.expect_problem(403, "forbidden");
    let made = ci.post("/api/v2/tokens", &json!({ "name": "deploy", "scope": ["read:dev/*:*"] })).await;
    let made = made.expect(201);
    let token = made.text("token");
    assert!(token.starts_with("rck_") && token.len() == 47);

    for url in [&url, &another.url()] {
        get(url, "/api/v2/targets", token).await.expect(200);
        let job = json!({ "operation": "create_role", "kind": "devqa", "username": rolecall.role("x"),
                          "env": "dev", "database": rolecall.target(1).database });
        let refused = send(bearer(url, Method::POST, "/api/v2/jobs", token).json(&job)).await;
        assert!(refused.is_problem(403, "forbidden"), "its account may, it may not: {refused}");
        get(url, &format!("/api/v2/targets?token={token}"), "x").await.expect_problem(401, "unauthenticated");
    }
    let listed = ci.get("/api/v2/tokens").await.expect(200);
    assert_eq!(listed.text("items.0.name"), "deploy");
    assert!(!listed.to_string().contains(token));
    assert!(listed.find("items.0.last_used_at").is_some());

    ci.delete(&format!("/api/v2/tokens/{}", made.text("id"))).await.expect(200);
    get(&url, "/api/v2/targets", token).await.expect_problem(401, "unauthenticated");
    eventually("the other process to hear of it", SOON, async || {
        (get(&another.url(), "/api/v2/targets", token).await.status == 401).then_some(())
    })
    .await;
    let audit = rolecall.client.audit("event=token.revoked").await.expect(200);
    assert_eq!(audit.text("items.0.detail.token"), made.text("id"));
    assert_eq!((audit.text("items.0.account"), audit.text("items.0.via")), ("ci", "basic"));
}

#[tokio::test]
async fn a_session_ends_by_itself_by_its_owner_and_with_its_account_s_password() {
    let rolecall = Running::start("sessions").await;
    let url = rolecall.api.url();
    let ci = with_rights(&rolecall, &rolecall.client, "ci", &["read:*/*:*"]);
    let open = async || ci.post("/api/v2/sessions", &json!({})).await.expect(201);
    let session = open().await;
    let token = session.text("token");
    get(&url, "/api/v2/targets", token).await.expect(200);
    let from_session = send(bearer(&url, Method::POST, "/api/v2/sessions", token)).await;
    assert!(from_session.is_problem(403, "forbidden"), "one does not live for ever: {from_session}");
    send(bearer(&url, Method::DELETE, "/api/v2/sessions/current", token)).await.expect(204);
    get(&url, "/api/v2/targets", token).await.expect_problem(401, "unauthenticated");

    let session = open().await;
    get(&url, "/api/v2/targets", session.text("token")).await.expect(200);
    let file = rolecall.dir().join("another");
    std::fs::write(&file, "another good password\n").expect("a file");
    let path = file.to_str().expect("UTF-8");
    rolecall.command_json(&["accounts", "set", "ci", "--password-file", path, "--json"]);
    eventually("the session to be over", SOON, async || {
        (get(&url, "/api/v2/targets", session.text("token")).await.status == 401).then_some(())
    })
    .await;
    ci.get("/api/v2/targets").await.expect_problem(401, "unauthenticated");
    ci.as_account("ci", "another good password").get("/api/v2/targets").await.expect(200);
    let audit = rolecall.client.audit("event=session.opened").await.expect(200);
    assert_eq!(audit.list("items").len(), 2);
}

#[tokio::test]
async fn a_second_unix_account_is_let_in_over_the_socket_and_is_itself() {
    const NAME: &str = "rolecall-test-ci";
    let mut rolecall = Installation::new("socket").await;
    let socket = rolecall.dir().join("api.sock");
    rolecall.set("api.unix_socket", socket.to_str().expect("UTF-8"));
    rolecall.set("api.unix_socket_mode", "0666");
    let opened = Command::new("chmod").args(["0755", rolecall.dir().to_str().expect("UTF-8")]).status();
    assert!(opened.expect("chmod runs").success());
    // Exists already after an earlier run.
    _ = Command::new("useradd").args(["--system", "--no-create-home", NAME]).output().expect("useradd runs");
    let api = rolecall.start(Role::Api).await;
    let asked = |path: &str| {
        let output = Command::new("setpriv")
            .args(["--reuid", NAME, "--clear-groups", "curl", "-s", "--unix-socket"])
            .arg(&socket)
            .args(["-w", "\n%{http_code}", &format!("http://localhost{path}")])
            .output()
            .expect("setpriv and curl run");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let (body, status) =
            text.rsplit_once('\n').map(|(b, s)| (b.to_owned(), s.to_owned())).expect("a status");
        (status, serde_json::from_str::<Value>(&body).unwrap_or_default())
    };
    assert_eq!(asked("/auth/user").0, "401", "nobody has enabled it");
    rolecall.command_json(&["accounts", "create", NAME, "--unix", "--access", "read:*/*:*", "--json"]);
    let (status, body) = asked("/auth/user");
    assert_eq!((status.as_str(), &body["list"]["username"]), ("200", &json!(NAME)), "{body}");
    assert_eq!(asked("/api/v2/targets").0, "200");
    assert_eq!(asked("/api/v2/audit").0, "403");

    // The name alone, over the network, is nothing.
    let client = rolecall.client(&api).as_account(NAME, "");
    client.get("/auth/user").await.expect(401);
    rolecall.command_json(&["accounts", "set", NAME, "--disable", "--json"]);
    eventually("it to be closed", SOON, async || (asked("/auth/user").0 == "401").then_some(())).await;
}

#[tokio::test]
async fn who_fails_is_slowed_down_and_an_owner_at_work_is_not() {
    let rolecall = Running::start("failures").await;
    let password = rolecall.make_account("ci", &["--access", "read:*/*:*"]);
    let (right, wrong) =
        (rolecall.client.as_account("ci", &password), rolecall.client.as_account("ci", "wrong"));
    let nobody = rolecall.client.as_account("nobody", "wrong");
    right.get("/api/v2/targets").await.expect(200);
    for client in [&wrong, &nobody] {
        for _ in 0..3 {
            client.get("/api/v2/targets").await.expect_problem(401, "unauthenticated");
        }
        let refused = client.get("/api/v2/targets").await.expect_problem(429, "too_many_requests");
        assert!(refused.header("retry-after").is_some(), "{refused}");
    }
    right.get("/api/v2/targets").await.expect(200);
    eventually("the failures to be in the audit", SOON, async || {
        let audit = rolecall.client.audit("event=login.failed").await.expect(200);
        let count = |item: &Value| item["detail"]["count"].as_u64().expect("a number");
        let of =
            |name: &str| audit.list("items").iter().filter(|i| i["account"] == name).map(count).sum::<u64>();
        // Who does not exist is not named.
        assert!(!audit.to_string().contains("nobody"), "{audit}");
        (of("ci") == 3 && of("-") == 5).then_some(())
    })
    .await;
}

/// A change of an account ends what was proven; a flood from the same address must not keep its owner from proving it again.
#[tokio::test]
async fn a_flood_from_the_same_address_locks_out_nobody_who_was_right() {
    let rolecall = Installation::builder("flooded").set("auth.logins_per_minute", "10").start().await;
    let password = rolecall.make_account("ci", &["--access", "read:*/*:*"]);
    let right = rolecall.client.as_account("ci", &password);
    right.get("/api/v2/audit").await.expect_problem(403, "forbidden");
    let mut names = 0..;
    let mut flood = async || {
        eventually("the address to be refused", SOON, async || {
            let name = format!("nobody{}", names.next().expect("a number"));
            let answer = rolecall.client.as_account(&name, "wrong").get("/api/v2/targets").await;
            (answer.status == 429).then_some(())
        })
        .await;
    };
    flood().await;
    rolecall.command_json(&["accounts", "set", "ci", "--access", "audit:*/*:*", "--json"]);
    eventually("the change to count", SOON, async || {
        flood().await;
        let answer = right.get("/api/v2/audit").await;
        assert_ne!(answer.status, 429, "{answer}");
        (answer.status == 200).then_some(())
    })
    .await;
}
