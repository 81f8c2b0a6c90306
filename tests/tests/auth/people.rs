//! Accounts of every sort, made as operators make them.

use reqwest::{Method, RequestBuilder};
use rolecall_tests::client::{Answer, send};
use rolecall_tests::{Client, Installation};

/// Makes an account with these rights, as a caller.
pub(crate) fn with_rights(rolecall: &Installation, client: &Client, name: &str, access: &[&str]) -> Client {
    let more: Vec<&str> = access.iter().flat_map(|pattern| ["--access", pattern]).collect();
    let password = rolecall.make_account(name, &more);
    client.as_account(name, &password)
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
