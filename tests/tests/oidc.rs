//! ID tokens of a real issuer, got by a real log-in: whom they are taken for, and what `rolecall auth explain` says.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use rolecall_api::oidc::{Reason, Verifier};
use rolecall_shared::config::Oidc;
use rolecall_shared::domain::{Clock, SystemClock};
use rolecall_tests::client::{Answer, send};
use rolecall_tests::stack::checkout;
use rolecall_tests::{Installation, Issuer, binary, installation};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A configuration that has an issuer, and nothing that a service needs besides.
struct Configured {
    dir: TempDir,
    issuer: Issuer,
}

impl Configured {
    fn new(audience: &str, algorithms: &str) -> Self {
        let issuer = Issuer::start();
        let text = format!(
            "[oidc.local]\nissuer = '{}'\naudience = '{audience}'\nalgorithms = [{algorithms}]\n\
             [oidc.local.bindings.deploy]\naccount = 'ci-deploy'\n\
             [oidc.local.bindings.deploy.claims]\nrepository = 'acme/app'\nref = 'refs/heads/*'\n\
             [oidc.local.bindings.groups]\naccount = 'ci-groups'\n\
             [oidc.local.bindings.groups.claims]\nproject_path = 'acme/tool'\ngroups_direct = 'admins'\n",
            issuer.url
        );
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("rolecall.toml"), text).expect("a file can be written");
        Self { dir, issuer }
    }

    /// `rolecall auth explain` with the token on standard input.
    fn explain(&self, token: &str, arguments: &[&str]) -> Output {
        let mut command = installation::command_of(binary::rolecall(), &BTreeMap::new(), self.dir.path());
        let mut child = command
            .args(["auth", "explain"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary can be run");
        child.stdin.take().expect("a pipe").write_all(token.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        let text = [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat();
        for part in token.split('.').filter(|part| part.len() > 20) {
            assert!(!text.contains(part), "the token is in {text}");
        }
        output
    }

    /// The same as JSON, and the exit code.
    fn explained(&self, token: &str) -> (Value, Option<i32>) {
        let output = self.explain(token, &["--json"]);
        let value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&output.stderr)));
        (value, output.status.code())
    }

    /// In words, and the exit code.
    fn told(&self, token: &str) -> (String, Option<i32>) {
        let output = self.explain(token, &[]);
        (String::from_utf8(output.stdout).expect("text"), output.status.code())
    }
}

fn pipeline() -> Value {
    json!({
        "sub": "repo:acme/app:ref:refs/heads/main", "jti": "job-1", "nbf": SystemClock.now().as_second(),
        "repository": "acme/app", "ref": "refs/heads/main", "environment": "production",
    })
}

fn changed(name: &str, value: &Value) -> Value {
    let mut claims = pipeline();
    claims[name] = value.clone();
    claims
}

#[tokio::test]
async fn a_token_of_a_real_issuer_is_taken_for_the_bound_account() {
    let configured = Configured::new("rolecall-RS256", "'RS256'");
    let token = configured.issuer.id_token("RS256", &pipeline()).await;
    let (said, code) = configured.explained(&token);
    assert_eq!((code, &said["valid"], &said["issuer"]), (Some(0), &json!(true), &json!("local")), "{said}");
    assert_eq!(said["identity"]["owner"], "ci-deploy#local:repo:acme/app:ref:refs/heads/main");
    assert_eq!((&said["identity"]["jti"], &said["first_match"]), (&json!("job-1"), &json!("deploy")));
    assert_eq!(said["bindings"][1]["matches"], false);

    let file = configured.dir.path().join("token");
    std::fs::write(&file, format!("{token}\n")).expect("a file can be written");
    let output = configured.explain("", &["--token-file", file.to_str().expect("text")]);
    assert_eq!(output.status.code(), Some(0));
    let (text, _) = configured.told(&token);
    assert!(text.starts_with("the token is valid; its issuer is local\n"), "{text}");
    assert!(text.contains("binding groups (account ci-groups) does not match"), "{text}");
    assert!(text.contains("NO  groups_direct: expected `admins`, the token has none"), "{text}");
    assert!(text.ends_with("owner ci-deploy#local:repo:acme/app:ref:refs/heads/main\n"), "{text}");
}

