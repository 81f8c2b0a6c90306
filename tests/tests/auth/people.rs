//! Accounts of every sort, made as operators make them.

use reqwest::{Method, RequestBuilder};
use rolecall_tests::client::send;
use rolecall_tests::installation::run_well;
use rolecall_tests::{Client, Installation};
use serde_json::Value;

use rolecall_tests::client::Answer;

/// Makes an account; its password.
pub(crate) fn account(rolecall: &Installation, name: &str, more: &[&str]) -> String {
    let command = [&["accounts", "create", name, "--json"][..], more].concat();
    let made = run(rolecall, &command);
    made["password"].as_str().expect("a password").to_owned()
}

/// Makes an account with these rights, as a caller.
pub(crate) fn with_rights(rolecall: &Installation, client: &Client, name: &str, access: &[&str]) -> Client {
    let more: Vec<&str> = access.iter().flat_map(|pattern| ["--access", pattern]).collect();
    let password = account(rolecall, name, &more);
    client.as_account(name, &password)
}

/// Runs a command of the binary and reads its JSON.
pub(crate) fn run(rolecall: &Installation, command: &[&str]) -> Value {
    let out = run_well(&rolecall.environment(), rolecall.dir(), command);
    serde_json::from_str(&out).expect("JSON")
}

/// A request with a bearer token.
pub(crate) fn bearer(url: &str, method: Method, path: &str, token: &str) -> RequestBuilder {
    let http = reqwest::Client::builder().no_proxy().build().expect("a plain client");
    http.request(method, format!("{url}{path}")).bearer_auth(token)
}

/// GET with a bearer token.
pub(crate) async fn get(url: &str, path: &str, token: &str) -> Answer {
    send(bearer(url, Method::GET, path, token)).await
}
