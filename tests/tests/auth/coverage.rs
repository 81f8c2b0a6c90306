//! Every route and method there is, tried by nobody, with a wrong password, without the right, with exactly the right, by an
//! administrator, with a closed account and with an expired session. What is expected stands in one table; a route that is
//! not in it fails the test.

use std::collections::BTreeSet;

use reqwest::Method;
use rolecall_tests::client::{Answer, send};
use rolecall_tests::{Client, Installation, Running};
use serde_json::{Value, json};

use crate::people::{bearer, with_rights};

/// A route, the pattern that opens it (none: everybody who is somebody), and the statuses without the right, with it, and
/// for an administrator. All bodies are empty objects and all names in paths stand for nothing that exists, so that nothing
/// is changed: behind the door a request fails by itself.
type Row = (&'static str, &'static str, u16, u16, u16);

const TABLE: &[Row] = &[
    ("GET /api/v2/audit", "audit:*/*:*", 403, 200, 200),
    ("GET /api/v2/hosts", "read:*/*:*", 403, 200, 200),
    ("POST /api/v2/hosts/pause", "hosts:*/*:*", 403, 200, 200),
    ("POST /api/v2/hosts/drain", "hosts:*/*:*", 403, 200, 200),
    ("POST /api/v2/hosts/resume", "hosts:*/*:*", 403, 200, 200),
    ("POST /api/v2/hosts/{host}/pause", "hosts:*/*:*", 403, 404, 404),
    ("POST /api/v2/hosts/{host}/drain", "hosts:*/*:*", 403, 404, 404),
    ("POST /api/v2/hosts/{host}/resume", "hosts:*/*:*", 403, 404, 404),
    // What is asked is read first: without it nobody knows which right it needs.
    ("POST /api/v2/jobs", "submit:*/*:*", 422, 422, 422),
    ("POST /api/v2/jobs/batch", "submit:*/*:*", 422, 422, 422),
    ("GET /api/v2/targets", "read:*/*:*", 403, 200, 200),
    ("GET /api/v2/targets/{env}/{database}", "read:dev/nowhere:*", 403, 404, 404),
    ("PUT /api/v2/targets/{env}/{database}", "registry:dev/nowhere:*", 422, 422, 422),
    ("DELETE /api/v2/targets/{env}/{database}", "registry:dev/nowhere:*", 403, 404, 404),
    ("POST /api/v2/targets/{env}/{database}/check", "registry:dev/nowhere:*", 403, 404, 404),
    ("POST /api/v2/targets/{env}/{database}/pause", "hosts:dev/nowhere:*", 403, 404, 404),
    ("POST /api/v2/targets/{env}/{database}/resume", "hosts:dev/nowhere:*", 403, 404, 404),
    ("GET /api/v2/targets/{env}/{database}/roles", "read:dev/nowhere:*", 403, 404, 404),
    ("GET /api/v2/targets/{env}/{database}/roles/{name}", "read:dev/nowhere:*", 403, 404, 404),
    ("GET /api/v2/tickets", "", 200, 200, 200),
    // Tickets are their owner's: to everybody else they do not exist.
    ("GET /api/v2/tickets/{id}", "", 404, 404, 404),
    ("DELETE /api/v2/tickets/{id}", "", 404, 404, 404),
    ("GET /api/v2/tickets/{id}/events", "", 404, 404, 404),
    ("POST /api/v2/tickets/{id}/secret", "", 404, 404, 404),
    ("GET /api/v2/tokens", "", 200, 200, 200),
    ("POST /api/v2/tokens", "", 422, 422, 422),
    ("DELETE /api/v2/tokens/{id}", "", 404, 404, 404),
    // Webhooks are their owner's, too.
    ("GET /api/v2/webhooks", "", 200, 200, 200),
    ("POST /api/v2/webhooks", "", 422, 422, 422),
    ("GET /api/v2/webhooks/{id}", "", 404, 404, 404),
    ("PATCH /api/v2/webhooks/{id}", "", 404, 404, 404),
    ("DELETE /api/v2/webhooks/{id}", "", 404, 404, 404),
    ("POST /api/v2/webhooks/{id}/pause", "", 404, 404, 404),
    ("POST /api/v2/webhooks/{id}/resume", "", 404, 404, 404),
    ("POST /api/v2/webhooks/{id}/rotate", "", 404, 404, 404),
    ("POST /api/v2/webhooks/{id}/ping", "", 404, 404, 404),
    ("GET /api/v2/webhooks/{id}/deliveries", "", 404, 404, 404),
    ("POST /api/v2/webhooks/{id}/deliveries/{delivery}/replay", "", 404, 404, 404),
    ("POST /api/v2/webhooks/{id}/replay", "", 404, 404, 404),
    ("POST /api/v2/sessions", "", 201, 201, 201),
    ("DELETE /api/v2/sessions/{id}", "accounts:*/*:*", 403, 204, 204),
    // For those who come with somebody else's word; tried with none.
    ("POST /auth/oidc", "", 422, 422, 422),
    ("GET /auth/token", "", 200, 200, 200),
    ("POST /auth/token", "", 200, 200, 200),
    ("GET /auth/user", "", 200, 200, 200),
    ("GET /auth/user/list", "", 200, 200, 200),
    ("GET /auth/user/add", "accounts:*/*:*", 405, 405, 405),
    ("POST /auth/user/add", "accounts:*/*:*", 403, 404, 404),
    ("GET /auth/user/change", "accounts:*/*:*", 405, 405, 405),
    ("POST /auth/user/change", "accounts:*/*:*", 404, 404, 404),
    ("GET /history/list", "", 200, 200, 200),
    ("GET /history/result", "", 404, 404, 404),
    ("GET /api/v1/registry", "read:*/*:*", 403, 200, 200),
    // What is asked is read first here as well.
    ("GET /api/v1/users/all", "read:*/*:*", 400, 400, 400),
    ("GET /api/v1/users/find", "read:*/*:*", 400, 400, 400),
    ("GET /api/v1/users/app", "submit:*/*:*", 400, 400, 400),
    ("GET /api/v1/users/app-k8s", "submit:*/*:*", 400, 400, 400),
    ("GET /api/v1/users/devqa", "submit:*/*:*", 400, 400, 400),
    ("GET /api/v1/users/devlead", "submit:*/*:*", 400, 400, 400),
    ("GET /api/v1/users/readonly", "submit:*/*:*", 400, 400, 400),
    ("GET /api/v1/users/dba", "submit:*/*:*", 400, 400, 400),
    ("GET /api/v1/users/reset", "submit:*/*:*", 400, 400, 400),
    ("GET /api/v1/users/search-path", "submit:*/*:*", 400, 400, 400),
    ("GET /v1/users", "", 200, 200, 200),
    ("GET /v1/users/", "", 200, 200, 200),
    ("GET /v1/users/inet", "", 200, 200, 200),
    ("POST /v1/users/inet", "accounts:*/*:*", 401, 403, 403),
    ("GET /v1/users/inet/{name}", "accounts:*/*:*", 404, 404, 404),
    ("PATCH /v1/users/inet/{name}", "accounts:*/*:*", 401, 403, 403),
    ("DELETE /v1/users/inet/{name}", "accounts:*/*:*", 401, 404, 404),
    ("GET /v1/users/unix", "", 200, 200, 200),
    ("POST /v1/users/unix", "accounts:*/*:*", 401, 403, 403),
    ("GET /v1/users/unix/{name}", "accounts:*/*:*", 404, 404, 404),
    ("PATCH /v1/users/unix/{name}", "accounts:*/*:*", 401, 403, 403),
    ("DELETE /v1/users/unix/{name}", "accounts:*/*:*", 401, 404, 404),
];

