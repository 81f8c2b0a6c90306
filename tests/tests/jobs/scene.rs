//! What every suite here says often: the bodies of jobs, and a role that is made and whose password is taken.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use rolecall_tests::{Answer, Client, Running, Target};
use serde_json::{Value, json};

/// An upper bound for what happens by itself; no test waits this long when all is well.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// How many requests a test has under way when their number does not matter.
const AT_ONCE: usize = 32;

/// `create_role` in `dev`.
pub(crate) fn create(kind: &str, role: &str, target: &Target) -> Value {
    json!({
        "operation": "create_role", "kind": kind, "username": role, "env": "dev", "database": target.database,
    })
}

/// `reset_password` in `dev`.
pub(crate) fn reset(role: &str, target: &Target) -> Value {
    json!({ "operation": "reset_password", "username": role, "env": "dev", "database": target.database })
}

/// `set_search_path` in `dev`.
pub(crate) fn set_search_path(role: &str, schemas: &[&str], target: &Target) -> Value {
    json!({
        "operation": "set_search_path", "username": role, "schemas": schemas,
        "env": "dev", "database": target.database,
    })
}

/// The same job through another environment.
pub(crate) fn in_env(env: &str, mut job: Value) -> Value {
    job["env"] = env.into();
    job
}

/// The same job with one more field.
pub(crate) fn with(field: &str, value: impl Into<Value>, mut job: Value) -> Value {
    job[field] = value.into();
    job
}

/// A role that was made, and the password that was handed out for it.
pub(crate) struct Made {
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) ticket: String,
}

/// Makes a role of the kind `devqa` on a target and takes its password.
pub(crate) async fn make(rolecall: &Running, name: &str, target: &Target) -> Made {
    let name = rolecall.role(name);
    let ended = rolecall.client.run(&create("devqa", &name, target)).await.expect_outcome("created");
    let ticket = ended.id();
    Made { name, password: take(&rolecall.client, &ticket).await, ticket }
}

/// Takes a password that must be there.
pub(crate) async fn take(client: &Client, ticket: &str) -> String {
    client.take_secret(ticket).await.expect(200).text("password").to_owned()
}

/// Submits jobs at once, all of which must be accepted; their tickets in the order of the jobs.
pub(crate) async fn submit_at_once(client: &Client, jobs: &[Value]) -> Vec<String> {
    let answers = futures_util::future::join_all(jobs.iter().map(|job| client.submit(job))).await;
    answers.into_iter().map(|answer| answer.expect(202).id()).collect()
}

/// Waits for the end of all; their last answers in the same order.
pub(crate) async fn wait_all(client: &Client, tickets: &[String]) -> Vec<Answer> {
    stream::iter(tickets).map(|ticket| client.wait(ticket)).buffered(AT_ONCE).collect().await
}

/// Panics unless the job failed with this code.
#[track_caller]
pub(crate) fn assert_failed(ended: &Answer, code: &str) {
    let is_so = ended.find("state") == Some("failed") && ended.find("problem.code") == Some(code);
    assert!(is_so, "expected a job that failed with {code}, got {ended}");
}

/// How many answers have this outcome.
pub(crate) fn count(answers: &[Answer], outcome: &str) -> usize {
    answers.iter().filter(|answer| answer.find("outcome") == Some(outcome)).count()
}

/// Stops the host of a target, so that jobs wait.
pub(crate) async fn pause(client: &Client, target: &Target) {
    client.target_act("dev", &target.database, "pause").await.expect(200);
}

/// Lets the host go on.
pub(crate) async fn resume(client: &Client, target: &Target) {
    client.target_act("dev", &target.database, "resume").await.expect(200);
}

/// The tickets of an audited event, in the order in which it was written down.
pub(crate) async fn audited(client: &Client, event: &str) -> Vec<String> {
    let (mut tickets, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.audit(&format!("event={event}&limit=200{cursor}")).await.expect(200);
        tickets.extend(page.list("items").iter().filter_map(|row| row["ticket"].as_str().map(str::to_owned)));
        match page.find("next_cursor") {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    tickets.reverse();
    tickets
}
