//! Whatever lets somebody in or signs, used in every way and refused in every way: for the canary.

use std::net::TcpListener;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use rolecall_tests::Running;
use rolecall_tests::client::send;
use serde_json::json;

use crate::search::Secrets;

/// Proofs that are nobody's.
const FOREIGN_TOKEN: &str = "rck_TheTokenOfSomebodyElseWhoIsNotHere0123456789";
const FOREIGN_JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2lzc3Vlci5leGFtcGxlIn0.c2lnbmF0dXJl";

/// Makes, uses, changes and ends every sort of proof.
pub(crate) async fn use_them_all(rolecall: &Running, secrets: &mut Secrets) {
    let admin = &rolecall.client;
    let [first, second, third] = ["the-first-password", "the-second-password", "the-third-password"];
    for password in [first, second, third] {
        secrets.add(password, password);
    }
    let new = json!({ "data": { "id": "proofs", "type": "inet",
                                "attributes": { "password": first, "account": "basic" } } });
    admin.post("/v1/users/inet", &new).await.expect(204);
    let change = json!({ "data": { "attributes": { "password": second } } });
    send(admin.request(Method::PATCH, "/v1/users/inet/proofs").json(&change)).await.expect(204);
    admin.as_account("proofs", first).get("/auth/user").await.expect(401);
    // In the address, as the oldest of all clients have it.
    admin.get(&format!("/auth/user/change?username=proofs&password={third}")).await.expect(200);
    admin.get(&format!("/auth/user/add?username=older&password={first}&acces=[]")).await.expect(403);
    let proofs = admin.as_account("proofs", third);

    let token = proofs.post("/api/v2/tokens", &json!({ "name": "canary" })).await.expect(201);
    let sessions = [
        proofs.post("/api/v2/sessions", &json!({})).await.expect(201).text("token").to_owned(),
        proofs.get("/auth/token").await.expect(200).text("token").to_owned(),
    ];
    for proof in sessions.iter().map(String::as_str).chain([token.text("token")]) {
        secrets.add("a bearer token", proof);
        bearer(rolecall, proof, 200).await;
    }
    admin.delete("/v1/users/inet/proofs").await.expect(204);
    for proof in sessions.iter().map(String::as_str).chain([token.text("token"), FOREIGN_TOKEN, FOREIGN_JWT])
    {
        bearer(rolecall, proof, 401).await;
    }
    secrets.add("an API token of nobody", FOREIGN_TOKEN);
    secrets.add("a signed token of nobody", FOREIGN_JWT);
    admin.post("/auth/oidc", &json!({ "token": FOREIGN_JWT })).await.expect(401);
    admin.post("/auth/oidc", &json!({ "token": [FOREIGN_JWT] })).await.expect(422);
}

/// A webhook that is told everything and answers nothing, with the keys it has and the keys it had.
pub(crate) async fn sign_webhooks(rolecall: &Running, secrets: &mut Secrets) {
    // Nobody listens there any more.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let webhook = json!({ "url": format!("http://{address}/"), "scope": "all" });
    let made = rolecall.client.post("/api/v2/webhooks", &webhook).await.expect(201);
    let path = format!("/api/v2/webhooks/{}/rotate", made.text("id"));
    let rotated = rolecall.client.post(&path, &json!({})).await.expect(200);
    for answer in [made, rotated] {
        let text = answer.text("secret");
        secrets.add("a webhook's secret", text);
        secrets.add("a webhook's key", STANDARD.decode(text.strip_prefix("whsec_").unwrap()).unwrap());
    }
}

async fn bearer(rolecall: &Running, proof: &str, status: u16) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.get(format!("{}/auth/user", rolecall.api.url())).bearer_auth(proof);
    send(request).await.expect(status);
}
