//! What is read from a target's own server: its check and its roles.

use std::time::{Duration, Instant};

use rolecall_tests::{Answer, Client, Installation, Running};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{closed_port, create, dba, own_login, pages, with};

/// `target.connect_timeout_milliseconds` of these tests.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);

async fn started(name: &str) -> Running {
    let millis = CONNECT_TIMEOUT.as_millis().to_string();
    Installation::builder(name).set("target.connect_timeout_milliseconds", millis).start().await
}

/// Everything that reads the target, which all meet the same problem.
async fn every_read(client: &Client, env: &str, database: &str) -> [Answer; 3] {
    let roles = format!("/api/v2/targets/{env}/{database}/roles");
    [
        client.target_act(env, database, "check").await,
        client.get(&roles).await,
        client.get(&format!("{roles}/ada")).await,
    ]
}

#[tokio::test]
async fn a_good_target_is_reported_and_one_without_createrole_is_told() {
    let rolecall = started("check").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let report = client.target_act("dev", &target.database, "check").await.expect(200);
    let [user, _] = dba(&rolecall);
    let version = target.text("SELECT current_setting('server_version')", &[]).await.unwrap();
    assert_eq!(
        report.body,
        json!({ "ok": true, "server_version": version, "user": user, "tls": true, "superuser": false,
                "createrole": true, "createdb": true, "database_owner": "app_owner", "member_of_owner": true,
                "pooler": false, "problems": [] })
    );

    let weak = rolecall.role("weak");
    let superuser = target.superuser("postgres").await;
    superuser.batch_execute(&format!("CREATE ROLE {weak} LOGIN PASSWORD 'weak-pass'")).await.unwrap();
    let registration = with(&target.registration(), "login", own_login(&weak, "weak-pass"));
    client.put_target("dev", &target.database, &registration).await.expect(200);
    let report = client.target_act("dev", &target.database, "check").await.expect(200);
    assert_eq!((report.at("ok"), report.at("createrole")), (&json!(false), &json!(false)));
    assert!(report.list("problems").iter().any(|p| p.as_str().unwrap().contains("CREATEROLE")), "{report}");
    let failed = client.run(&create(target, &rolecall.role("ada"))).await;
    assert_eq!((failed.text("state"), failed.text("problem.code")), ("failed", "permission_denied"));
}

#[tokio::test]
async fn what_cannot_be_reached_or_entered_is_told_in_time() {
    let rolecall = started("unreachable").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let [user, password] = dba(&rolecall);
    let listening = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listening.local_addr().unwrap().port();
    let dead = json!({ "hostname": "127.0.0.1", "login": own_login(user, password) });
    let own = |user: &str, password: &str| with(&target.registration(), "login", own_login(user, password));
    for (name, registration, code) in [
        ("closed", with(&dead, "port", closed_port()), "target_unreachable"),
        ("silent", with(&dead, "port", silent), "target_unreachable"),
        ("nowhere", with(&dead, "hostname", "no-such-host.invalid"), "target_unreachable"),
        (&target.database, own(user, "not-the-password"), "target_login_refused"),
        (&target.database, own(&rolecall.role("nobody"), password), "target_login_refused"),
        ("no_such_database", target.registration(), "database_not_found"),
    ] {
        client.put_target("qa", name, &registration).await;
        let start = Instant::now();
        for answer in every_read(client, "qa", name).await {
            let answer = answer.expect_problem(502, code);
            assert!(answer.headers.contains_key("retry-after"), "{name}");
            for secret in ["not-the-password", password] {
                assert!(!answer.body.to_string().contains(secret), "{answer}");
            }
        }
        assert!(
            start.elapsed() < 3 * (CONNECT_TIMEOUT + Duration::from_secs(2)),
            "{name}: {:?}",
            start.elapsed()
        );
    }
    // Nobody else's reading suffers.
    client.target_act("dev", &rolecall.target(2).database, "check").await.expect(200);
    a_job_for_a_missing_database_fails(&rolecall).await;
}