/// Asks nobody.
const OPEN: &str = "POST /auth/oidc";

#[test]
fn every_route_stands_in_the_table() {
    let routes: BTreeSet<String> =
        rolecall_api::route_table().into_iter().map(|(method, path)| format!("{method} {path}")).collect();
    let known: BTreeSet<String> = TABLE.iter().map(|row| row.0.to_owned()).collect();
    assert_eq!(routes, known);
}

fn filled(path: &str) -> String {
    let path = path.replace("{env}", "dev").replace("{database}", "nowhere").replace("{name}", "nothing");
    let path = path.replace("{host}", "db9.example.com:5432").replace("{delivery}", "1");
    path.replace("{id}", "7d444840-9dc0-41d1-b245-5ffdce74fad2")
}

/// The method, and the path as it is asked for.
fn route(row: &Row) -> (Method, String) {
    let (method, path) = row.0.split_once(' ').expect("a method and a path");
    (method.parse().expect("a method"), filled(path))
}

async fn ask(client: &Client, row: &Row) -> Answer {
    let (method, path) = route(row);
    let request = client.request(method.clone(), &path);
    // A form for the dialect that reads forms; it stands for nothing.
    let is_form = path.starts_with("/auth/user");
    let needs_body = [Method::POST, Method::PUT, Method::PATCH].contains(&method) && !is_form;
    send(if needs_body { request.json(&body_of(&path)) } else { request }).await
}

