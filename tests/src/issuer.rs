//! A real OpenID provider on this machine: `tests/oidc-provider`, with tokens that are got as a browser gets them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Url, redirect};
use serde_json::Value;

use crate::stack::checkout;

/// Where a browser would be sent back to; nobody goes there.
const REDIRECT: &str = "https://client.example/back";
/// More steps than a log-in has.
const MOST_STEPS: usize = 12;

/// A running provider. Dropped, it is killed.
#[derive(Debug)]
pub struct Issuer {
    /// What its tokens name as `iss`.
    pub url: String,
    child: Child,
    // It ends when this is closed, also if the test is killed.
    _input: ChildStdin,
    http: Client,
}

impl Issuer {
    /// Starts it on a free port, with keys of its own; installs it first.
    pub fn start() -> Self {
        install();
        let mut child = Command::new("node")
            .arg("issuer.mjs")
            .current_dir(checkout().join("tests/oidc-provider"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node can be run");
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("it says where it listens");
        let said: Value = serde_json::from_str(&line).expect("it says so in JSON");
        let http = Client::builder().no_proxy().redirect(redirect::Policy::none()).build().expect("a client");
        Self { url: said["issuer"].as_str().expect("an issuer").to_owned(), child, _input: input, http }
    }

    /// An ID token with these claims, `sub` among them, by the authorization code flow (OpenID Connect Core 1.0,
    /// section 3.1): the way there, the log-in, the consent, and the code for the token.
    pub async fn id_token(&self, algorithm: &str, claims: &Value) -> String {
        let client_id = format!("rolecall-{algorithm}");
        let query = [
            ("client_id", client_id.as_str()),
            ("response_type", "code"),
            ("scope", "openid ci"),
            ("redirect_uri", REDIRECT),
            ("login_hint", &claims.to_string()),
        ];
        let begin = Url::parse_with_params(&format!("{}/auth", self.url), query).expect("a URL");
        let code = self.log_in(begin).await;
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", &client_id),
            ("code", &code),
            ("redirect_uri", REDIRECT),
        ];
        let body = Url::parse_with_params("http://form/", form).expect("a form");
        let answer = self
            .http
            .post(format!("{}/token", self.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.query().unwrap_or_default().to_owned())
            .send()
            .await
            .expect("the issuer answers");
        let answer: Value = answer.json().await.expect("JSON");
        answer["id_token"].as_str().unwrap_or_else(|| panic!("no ID token: {answer}")).to_owned()
    }

    /// Follows where a browser is sent, with its cookies, until that is the client; the code it comes with.
    async fn log_in(&self, mut url: Url) -> String {
        let mut cookies = BTreeMap::new();
        for _ in 0..MOST_STEPS {
            let jar: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let answer = self.http.get(url.clone()).header(COOKIE, jar.join("; ")).send().await;
            let answer = answer.expect("the issuer answers");
            for cookie in answer.headers().get_all(SET_COOKIE) {
                let pair = cookie.to_str().expect("text").split(';').next().unwrap_or_default();
                let (name, value) = pair.split_once('=').expect("a cookie has a value");
                cookies.insert(name.to_owned(), value.to_owned());
            }
            let next = answer.headers().get(LOCATION).map(|next| next.to_str().expect("text").to_owned());
            let Some(next) = next else {
                panic!("stopped at {url}: {}", answer.text().await.expect("text"));
            };
            url = url.join(&next).expect("a URL");
            if url.as_str().starts_with(REDIRECT) {
                let code = url.query_pairs().find(|(name, _)| name == "code");
                return code.unwrap_or_else(|| panic!("no code: {url}")).1.into_owned();
            }
        }
        panic!("after {MOST_STEPS} steps still on the way: {url}");
    }

    /// Replaces its keys by new ones.
    pub async fn rotate(&self) {
        let answer = self.http.post(format!("{}/-/rotate", self.url)).send().await;
        assert!(answer.expect("the issuer answers").status().is_success());
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        // Fails only for a process that has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Once per process; the script itself is repeatable and lets one in at a time.
fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let script = checkout().join("tests/oidc-provider/install");
        let status = Command::new(script).stdin(Stdio::null()).status().expect("the script can be run");
        assert!(status.success(), "tests/oidc-provider/install: {status}; its own message says why");
    });
}
