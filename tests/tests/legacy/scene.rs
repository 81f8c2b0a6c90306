//! Calls as scripts make them, and their answers byte for byte.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;
use rolecall_tests::{Client, Target, eventually};
use serde_json::Value;

/// An upper bound for what happens by itself; no test waits this long when all is well.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Raw {
    /// Panics unless it is a line of JSON with this status.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/json", "{}", self.text);
        assert!(self.text.is_ascii() && self.text.ends_with("}\n"), "{:?}", self.text);
        serde_json::from_str(&self.text).unwrap()
    }

    /// Panics unless it is this answer.
    #[track_caller]
    pub(crate) fn expect_text(&self, status: u16, text: &str) {
        self.expect(status);
        assert_eq!(self.text, format!("{text}\n"));
    }
}

/// Sends a request and reads its answer.
pub(crate) async fn send(request: reqwest::RequestBuilder) -> Raw {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Raw { status, headers, text: response.text().await.unwrap() }
}

/// A GET.
pub(crate) async fn get(client: &Client, path: &str) -> Raw {
    send(client.request(Method::GET, path)).await
}

/// Parameters as they stand in a query, or as a form.
pub(crate) fn form(parameters: &[(&str, &str)]) -> String {
    let url = reqwest::Url::parse_with_params("http://x/", parameters).unwrap();
    url.query().unwrap_or_default().to_owned()
}

/// The path of a call about a role, in `dev`.
pub(crate) fn path(call: &str, role: &str, target: &Target) -> String {
    let of_kind = if call == "find" || call == "search-path" { "" } else { "&x=passed-over" };
    format!("/api/v1/users/{call}?env=dev&database={}&username={role}{of_kind}", target.database)
}

/// A call about a role, in `dev`.
pub(crate) async fn call(client: &Client, call: &str, role: &str, target: &Target) -> Raw {
    get(client, &path(call, role, target)).await
}

/// A call that answers a password.
pub(crate) async fn password(client: &Client, name: &str, role: &str, target: &Target) -> String {
    let body = call(client, name, role, target).await.expect(200);
    body["password"].as_str().unwrap_or_else(|| panic!("no password in {body}")).to_owned()
}

/// Stops the host of a target, so that jobs wait.
pub(crate) async fn pause(client: &Client, target: &Target) {
    client.target_act("dev", &target.database, "pause").await.expect(200);
}

/// Lets the host go on.
pub(crate) async fn resume(client: &Client, target: &Target) {
    client.target_act("dev", &target.database, "resume").await.expect(200);
}

/// How many rows of the audit have this event.
pub(crate) async fn audited(client: &Client, event: &str) -> usize {
    client.audit(&format!("event={event}&limit=200")).await.expect(200).list("items").len()
}

/// Waits until somebody has submitted a job of this installation; its ticket.
pub(crate) async fn first_ticket(rolecall: &rolecall_tests::Installation) -> String {
    use redis::AsyncCommands;

    let client = redis::Client::open(rolecall.setting("redis.url").unwrap()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let prefix = format!("{}:ticket:", rolecall.setting("redis.prefix").unwrap());
    eventually("a ticket", SOON, async || {
        let keys: Vec<String> = redis.keys(format!("{prefix}*")).await.unwrap();
        let state: Option<String> = redis.hget(keys.first()?, "state").await.unwrap();
        (state? == "queued").then(|| keys[0].strip_prefix(&prefix).unwrap().to_owned())
    })
    .await
}
