//! Registrations of targets, and reasons of pauses.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::Scene;
use crate::case::Case;
use crate::{own_login, with, without};

pub fn cases(scene: &Scene) -> Vec<Case> {
    let mut cases = fields(scene);
    cases.extend(logins(scene));
    cases.extend(names(scene));
    cases.extend(reasons(scene));
    cases
}

fn put(scene: &Scene, body: &Value) -> RequestBuilder {
    scene.client.request(Method::PUT, "/api/v2/targets/dev/new_one").json(body)
}

fn good() -> Value {
    json!({ "hostname": "db1.example.com", "port": 5432, "login": own_login("dba", "hunter2-hunter2") })
}

fn fields(scene: &Scene) -> Vec<Case> {
    let mut cases =
        vec![Case::faulty("no hostname", put(scene, &without(&good(), "hostname")), &["hostname"])];
    let long = "h".repeat(201);
    let far = format!("/{}", "p".repeat(1024));
    let notes = "n".repeat(4097);
    for (field, values) in [
        (
            "hostname",
            vec![
                json!(""),
                json!(5),
                json!(null),
                json!("DB1.example.com"),
                json!("db1 .example"),
                json!("db1/example"),
                json!("-oProxyCommand=x"),
                json!("db1;rm -rf"),
                json!("dbé.example"),
                json!("db1\0example"),
                json!("/var/run/postgresql"),
                json!("db1,db2.example"),
                json!("user@db1.example"),
                json!(long),
            ],
        ),
        ("port", vec![json!(0), json!(65_536), json!("5432"), json!(-1), json!(1.5), json!([])]),
        ("sslmode", vec![json!("always"), json!("VERIFY-FULL"), json!("allow"), json!(""), json!(1)]),
        ("ca_file", vec![json!("ca.pem-relative"), json!(""), json!("/ca\0.pem"), json!(5), json!(far)]),
        ("lock_database", vec![json!(""), json!("l".repeat(64)), json!("a\0bcdef"), json!(5)]),
        ("active", vec![json!("yes-please"), json!(1), json!([])]),
        ("notes", vec![json!("a\0bcdef"), json!(5), json!(notes)]),
        ("login", vec![json!("dba:hunter2"), json!([]), json!(5), json!(true)]),
        ("password", vec![json!("hunter2-hunter2")]),
        ("env", vec![json!("dev")]),
    ] {
        for value in values {
            let request = put(scene, &with(&good(), field, value.clone()));
            let case = Case::faulty(format!("{field} {value:.60}"), request, &[field]);
            cases.push(case.hides_texts_of(&value).hides("hunter2"));
        }
    }
    cases
}

fn logins(scene: &Scene) -> Vec<Case> {
    let mut cases = Vec::new();
    let key_file = format!("file:{}", scene.rolecall.key_file().display());
    let long = "p".repeat(1025);
    for (login, field) in [
        (json!({}), "login.user"),
        (json!({ "password": "hunter2-hunter2" }), "login.user"),
        (own_login("", "hunter2-hunter2"), "login.user"),
        (own_login("dba\0dba", "hunter2-hunter2"), "login.user"),
        (own_login("dba", ""), "login.password"),
        (own_login("dba", "hunter2\0hunter2"), "login.password"),
        (own_login("dba", &long), "login.password"),
        (json!({ "user": "dba", "password": 42 }), "login.password"),
        // A new target has no password that could be kept.
        (json!({ "user": "dba" }), "login.password"),
        (json!({ "user": "dba", "password": "hunter2", "password_ref": "env:DB1" }), "login.password_ref"),
        (json!({ "user": "dba", "password_ref": "hunter2-hunter2" }), "login.password_ref"),
        (json!({ "user": "dba", "password_ref": "env:" }), "login.password_ref"),
        (json!({ "user": "dba", "password_ref": "env:ROLECALL__REDIS__URL" }), "login.password_ref"),
        (json!({ "user": "dba", "password_ref": "env:PG_ADMIN_PASS" }), "login.password_ref"),
        (json!({ "user": "dba", "password_ref": "file:relative/secret" }), "login.password_ref"),
        (json!({ "user": "dba", "password_ref": "file:/run/../etc/shadow" }), "login.password_ref"),
        (json!({ "user": "dba", "password_ref": "file:/proc/self/environ" }), "login.password_ref"),
        (json!({ "user": "dba", "password_ref": key_file }), "login.password_ref"),
        (json!({ "user": "dba", "password": "hunter2", "pass": 1 }), "login.pass"),
    ] {
        let request = put(scene, &with(&good(), "login", login.clone()));
        let case = Case::faulty(format!("login {login:.60}"), request, &[field]);
        cases.push(case.hides("hunter2").hides(long.as_str()).hides("/etc/shadow"));
    }
    let default = put(scene, &without(&good(), "login"));
    cases.push(Case::new("the default log-in elsewhere", default, 422, "default_login_not_allowed"));
    let other_port = json!({ "hostname": "127.0.0.1", "port": crate::closed_port() });
    let request = put(scene, &other_port);
    cases.push(Case::new("the default log-in at another port", request, 422, "default_login_not_allowed"));
    cases
}

fn names(scene: &Scene) -> Vec<Case> {
    let mut cases = Vec::new();
    let long = "d".repeat(64);
    for (env, database, field) in [
        ("Dev", "new_one", "env"),
        ("dev%20", "new_one", "env"),
        ("d%C3%A9v", "new_one", "env"),
        (&"e".repeat(33), "new_one", "env"),
        ("dev", &long, "database"),
        ("dev", "a%00b", "database"),
        ("dev", "a%0Ab", "database"),
    ] {
        let request =
            scene.client.request(Method::PUT, &format!("/api/v2/targets/{env}/{database}")).json(&good());
        cases.push(Case::faulty(format!("{env}/{database}"), request, &[field]));
    }
    let request = scene.client.request(Method::PUT, "/api/v2/targets/dev/%ff").json(&good());
    cases.push(Case::new("not UTF-8", request, 400, "malformed_request"));
    cases
}

fn reasons(scene: &Scene) -> Vec<Case> {
    let path = format!("/api/v2/targets/dev/{}/pause", scene.target.database);
    let pause = |body: Value| scene.client.request(Method::POST, &path).json(&body);
    let long = "r".repeat(501);
    let mut cases = vec![Case::faulty("a foreign field", pause(json!({ "until": "tomorrow" })), &["until"])];
    for reason in [json!(5), json!([]), json!("a\0bcdef"), json!("two\nlines"), json!(long)] {
        let case =
            Case::faulty(format!("reason {reason:.30}"), pause(json!({ "reason": reason })), &["reason"]);
        cases.push(case.hides_texts_of(&reason));
    }
    cases
}
