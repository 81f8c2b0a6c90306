//! The native API from the outside: the real api and worker over HTTP, on the stack's servers.
//!
//! * [`bad_input`]: everything that is refused, and that it is refused well.
//! * [`targets`]: the registry, log-ins, pause and resume.
//! * [`checks`], [`tls`]: what is read from a target itself, and over which connection.
//! * [`reading`]: audit, hosts, documents, metrics, limits, the end of the process.
//!
//! [`case`] judges one refused request, [`raw`] sends what no HTTP library would.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it is surprised")]

mod bad_input;
mod case;
mod checks;
mod raw;
mod reading;
mod targets;
mod tls;

use std::time::Duration;

use rolecall_tests::{Answer, Client, Running, Target};
use serde_json::{Value, json};

/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The body of a job that makes a role of the kind `devqa`.
fn create(target: &Target, role: &str) -> Value {
    json!({ "operation": "create_role", "kind": "devqa", "username": role,
            "env": "dev", "database": target.database })
}

/// A log-in of a target's own.
fn own_login(user: &str, password: &str) -> Value {
    json!({ "user": user, "password": password })
}

/// A copy of an object with one more field, or another value of it.
fn with(object: &Value, field: &str, value: impl Into<Value>) -> Value {
    let mut object = object.clone();
    object[field] = value.into();
    object
}

/// A copy of an object without a field.
fn without(object: &Value, field: &str) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove(field);
    object
}

/// User and password of the DBA role, which is also the default log-in.
fn dba(rolecall: &Running) -> [&str; 2] {
    ["default_login.user", "default_login.password"].map(|key| rolecall.setting(key).unwrap())
}

/// A port on loopback where nobody listens.
fn closed_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// All items of a list, page by page.
async fn pages(client: &Client, path: &str, limit: usize) -> (Vec<Value>, usize) {
    let (mut items, mut count) = (Vec::new(), 0);
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("{path}limit={limit}{cursor}")).await.expect(200);
        count += 1;
        assert!(page.list("items").len() <= limit, "{path}");
        items.extend_from_slice(page.list("items"));
        match page.find("next_cursor") {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (items, count),
        }
    }
}

/// The page of `/api/v2/hosts` entry of a host.
async fn host(client: &Client, host: &str) -> Value {
    let (hosts, _) = pages(client, "/api/v2/hosts?", 200).await;
    hosts.into_iter().find(|found| found["host"] == host).unwrap_or_else(|| panic!("no host {host}"))
}

/// The names of the events of the audit that a query finds, oldest first.
async fn events(client: &Client, query: &str) -> Vec<String> {
    let answer: Answer = client.audit(&format!("limit=200&{query}")).await.expect(200);
    answer.list("items").iter().rev().map(|row| row["event"].as_str().unwrap().to_owned()).collect()
}
