//! Every `/auth` call of barman-api's document.

use rolecall_tests::client::send;
use rolecall_tests::{Installation, Running};
use serde_json::json;

use crate::people::get;

#[tokio::test]
async fn every_documented_call_works_and_lists_are_never_evaluated() {
    let rolecall: Running = Installation::builder("barman").set("legacy.get_writes", "true").start().await;
    let password = rolecall.make_account("memin", &["--admin"]);
    let admin = rolecall.client.as_account("memin", &password);
    let token = admin.get("/auth/token").await.expect(200);
    get(&rolecall.api.url(), "/api/v2/targets", token.text("token")).await.expect(200);

    let add =
        "/auth/user/add?username=ci&password=a-good-password&access=['read:*/*:*','submit:dev/*:*']&deny=[]";
    let added = admin.get(add).await.expect(200);
    let lists = json!({ "username": "ci", "access": ["read:*/*:*", "submit:dev/*:*"], "deny": [] });
    assert_eq!(added.body, json!({ "status_code": 200, "message": "", "list": lists }));
    let ci = rolecall.client.as_account("ci", "a-good-password");
    assert_eq!(ci.get("/auth/user").await.expect(200).at("list"), &lists);
    assert_eq!(ci.get("/auth/user/list").await.expect(200).list("list").len(), 1, "himself");
    assert_eq!(admin.get("/auth/user/list").await.expect(200).list("list").len(), 2);
    let changed = admin.get("/auth/user/change?username=ci&access=[]").await.expect(200);
    assert_eq!(changed.at("list.access"), &json!([]));

    for (call, status) in [
        ("/auth/user/add?username=ci&password=a-good-password", 403),
        ("/auth/user/add?username=qa", 404),
        ("/auth/user/add?password=a-good-password", 404),
        ("/auth/user/add?username=qa&password=short", 403),
        ("/auth/user/add?username=qa&password=a-good-password&access=__import__('os').system('id')", 403),
        ("/auth/user/add?username=qa&password=a-good-password&acces=[]", 403),
        ("/auth/user/change?username=qa&access=[]", 403),
    ] {
        let refused = admin.get(call).await.expect(status);
        assert_eq!(*refused.at("status_code"), json!(status), "{refused}");
        assert!(!refused.text("type").is_empty() && !refused.text("message").is_empty());
    }
    ci.get("/auth/user/add?username=qa&password=a-good-password").await.expect(403);
    let form = [("username", "qa"), ("password", "a-good-password")];
    send(
        admin
            .request(reqwest::Method::POST, "/auth/user/add")
            .body(form.map(|(name, value)| format!("{name}={value}")).join("&")),
    )
    .await
    .expect(200);
}