#[tokio::test]
async fn lists_match_by_an_element_and_elliptic_curves_verify() {
    let configured = Configured::new("rolecall-ES256", "'RS256', 'ES256'");
    let mut claims = pipeline();
    claims["project_path"] = json!("acme/tool");
    claims["repository"] = json!("acme/other");
    claims["groups_direct"] = json!(["users", "admins"]);
    let (said, code) = configured.explained(&configured.issuer.id_token("ES256", &claims).await);
    assert_eq!((code, &said["identity"]["account"]), (Some(0), &json!("ci-groups")), "{said}");
}

#[tokio::test]
async fn what_is_wrong_is_told_with_the_bindings() {
    let configured = Configured::new("rolecall-RS256", "'RS256'");
    let issuer = &configured.issuer;
    let good = issuer.id_token("RS256", &pipeline()).await;
    let (head, _) = good.rsplit_once('.').expect("three parts");
    let forged = format!("{head}.{}", "A".repeat(342));
    for (token, reason, first_match) in [
        (
            issuer.id_token("RS256", &changed("repository", &json!("acme/app2"))).await,
            "no_binding",
            Value::Null,
        ),
        (issuer.id_token("RS256", &changed("jti", &Value::Null)).await, "claim_missing", json!("deploy")),
        (
            issuer.id_token("RS256", &changed("nbf", &json!(4_000_000_000_u64))).await,
            "not_yet_valid",
            json!("deploy"),
        ),
        (issuer.id_token("ES256", &pipeline()).await, "algorithm_not_allowed", json!("deploy")),
        (forged.clone(), "bad_signature", json!("deploy")),
        ("no token".to_owned(), "malformed", Value::Null),
        (Issuer::start().id_token("RS256", &pipeline()).await, "unknown_issuer", Value::Null),
    ] {
        let (said, code) = configured.explained(&token);
        assert_eq!((code, said["refusal"]["reason"].as_str()), (Some(1), Some(reason)), "{said}");
        assert_eq!(said["first_match"], first_match, "{reason}");
    }
    let (text, code) = configured.told(&forged);
    assert!(text.starts_with("the token is refused: bad_signature: "), "{text}");
    assert!(text.contains("WARNING: nobody vouches for the claims below"), "{text}");
    assert!(text.contains("ok  repository: expected `acme/app`, the token has `acme/app`"), "{text}");
    assert_eq!(code, Some(1));
    assert_eq!(configured.explain("", &["--no-such-flag"]).status.code(), Some(2));

    let other = Configured::new("somebody-else", "'RS256'");
    let (said, _) = other.explained(&other.issuer.id_token("RS256", &pipeline()).await);
    assert_eq!(said["refusal"]["reason"], "wrong_audience", "{said}");
}

/// The system's clock, some time ahead.
#[derive(Debug, Default)]
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + SignedDuration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn an_issuer_may_change_its_keys() {
    let configured = Configured::new("rolecall-RS256", "'RS256'");
    let settings = Oidc::load(Some(&configured.dir.path().join("rolecall.toml"))).expect("no fault");
    let clock = Arc::new(Ahead::default());
    let verifier = Verifier::new(&settings, Arc::clone(&clock) as Arc<dyn Clock>);
    let old = configured.issuer.id_token("RS256", &pipeline()).await;
    assert!(verifier.identify(&old).await.is_ok());

    configured.issuer.rotate().await;
    let new = configured.issuer.id_token("RS256", &pipeline()).await;
    // Just asked: a running process finds the new keys when it may ask again.
    assert_eq!(verifier.identify(&new).await.expect_err("too soon").reason, Reason::UnknownKey);
    clock.0.store(61, Ordering::SeqCst);
    assert!(verifier.identify(&new).await.is_ok());
    assert_eq!(verifier.identify(&old).await.expect_err("withdrawn").reason, Reason::UnknownKey);
    assert_eq!(configured.explained(&new).1, Some(0));
    let (said, code) = configured.explained(&old);
    assert_eq!((code, said["refusal"]["reason"].as_str()), (Some(1), Some("unknown_key")));
}

