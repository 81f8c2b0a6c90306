//! As whom a target is logged in to: each form works, none shows its password, a wrong one can be put right.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rolecall_tests::installation::Installation;
use rolecall_tests::process::{Process, Role};
use rolecall_tests::{Client, Running, Target, eventually};
use serde_json::{Value, json};

use crate::{PATIENCE, create, dba, events, host, own_login, with};

/// A role of this test's own that may make roles, with a password that is nowhere else.
async fn creator(target: &Target, name: &str, password: &str) {
    let superuser = target.superuser("postgres").await;
    let create = format!("CREATE ROLE {name} LOGIN CREATEROLE PASSWORD '{password}'");
    superuser.batch_execute(&create).await.unwrap();
}

#[tokio::test]
async fn each_form_of_password_logs_in_and_none_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let builder = Installation::builder("log-ins");
    let builder = builder.set("target.password_folders", folder.path().display().to_string());
    let installation = builder.create().await;
    let (target, id) = (installation.target(1).clone(), installation.id.clone());
    let passwords: Vec<_> = ["sealed", "env", "file"].map(|form| format!("{form}-pass-{id}")).into();
    for (form, password) in ["sealed", "env", "file"].iter().zip(&passwords) {
        creator(&target, &format!("{form}_{id}"), password).await;
    }
    let file = folder.path().join("dba.password");
    std::fs::write(&file, format!("{}\n", passwords[2])).unwrap();
    let mut environment = installation.environment();
    environment.insert("TARGET_PASSWORD_SHOP".to_owned(), passwords[1].clone());
    let [api, worker] =
        [Role::Api, Role::Worker].map(|role| Process::spawn(role, &environment, installation.dir()));
    futures_util::future::join(api.ready(), worker.ready()).await;
    let client = installation.client(&api);

    let mut seen = String::new();
    for (form, password) in [
        ("sealed", json!({ "password": passwords[0] })),
        ("env", json!({ "password_ref": "env:TARGET_PASSWORD_SHOP" })),
        ("file", json!({ "password_ref": format!("file:{}", file.display()) })),
    ] {
        let user = format!("{form}_{id}");
        let registration = with(&target.registration(), "login", with(&password, "user", user.as_str()));
        let put = client.put_target("dev", &target.database, &registration).await;
        assert!(matches!(put.status, 200 | 201), "{put}");
        let expected = password["password_ref"].as_str().unwrap_or("sealed");
        assert_eq!(put.at("login"), &json!({ "default": false, "user": user, "password": expected }));
        let checked = client.target_act("dev", &target.database, "check").await.expect(200);
        assert_eq!(checked.text("user"), user);
        let role = installation.role(&format!("by_{form}"));
        let ended = client.run(&create(&target, &role)).await.expect_outcome("created");
        for answer in [&put, &checked, &ended] {
            seen.push_str(&answer.body.to_string());
        }
    }
    // Kept, when it is not stated again.
    let kept = with(&target.registration(), "login", json!({ "user": format!("file_{id}") }));
    client.put_target("dev", &target.database, &kept).await.expect(200);
    client.target_act("dev", &target.database, "check").await.expect(200);

    seen.push_str(&client.get("/api/v2/targets").await.expect(200).body.to_string());
    seen.push_str(&client.audit("limit=200").await.expect(200).body.to_string());
    seen.push_str(&api.log_text());
    seen.push_str(&worker.log_text());
    for password in &passwords {
        assert!(!seen.contains(password), "{password} is shown");
    }
}

