//! The requests of the JSON:API document, as written there.

use reqwest::Method;
use rolecall_tests::Running;
use rolecall_tests::client::send;
use serde_json::{Value, json};

#[tokio::test]
async fn every_documented_request_is_answered_as_documented() {
    let rolecall = Running::start("users").await;
    let admin = rolecall.client.as_account("admin", &rolecall.make_account("admin", &["--admin"]));
    let new = json!({ "data": { "id": "my-user", "type": "inet",
                                "attributes": { "password": "my-password-1", "account": "basic" } } });
    admin.post("/v1/users/inet", &new).await.expect(204);
    let unix = json!({ "data": { "id": "jdoe", "type": "unix", "attributes": { "account": "basic" } } });
    admin.post("/v1/users/unix", &unix).await.expect(204);

    let base = rolecall.api.url();
    let one = admin.get("/v1/users/inet/my-user").await.expect(200);
    let itself = format!("{base}/v1/users/inet/my-user");
    assert_eq!(one.text("links.self"), itself);
    assert_eq!((one.text("data.id"), one.text("data.type")), ("my-user", "inet"));
    assert_eq!(one.text("data.attributes.account"), "basic");
    assert_eq!(one.text("data.relationships.self"), itself);
    assert_eq!(admin.get("/v1/users/unix/jdoe").await.expect(200).text("data.type"), "unix");
    let ids = async |path: &str| {
        let list = admin.get(path).await.expect(200);
        list.list("data")
            .iter()
            .map(|item| item["id"].as_str().expect("an id").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("/v1/users/inet").await, ["admin", "my-user"]);
    assert_eq!(ids("/v1/users/unix").await, ["jdoe"]);
    assert_eq!(ids("/v1/users").await, ["admin", "jdoe", "my-user"]);
    let all = admin.get("/v1/users").await.expect(200);
    assert_eq!(all.text("links.self"), format!("{base}/v1/users/"));
    assert!(!all.to_string().contains("password"));

    let change = json!({ "data": { "attributes": { "password": "new-password-1" } } });
    let patch = |body: &Value| admin.request(Method::PATCH, "/v1/users/inet/my-user").json(body);
    send(patch(&change)).await.expect(204);
    let user = rolecall.client.as_account("my-user", "new-password-1");
    user.get("/v1/users/inet/my-user").await.expect(200);
    // Who is basic and writes is told 401, and changes his own password nevertheless.
    let refused = user.post("/v1/users/inet", &new).await.expect(401);
    assert_eq!(refused.body, json!({ "errors": [{ "detail": "Access denied" }] }));
    let own = json!({ "data": { "attributes": { "password": "my-own-password" } } });
    send(user.request(Method::PATCH, "/v1/users/inet/my-user").json(&own)).await.expect(204);
    rolecall.client.as_account("my-user", "my-own-password").get("/v1/users").await.expect(200);

    admin.delete("/v1/users/inet/my-user").await.expect(204);
    admin.delete("/v1/users/unix/jdoe").await.expect(204);
    admin.get("/v1/users/inet/my-user").await.expect(404);
    let last = admin.delete("/v1/users/inet/admin").await.expect(403);
    assert!(last.text("errors.0.detail").contains("last administrator"), "{last}");
}

#[tokio::test]
async fn bodies_are_refused_by_the_pointer_of_what_is_wrong() {
    let rolecall = Running::start("bodies").await;
    let admin = &rolecall.client;
    let good = json!({ "data": { "id": "x", "type": "inet",
                                 "attributes": { "password": "long enough 1", "account": "basic" } } });
    for pointer in ["/data/id", "/data/type", "/data/attributes/password", "/data/attributes/account"] {
        let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
        let with = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
            let mut body = good.clone();
            change(body.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object"));
            body
        };
        for body in [
            with(&|map| drop(map.remove(field))),
            with(&|map| drop(map.insert(field.to_owned(), json!(7)))),
            with(&|map| drop(map.insert(field.to_owned(), json!("")))),
        ] {
            let refused = admin.post("/v1/users/inet", &body).await.expect(403);
            assert!(refused.text("errors.0.detail").contains(pointer), "{refused}");
        }
    }
    let changed = |pointer: &str, value: Value| {
        let mut body = good.clone();
        *body.pointer_mut(pointer).expect("it is there") = value;
        body
    };
    for body in [
        changed("/data/attributes/account", json!("root")),
        changed("/data/type", json!("unix")),
        changed("/data/attributes/password", json!("short")),
        changed("/data/id", json!("a:b")),
        changed("/data/attributes", json!({ "password": "long enough 1", "account": "basic", "acces": [] })),
        changed(
            "/data/attributes",
            json!({ "password": "long enough 1", "account": "basic", "access": ["*"] }),
        ),
    ] {
        admin.post("/v1/users/inet", &body).await.expect(403);
    }
    let raw = |text: &'static str| admin.request(Method::POST, "/v1/users/inet").body(text);
    send(raw("")).await.expect(403);
    send(raw("{")).await.expect(400);
    admin.post("/v1/users/inet", &good).await.expect(204);
    admin.post("/v1/users/inet", &good).await.expect(403);
    admin.get("/v1/users/unix/x").await.expect(404);
}
