//! Hosts that get the default log-in: only after somebody said so, as the owner of the tables, live everywhere at once.

use std::time::Duration;

use rolecall_tests::process::Role;
use rolecall_tests::{Installation, eventually};
use serde_json::json;

use super::{ORIGINAL, audit, ends, import, json as printed, names, registry, sqlite, targets};

#[tokio::test]
async fn nobody_is_trusted_without_a_word() {
    let mut rolecall = Installation::new("trust").await;
    let rows = format!(
        "{ORIGINAL} INSERT INTO db_registry (env, db_name, hostname) VALUES \
         ('dev', 'a', 'db1.example.com'), ('qa', 'a', 'db1.example.com'), ('dev', 'b', 'db2.example.com');"
    );
    let path = sqlite(&rolecall, "pg_registry.db", &rows);
    // Nobody sits at a terminal here.
    let text = ends(&rolecall, &["import", path.to_str().unwrap()], 1);
    for part in [
        "db1.example.com:5432",
        "db2.example.com:5432",
        "role_create",
        "--trust-hosts",
        "default_login.hosts",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(registry(&rolecall).is_empty() && audit(&rolecall).await.is_empty());

    // Whoever is not the owner of the tables cannot, whatever the command line says.
    let owner = rolecall.setting("control.owner_url").unwrap().to_owned();
    rolecall.unset("control.owner_url");
    for command in
        [&["import", path.to_str().unwrap(), "--trust-hosts"][..], &["trust", "db1.example.com:5432"]]
    {
        assert!(ends(&rolecall, command, 1).contains("control.owner_url"), "{command:?}");
    }
    assert!(registry(&rolecall).is_empty() && audit(&rolecall).await.is_empty());
    let writer = rolecall.control.writer().await;
    let sql = "INSERT INTO default_login_hosts VALUES ('db1.example.com', 5432, 'me', now())";
    let refused = writer.batch_execute(sql).await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "42501", "the running service may not");

    // A host that the configuration names needs no word.
    rolecall.set("default_login.hosts", "db1.example.com:5432,db2.example.com:5432");
    assert_eq!(names(&import(&rolecall, &path, &["--dry-run"], 0), "hosts_to_trust"), [""; 0]);
    rolecall.set("default_login.hosts", "db1.example.com:5432");
    rolecall.set("control.owner_url", owner);
    let done = import(&rolecall, &path, &["--trust-hosts"], 0);
    assert_eq!(names(&done, "hosts_to_trust"), ["db2.example.com:5432"]);
    let trusted: Vec<_> =
        audit(&rolecall).await.into_iter().filter(|(event, ..)| event == "host.trusted").collect();
    assert_eq!(trusted.len(), 1);
    assert_eq!(trusted[0].1, "db2.example.com:5432");
}

#[tokio::test]
async fn without_a_default_log_in_rows_that_need_it_are_named() {
    let mut rolecall = Installation::new("no_default").await;
    for key in ["default_login.user", "default_login.password", "default_login.hosts"] {
        rolecall.unset(key);
    }
    let rows =
        format!("{ORIGINAL} INSERT INTO db_registry (env, db_name, hostname) VALUES ('dev', 'a', 'db1');");
    let path = sqlite(&rolecall, "pg_registry.db", &rows);
    let answer = import(&rolecall, &path, &["--trust-hosts"], 65);
    assert_eq!((&answer["faults"][0]["row"], &answer["faults"][0]["field"]), (&json!(1), &json!("login")));
    assert!(answer.to_string().contains("PG_ADMIN_USER"), "{answer}");
}

const SOON: Duration = Duration::from_secs(30);

/// Trust is read with each target: neither api nor worker is restarted.
#[tokio::test]
async fn a_host_that_is_trusted_is_so_in_every_process_and_so_is_one_no_more() {
    let settled = Installation::builder("trusted").set("default_login.hosts", "db1.example.com:5432");
    let rolecall = settled.create().await;
    let (api, _worker) =
        futures_util::future::join(rolecall.start(Role::Api), rolecall.start(Role::Worker)).await;
    let (client, target) = (&rolecall.client(&api), rolecall.target(1));
    let (name, host) = (format!("dev/{}", target.database), target.host());
    let registration = target.registration();
    let put = async || client.put_target("dev", &target.database, &registration).await;
    put().await.expect_problem(422, "default_login_not_allowed");

    let trusted = printed(&rolecall, &["trust", &host], 0);
    assert_eq!(trusted, json!({ "host": host, "trusted": true, "changed": true }));
    assert_eq!(printed(&rolecall, &["trust", &host], 0)["changed"], json!(false));
    put().await.expect(201);

    // A job that waits for it is run at once, whatever the host's next attempt was to be.
    printed(&rolecall, &["distrust", &host], 0);
    let first = client.submit(&target.create_role(&rolecall.role("first"))).await.expect(202).id();
    eventually("the host to be refused", SOON, async || {
        let waiting = client.ticket(&first).await;
        (waiting.find("waiting_reason") == Some("default_login_not_allowed")).then_some(())
    })
    .await;
    // To whom asks in the old way nothing of it is his.
    let all = format!("/api/v1/users/all?env=dev&database={}", target.database);
    let refused = rolecall_tests::client::send(client.request(reqwest::Method::GET, &all)).await.expect(500);
    assert_eq!(refused.body["error"], json!("this service has no log-in for the server"));
    printed(&rolecall, &["trust", &host], 0);
    client.wait(&first).await.expect_outcome("created");

    client.target_act("dev", &target.database, "check").await.expect(200);
    let role = rolecall.role("ada");
    client.run(&target.create_role(&role)).await.expect_outcome("created");
    ends(&rolecall, &["check", &name], 0);

    assert_eq!(printed(&rolecall, &["distrust", &host], 0)["changed"], json!(true));
    assert_eq!(printed(&rolecall, &["distrust", &host], 0)["changed"], json!(false));
    client
        .target_act("dev", &target.database, "check")
        .await
        .expect_problem(422, "default_login_not_allowed");
    let output = targets(&rolecall, &["check", &name]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("rolecall targets trust"), "{output:?}");
    let events: Vec<_> = audit(&rolecall).await.into_iter().map(|(event, ..)| event).collect();
    let acts: Vec<_> = events.iter().filter(|event| event.ends_with("trusted")).collect();
    assert_eq!(acts, ["host.trusted", "host.distrusted", "host.trusted", "host.distrusted"]);
    assert!(ends(&rolecall, &["trust", "nonsense"], 2).contains("port must be"));
}
