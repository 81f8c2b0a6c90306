//! PUT, GET, list and DELETE, with their preconditions and their audit.

use futures_util::{StreamExt, stream};
use reqwest::Method;
use rolecall_tests::client::send;
use rolecall_tests::{Client, Running};
use serde_json::{Value, json};

use crate::{create, events, own_login, pages, with};

const PATH: &str = "/api/v2/targets/qa/shop";

fn registration() -> Value {
    json!({ "hostname": "db9.example.com", "port": 6543, "login": own_login("dba", "hunter2-hunter2"),
            "sslmode": "require", "lock_database": "locks", "notes": "Ask the shop team." })
}

#[tokio::test]
async fn a_target_lives_and_its_changes_are_guarded() {
    let rolecall = Running::start("registry").await;
    let client = &rolecall.client;
    let put = async |body: &Value, header: &str, value: &str| {
        send(client.request(Method::PUT, PATH).header(header, value).json(body)).await
    };
    let get = async |tag: &str| send(client.request(Method::GET, PATH).header("if-none-match", tag)).await;

    put(&registration(), "if-match", "*").await.expect_problem(412, "revision_mismatch");
    put(&registration(), "if-match", "\"1\"").await.expect_problem(412, "revision_mismatch");
    client.get(PATH).await.expect_problem(404, "target_not_found");
    let added = put(&registration(), "if-none-match", "*").await.expect(201);
    assert_eq!((added.header("location"), added.header("etag")), (Some(PATH), Some("\"1\"")));
    let shown = json!({
        "env": "qa", "database": "shop", "hostname": "db9.example.com", "port": 6543, "sslmode": "require",
        "login": { "default": false, "user": "dba", "password": "sealed" }, "lock_database": "locks",
        "active": true, "notes": "Ask the shop team.", "revision": 1,
        "created_at": added.at("created_at"), "updated_at": added.at("created_at"),
    });
    assert_eq!(added.body, shown);
    assert_eq!(client.get(PATH).await.expect(200).body, shown);
    assert_eq!(get("\"1\"").await.expect(304).header("etag"), Some("\"1\""));
    get("\"2\"").await.expect(200);

    put(&registration(), "if-none-match", "*").await.expect_problem(412, "revision_mismatch");
    let changed = with(&without_password(), "notes", "Ask the new team.");
    let refused = put(&changed, "if-match", "\"7\"").await.expect_problem(412, "revision_mismatch");
    assert_eq!(refused.body["revision"], 1);
    let answer = put(&changed, "if-match", "\"1\"").await.expect(200);
    assert_eq!((answer.header("etag"), answer.at("notes")), (Some("\"2\""), &json!("Ask the new team.")));
    put(&changed, "if-match", "\"1\"").await.expect_problem(412, "revision_mismatch");
    // The same again changes nothing, and leaves no row.
    assert_eq!(put(&changed, "if-match", "*").await.expect(200).header("etag"), Some("\"2\""));

    let delete = async |tag: &str| send(client.request(Method::DELETE, PATH).header("if-match", tag)).await;
    delete("\"1\"").await.expect_problem(412, "revision_mismatch");
    delete("\"2\"").await.expect(204);
    delete("*").await.expect_problem(404, "target_not_found");
    client.get(PATH).await.expect_problem(404, "target_not_found");

    assert_eq!(events(client, "env=qa").await, ["target.added", "target.changed", "target.removed"]);
    let audit = client.audit("env=qa&event=target.changed").await.expect(200);
    let detail =
        json!({ "before": { "notes": "Ask the shop team." }, "after": { "notes": "Ask the new team." } });
    assert_eq!(*audit.at("items.0.detail"), detail);
    assert_eq!(audit.text("items.0.account"), rolecall.user);
    assert_eq!(audit.text("items.0.address"), "127.0.0.1");
}

fn without_password() -> Value {
    with(&registration(), "login", json!({ "user": "dba" }))
}