/// A server of the caller's own may ask for the password in the clear.
#[tokio::test]
async fn a_reference_names_only_what_the_operator_set_apart() {
    let ground = tempfile::tempdir().unwrap();
    let [inside, outside] = ["targets", "own"].map(|name| ground.path().join(name));
    for folder in [&inside, &outside] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("secret"), "hunter2-hunter2").unwrap();
    }
    std::os::unix::fs::symlink(outside.join("secret"), inside.join("link")).unwrap();
    std::os::unix::fs::symlink(&outside, inside.join("folder")).unwrap();
    let reference = |path: &str| format!("file:{}", ground.path().join(path).display());
    let register = async |rolecall: &Running, reference: &str| {
        let login = json!({ "user": "dba", "password_ref": reference });
        let registration = with(&rolecall.target(1).registration(), "login", login);
        rolecall.client.put_target("qa", "of_its_own", &registration).await
    };
    let refused = async |rolecall: &Running, reference: &str, setting: &str| {
        let answer = register(rolecall, reference).await.expect_problem(422, "invalid_request");
        assert_eq!(answer.faulty_fields(), ["login.password_ref"], "{reference}");
        assert!(answer.body.to_string().contains(setting), "{reference}: {answer}");
        assert!(!answer.body.to_string().contains("hunter2"), "{reference}: {answer}");
    };

    let closed = Running::start("closed-references").await;
    for path in ["targets/secret", "own/secret", "own/none"] {
        refused(&closed, &reference(path), "target.password_folders").await;
    }
    for name in ["DB1", "target_password_db1", "HOME", "ROLECALL__REDIS__URL", "PG_ADMIN_PASS"] {
        refused(&closed, &format!("env:{name}"), "target.password_variables").await;
    }
    register(&closed, "env:TARGET_PASSWORD_DB1").await.expect(201);

    let builder = Installation::builder("open-references");
    let open = builder
        .set("target.password_folders", inside.display().to_string())
        .set("target.password_variables", "SHOP_")
        .start()
        .await;
    for path in ["own/secret", "own/none", "targets/link", "targets/folder/secret", "targetsecret"] {
        refused(&open, &reference(path), "target.password_folders").await;
    }
    // Never looked at: no target has such a path.
    refused(&open, &reference("targets/../own/secret"), "without . and ..").await;
    refused(&open, "env:TARGET_PASSWORD_DB1", "target.password_variables").await;
    register(&open, &reference("targets/secret")).await.expect(201);
    register(&open, "env:SHOP_DB1").await.expect(200);
}

#[tokio::test]
async fn the_default_login_goes_to_listed_hosts_only() {
    let rolecall = Running::start("default-login").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    // The same server under another name is another host: whoever answers there must not be handed the password.
    let elsewhere = with(&target.registration(), "hostname", "localhost");
    client.put_target("qa", "elsewhere", &elsewhere).await.expect_problem(422, "default_login_not_allowed");
    client
        .put_target("dev", &target.database, &elsewhere)
        .await
        .expect_problem(422, "default_login_not_allowed");
    let [user, password] = dba(&rolecall);
    let own = with(&elsewhere, "login", own_login(user, password));
    client.put_target("qa", &target.database, &own).await.expect(201);
    client.target_act("qa", &target.database, "check").await.expect(200);
    // A password that is kept for one place goes to no other one.
    let moved = with(&target.registration(), "login", json!({ "user": user }));
    let refused = client.put_target("qa", &target.database, &moved).await;
    assert_eq!(refused.expect_problem(422, "invalid_request").faulty_fields(), ["login.password"]);
}

#[tokio::test]
async fn a_wrong_password_waits_and_the_right_one_runs_at_once() {
    // Whoever only waits for the next try waits for minutes.
    let slow = ["target.backoff_first_milliseconds", "target.backoff_cap_milliseconds"];
    let builder =
        slow.iter().fold(Installation::builder("wrong-login"), |builder, key| builder.set(key, "600000"));
    let rolecall = builder.start().await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let [user, password] = dba(&rolecall);
    let registration = |password: &str| with(&target.registration(), "login", own_login(user, password));
    client.put_target("dev", &target.database, &registration("wrong-password")).await.expect(200);

    let role = rolecall.role("ada");
    let accepted = client.submit(&create(target, &role)).await.expect(202);
    let path = format!("/api/v2/tickets/{}", accepted.id());
    let waiting = eventually("the ticket to say why it waits", PATIENCE, async || {
        let answer = client.get(&path).await.expect(200);
        (answer.find("waiting_reason") == Some("target_login_refused")).then_some(answer)
    })
    .await;
    assert_eq!(waiting.text("state"), "queued");
    assert!(
        waiting.text("cause").contains("refuses the log-in") && waiting.find("next_attempt_at").is_some()
    );
    assert!(!waiting.body.to_string().contains("wrong-password"));
    let shown = host(client, &target.host()).await;
    assert_eq!((&shown["state"], &shown["backlog"]), (&json!("login_refused"), &json!(1)));
    assert_eq!(shown["last_error"]["code"], "target_login_refused");
    let changed = Instant::now();
    client.put_target("dev", &target.database, &registration(password)).await.expect(200);
    let ended = client.wait(&accepted.id()).await.expect_outcome("created");
    assert_eq!((ended.text("role"), &ended.body["waiting_reason"]), (role.as_str(), &Value::Null));
    assert!(changed.elapsed() < Duration::from_secs(10), "it waited for {:?}", changed.elapsed());
    client.take_secret(&accepted.id()).await.expect(200);
    assert_eq!(host(client, &target.host()).await["state"], "ok");
    rows_are_there(client, &accepted.id()).await;
}

async fn rows_are_there(client: &Client, ticket: &str) {
    let of_ticket: BTreeSet<_> = events(client, &format!("ticket={ticket}")).await.into_iter().collect();
    assert_eq!(of_ticket, BTreeSet::from(["secret.taken".to_owned(), "ticket.succeeded".to_owned()]));
}