#[test]
fn every_reason_for_a_refusal_is_explained() {
    let page = std::fs::read_to_string(checkout().join("docs/OPERATIONS.md")).expect("a page");
    let (_, section) = page.split_once("### When a token is refused").expect("a section");
    let section = section.split("\n## ").next().expect("a first part");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let listed: BTreeSet<_> =
        rows.flat_map(|cell| cell.split("`, `")).map(|word| word.trim_matches('`')).collect();
    assert_eq!(listed, Reason::ALL.iter().map(|reason| reason.as_str()).collect());
}

/// Somebody with a session.
struct Bearer {
    url: String,
    token: String,
}

impl Bearer {
    async fn ask(&self, method: Method, path: &str, body: &Value) -> Answer {
        let http = reqwest::Client::builder().no_proxy().build().expect("a plain client");
        let request = http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        send(request.json(body)).await
    }
}

async fn exchange(url: &str, token: &str) -> Answer {
    let http = reqwest::Client::builder().no_proxy().build().expect("a plain client");
    send(http.post(format!("{url}/auth/oidc")).json(&json!({ "token": token }))).await
}

#[tokio::test]
async fn a_job_exchanges_its_token_once_and_pipelines_do_not_see_each_other() {
    let issuer = Issuer::start();
    let rolecall = Installation::builder("exchange")
        .set("oidc.local.issuer", &issuer.url)
        .set("oidc.local.audience", "rolecall-RS256")
        .set("oidc.local.bindings.deploy.account", "ci-deploy")
        .set("oidc.local.bindings.deploy.claims.repository", "acme/app")
        .set("oidc.local.bindings.deploy.claims.ref", "refs/heads/*")
        .start()
        .await;
    let url = rolecall.api.url();
    let token = issuer.id_token("RS256", &pipeline()).await;
    let missing = exchange(&url, &token).await.expect_problem(401, "identity_token_refused");
    assert_eq!(missing.text("reason"), "account_closed", "there is no such account");
    let rights = ["--access", "submit:*/*:*", "--access", "reveal:*/*:*"];
    let create = [&["accounts", "create", "ci-deploy"][..], &rights].concat();
    installation::run_well(&rolecall.environment(), rolecall.dir(), &create);

    let session = exchange(&url, &token).await.expect(200);
    exchange(&url, &token).await.expect_problem(401, "identity_token_used");
    let main = Bearer { url: url.clone(), token: session.text("token").to_owned() };
    let other = json!({
        "sub": "repo:acme/app:ref:refs/heads/other", "jti": "job-2", "nbf": SystemClock.now().as_second(),
        "repository": "acme/app", "ref": "refs/heads/other",
    });
    let session = exchange(&url, &issuer.id_token("RS256", &other).await).await.expect(200);
    let other = Bearer { url: url.clone(), token: session.text("token").to_owned() };

    let job = json!({ "operation": "create_role", "kind": "devqa", "username": rolecall.role("ada"),
                      "env": "dev", "database": rolecall.target(1).database });
    let accepted = main.ask(Method::POST, "/api/v2/jobs", &job).await.expect(202);
    let path = format!("/api/v2/tickets/{}", accepted.id());
    let ended = main.ask(Method::GET, &format!("{path}?wait=50"), &json!({})).await;
    ended.expect(200).expect_outcome("created");
    other.ask(Method::GET, &path, &json!({})).await.expect_problem(404, "ticket_not_found");
    let secret = format!("{path}/secret");
    other.ask(Method::POST, &secret, &json!({})).await.expect_problem(404, "ticket_not_found");
    main.ask(Method::POST, &secret, &json!({})).await.expect(200);

    let audit = rolecall.client.audit("event=session.opened").await.expect(200);
    assert_eq!((audit.text("items.0.detail.binding"), audit.text("items.0.via")), ("deploy", "oidc local"));
    assert_eq!(audit.text("items.1.owner"), "ci-deploy#local:repo:acme/app:ref:refs/heads/main");
    for (token, reason) in [
        (issuer.id_token("RS256", &changed("repository", &json!("evil/app"))).await, "no_binding"),
        ("a.b.c".to_owned(), "malformed"),
    ] {
        let refused = exchange(&url, &token).await.expect_problem(401, "identity_token_refused");
        assert_eq!(refused.text("reason"), reason, "{refused}");
    }
}