async fn a_job_for_a_missing_database_fails(rolecall: &Running) {
    let job = with(&create(rolecall.target(1), &rolecall.role("ada")), "database", "no_such_database");
    let failed = rolecall.client.run(&with(&job, "env", "qa")).await;
    assert_eq!(failed.text("state"), "failed", "{failed}");
    assert_eq!(failed.text("problem.code"), "database_not_found");
}

#[tokio::test]
async fn roles_are_shown_as_their_server_has_them() {
    let rolecall = started("roles").await;
    let (client, target, database) = (&rolecall.client, rolecall.target(1), &rolecall.target(1).database);
    let (ada, boss, plain) = (rolecall.role("ada"), rolecall.role("boss"), rolecall.role("plain"));
    let made = client.run(&create(target, &ada)).await.expect_outcome("created");
    client.run(&with(&create(target, &boss), "kind", "dba")).await.expect_outcome("created");
    let superuser = target.superuser(database).await;
    let sql = format!(
        "CREATE ROLE {plain} NOLOGIN CONNECTION LIMIT 7 VALID UNTIL '2030-01-02 03:04:05+00';
         ALTER ROLE {plain} SET work_mem = '5MB';
         ALTER ROLE {plain} IN DATABASE {database} SET search_path = a, b;
         ALTER ROLE {plain} IN DATABASE postgres SET work_mem = '6MB';
         GRANT {boss} TO {plain}"
    );
    superuser.batch_execute(&sql).await.unwrap();

    let shown = |role: &str, limit: i32, more: Value| {
        let mut body = json!({ "name": role, "login": true, "superuser": false, "createdb": false,
            "createrole": false, "replication": false, "connection_limit": limit, "settings": [],
            "database_settings": [], "member_of": [], "made_by": "somebody_else" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let found = client.role("dev", database, &ada).await.expect(200);
    // When is known by the ticket, who and where by this test.
    let ours = |role: &Answer| {
        json!({ "made_by": "rolecall", "account": rolecall.user, "made_at": role.at("made_at"),
                "made_through": { "env": "dev", "database": database } })
    };
    assert_eq!(found.at("made_at"), made.at("finished_at"));
    let mut more = ours(&found);
    let known = json!({ "database_settings": ["search_path=public"], "ticket": made.id(), "kind": "devqa" });
    more.as_object_mut().unwrap().extend(known.as_object().unwrap().clone());
    assert_eq!(found.body, shown(&ada, 20, more));
    let found = client.role("dev", database, &boss).await.expect(200);
    let mut more = ours(&found);
    let known = json!({ "createdb": true, "createrole": true, "settings": ["search_path=public"],
                        "ticket": found.at("ticket"), "kind": "dba" });
    more.as_object_mut().unwrap().extend(known.as_object().unwrap().clone());
    assert_eq!(found.body, shown(&boss, 20, more));
    let found = client.role("dev", database, &plain).await.expect(200);
    let more = json!({ "login": false, "valid_until": "2030-01-02T03:04:05Z", "settings": ["work_mem=5MB"],
                       "database_settings": ["search_path=a, b"], "member_of": [boss] });
    assert_eq!(found.body, shown(&plain, 7, more));
    client.role("dev", database, &rolecall.role("nobody")).await.expect_problem(404, "role_not_found");
    client.role("dev", database, "pg_monitor").await.expect_problem(404, "role_not_found");

    // Other tests make roles meanwhile; ours are there once each, in order.
    let (all, count) = pages(client, &format!("/api/v2/targets/dev/{database}/roles?"), 2).await;
    assert!(count > 2);
    let names: Vec<_> = all.iter().map(|role| role["name"].as_str().unwrap()).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "by bytes, each once: {names:?}");
    assert!([&ada, &boss, &plain].iter().all(|role| names.contains(&role.as_str())));
    assert!(names.iter().all(|name| !name.starts_with("pg_")));
}