fn body_of(path: &str) -> Value {
    // A name that is none is told as an unknown account and not as a body that is no change.
    if path.starts_with("/v1/users") && path.ends_with("nothing") { json!({ "data": {} }) } else { json!({}) }
}

#[tokio::test]
async fn every_route_is_open_to_exactly_those_who_may() {
    let rolecall = Installation::builder("coverage").set("auth.logins_per_minute", "100000").start().await;
    let client = &rolecall.client;
    let without = with_rights(&rolecall, client, "without", &[]);
    let admin = client.as_account("admin", &rolecall.make_account("admin", &["--admin"]));
    let closed = with_rights(&rolecall, client, "closed", &["*:*/*:*"]);
    rolecall.command_json(&["accounts", "set", "closed", "--disable", "--json"]);
    let ended = ended_session(&rolecall);

    for (number, row) in TABLE.iter().enumerate() {
        let (name, pattern, expected_without, expected_with, expected_admin) = *row;
        let exactly: &[&str] = if pattern.is_empty() { &[] } else { &[pattern] };
        let exactly = with_rights(&rolecall, client, &format!("exactly{number}"), exactly);
        let wrong = client.as_account(&format!("wrong{number}"), "not the password");
        for (who, client, expected) in [
            ("without the right", &without, expected_without),
            ("with exactly the right", &exactly, expected_with),
            ("an administrator", &admin, expected_admin),
        ] {
            let answer = ask(client, row).await;
            assert_eq!(answer.status, expected, "{name}, {who}: {answer}");
        }
        if name == OPEN {
            continue;
        }
        for (who, client) in [("a wrong password", &wrong), ("a closed account", &closed)] {
            let answer = ask(client, row).await;
            assert_eq!(answer.status, 401, "{name}, {who}: {answer}");
        }
        let (method, path) = route(row);
        let answer = send(bearer(&rolecall.api.url(), method.clone(), &path, &ended)).await;
        assert_eq!(answer.status, 401, "{name}, an ended session: {answer}");
        let http = reqwest::Client::builder().no_proxy().build().expect("a plain client");
        let answer = send(http.request(method, format!("{}{path}", rolecall.api.url()))).await;
        assert_eq!(answer.status, 401, "{name}, nobody: {answer}");
    }
}

/// A session in every way like one of ours, whose time is over.
fn ended_session(rolecall: &Running) -> String {
    use jsonwebtoken::{Algorithm, EncodingKey, Header};
    use rolecall_shared::domain::{Clock, SystemClock};
    use rolecall_shared::seal::KeyRing;

    let ring = KeyRing::load(&rolecall.key_file()).expect("the ring of the installation");
    let now = SystemClock.now();
    let (kid, key) = ring.derive("rolecall session 1", now).expect("a key");
    let claims = json!({
        "iss": "rolecall", "aud": "rolecall-api", "sub": "admin", "owner": "admin", "generation": "x",
        "opened_by": "basic", "jti": "7d444840-9dc0-41d1-b245-5ffdce74fad2",
        "iat": now.as_second() - 100, "exp": now.as_second() - 1,
    });
    let header = Header { kid: Some(kid), ..Header::new(Algorithm::HS256) };
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&*key)).expect("a token")
}