#[tokio::test]
async fn a_long_list_comes_in_pages_and_none_is_lost() {
    let rolecall = Running::start("many-targets").await;
    let client = &rolecall.client;
    let names: Vec<String> = (0..250).map(|n| format!("d{n:03}")).collect();
    let put = async |name: &String| {
        let body = json!({ "hostname": "db9.example.com", "login": own_login("dba", "hunter2") });
        client.put_target("many", name, &body).await.expect(201);
    };
    stream::iter(&names).map(put).buffer_unordered(8).collect::<Vec<()>>().await;

    for (limit, count) in [(200, 2), (50, 6), (126, 2), (252, 0)] {
        if count == 0 {
            client
                .get(&format!("/api/v2/targets?limit={limit}"))
                .await
                .expect_problem(400, "malformed_request");
            continue;
        }
        let (items, pages) = pages(client, "/api/v2/targets?", limit).await;
        assert_eq!((items.len(), pages), (252, count), "of {limit}");
        let keys: Vec<_> =
            items.iter().map(|i| (i["env"].as_str().unwrap(), i["database"].as_str().unwrap())).collect();
        assert!(keys.is_sorted(), "by environment and database, each once: {keys:?}");
        assert_eq!(keys.iter().filter(|(env, _)| *env == "many").count(), 250);
    }
    assert_eq!(client.get("/api/v2/targets").await.expect(200).list("items").len(), 50, "the default");
    what_comes_meanwhile_moves_no_page(client).await;
}

/// A cursor is a place and not a count.
async fn what_comes_meanwhile_moves_no_page(client: &Client) {
    let first = client.get("/api/v2/targets?limit=100").await.expect(200);
    client.delete("/api/v2/targets/many/d000").await.expect(204);
    let next = client
        .get(&format!("/api/v2/targets?limit=100&cursor={}", first.text("next_cursor")))
        .await
        .expect(200);
    let last = first.list("items").last().unwrap()["database"].as_str().unwrap();
    let number: usize = last[1..].parse().unwrap();
    assert_eq!(next.at("items.0.database"), &json!(format!("d{:03}", number + 1)));
}

#[tokio::test]
async fn two_targets_of_a_host_agree_on_its_lock() {
    let rolecall = Running::start("host-settings").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let other = with(&target.registration(), "lock_database", "postgres");
    client.put_target("qa", "other", &other).await.expect_problem(409, "host_settings_conflict");
    client.target("qa", "other").await.expect_problem(404, "target_not_found");
    client.put_target("qa", "other", &target.registration()).await.expect(201);
    client.put_target("qa", "other", &other).await.expect_problem(409, "host_settings_conflict");
    // Alone on its host a target may move the lock.
    client.delete("/api/v2/targets/qa/other").await.expect(204);
    client.put_target("dev", &target.database, &other).await.expect(200);
    assert_eq!(events(client, "env=qa").await, ["target.added", "target.removed"]);
}

#[tokio::test]
async fn a_database_may_have_any_name() {
    let rolecall = Running::start("odd-names").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let name = format!("Wéird \"; DROP ROLE x; -- %2F/{}", rolecall.id);
    let superuser = target.superuser("postgres").await;
    let quoted = name.replace('"', "\"\"");
    superuser.batch_execute(&format!("CREATE DATABASE \"{quoted}\"")).await.unwrap();

    let path = format!("/api/v2/targets/dev/{}", percent_encoded(&name));
    let put = client.put(&path, &target.registration()).await.expect(201);
    assert_eq!((put.text("database"), put.header("location")), (name.as_str(), Some(path.as_str())));
    assert_eq!(client.get(&path).await.expect(200).text("database"), name);
    client.post(&format!("{path}/check"), &json!({})).await.expect(200);

    let role = rolecall.role("ada");
    let ended =
        client.run(&with(&create(target, &role), "database", name.as_str())).await.expect_outcome("created");
    assert_eq!((ended.text("database"), ended.text("links.target")), (name.as_str(), path.as_str()));
    let secret = client.take_secret(&ended.id()).await.expect(200);
    let session = target.login(&role, secret.text("password"), &name).await.unwrap();
    let current: String = session.query_one("SELECT current_database()::text", &[]).await.unwrap().get(0);
    assert_eq!(current, name);
    let found = client.get(&format!("{path}/roles/{role}")).await.expect(200);
    assert_eq!(*found.at("database_settings"), json!(["search_path=public"]));
    client.delete(&path).await.expect(204);
}

/// Everything but the unreserved characters (RFC 3986, section 2.3).
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}
