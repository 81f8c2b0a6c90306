//! Single targets: added, changed, listed, stopped, removed; and all of them out to a file and back.

use std::io::Write;
use std::process::Stdio;

use rolecall_tests::installation::command;
use rolecall_tests::{Installation, Running};
use serde_json::json;

use super::{audit, ends, file, import, json as printed, names, registry, targets};

#[tokio::test]
async fn a_target_is_added_changed_and_removed() {
    let rolecall = Running::start("single").await;
    let (client, host) = (&rolecall.client, rolecall.target(1).host());
    let own = ["--login-user", "dba", "--password-ref", "env:TARGET_PASSWORD_ONE"];
    let add = ["add", "lab/one", "--hostname", "db1", "--port", "6000", "--notes", "first"];
    assert_eq!(ends(&rolecall, &[&add[..], &own].concat(), 0), "added the target lab/one on db1:6000\n");
    let seen = client.target("lab", "one").await.expect(200);
    assert_eq!(
        (seen.text("hostname"), seen.text("notes"), seen.text("lock_database")),
        ("db1", "first", "postgres")
    );
    assert!(ends(&rolecall, &[&add[..], &own].concat(), 1).contains("rolecall targets set lab/one"));

    let set = printed(
        &rolecall,
        &["set", "lab/one", "--port", "6001", "--inactive", "--password-ref", "env:TARGET_PASSWORD_TWO"],
        0,
    );
    assert_eq!(
        (&set["done"], &set["target"]["port"], &set["target"]["active"]),
        (&json!("changed"), &json!(6001), &json!(false))
    );
    assert_eq!(
        set["target"]["login"],
        json!({ "default": false, "user": "dba", "password": "env:TARGET_PASSWORD_TWO" })
    );
    assert_eq!(printed(&rolecall, &["set", "lab/one", "--inactive"], 0)["done"], json!("unchanged"));
    let again = ends(&rolecall, &["set", "lab/two", "--active"], 1);
    assert!(again.contains("rolecall targets add lab/two"), "{again}");
    assert!(ends(&rolecall, &["set", "lab/one"], 1).contains("nothing to change"));
    assert!(ends(&rolecall, &["add", "lab/two", "--notes", "x"], 1).contains("hostname is required"));
    let faults = ends(&rolecall, &["set", "lab/one", "--hostname", "A B", "--sslmode", "always"], 1);
    assert!(faults.contains("hostname must be") && faults.contains("sslmode must be"), "{faults}");
    // What was told to be wrong is not done by half.
    assert_eq!(client.target("lab", "one").await.expect(200).text("hostname"), "db1");

    let conflict = ["add", "lab/two", "--hostname", "127.0.0.1", "--lock-database", "elsewhere"];
    let port = rolecall.target(1).port.to_string();
    let conflict = ends(&rolecall, &[&conflict[..], &["--port", &port]].concat(), 1);
    assert!(conflict.contains("lock_database is another than that of the target dev/"), "{conflict}");

    assert_eq!(ends(&rolecall, &["rm", "lab/one"], 0), "removed the target lab/one on db1:6001\n");
    client.target("lab", "one").await.expect_problem(404, "target_not_found");
    assert!(ends(&rolecall, &["rm", "lab/one"], 1).contains("target_not_found"));
    let written: Vec<_> =
        audit(&rolecall).await.into_iter().filter(|(_, target, _)| target == "lab/one").collect();
    let events: Vec<_> = written.iter().map(|(event, ..)| event.as_str()).collect();
    assert_eq!(events, ["target.added", "target.changed", "target.removed"]);
    assert!(written.iter().all(|(_, _, account)| account.starts_with("cli:")));
    assert!(!ends(&rolecall, &["list"], 0).contains("lab/one"));
    assert!(ends(&rolecall, &["list"], 0).contains(&host));
}

#[tokio::test]
async fn a_password_is_read_from_its_input_and_works_and_is_never_printed() {
    let rolecall = Running::start("password").await;
    let target = rolecall.target(1);
    let (user, password) = (rolecall.stack.get("STACK_DBA_USER"), rolecall.stack.get("STACK_DBA_PASSWORD"));
    let name = format!("lab/{}", target.database);
    let port = target.port.to_string();
    let mut child = command(&rolecall.environment(), rolecall.dir())
        .args(["targets", "add", &name, "--hostname", &target.hostname, "--port", &port])
        .args(["--login-user", user, "--password-stdin", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(!format!("{output:?}").contains(password));
    assert_eq!(registry(&rolecall)[&name]["login"]["password"], json!("sealed"));
    ends(&rolecall, &["check", &name], 0);
    // It goes nowhere else.
    let moved = ends(&rolecall, &["set", &name, "--hostname", "db9"], 1);
    assert!(moved.contains("login.password is required"), "{moved}");
}

/// The file is on the workers, and where the operator types there is none; it must not be followed for that.
#[tokio::test]
async fn a_reference_that_stays_is_not_looked_at_again() {
    let folder = tempfile::tempdir().unwrap();
    let builder = Installation::builder("kept_reference");
    let rolecall = builder.set("target.password_folders", folder.path().display().to_string()).create().await;
    let path = folder.path().join("dba");
    std::fs::write(&path, "secret").unwrap();
    let reference = format!("file:{}", path.display());
    let own = ["--login-user", "dba", "--password-ref", &reference];
    ends(&rolecall, &[&["add", "lab/one", "--hostname", "db1"], &own[..]].concat(), 0);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(printed(&rolecall, &["set", "lab/one", "--inactive"], 0)["done"], json!("changed"));
    let rows = b"env,database,hostname,notes\nlab,one,db1,kept\n";
    import(&rolecall, &file(&rolecall, "registry.csv", rows), &[], 0);
    assert_eq!(registry(&rolecall)["lab/one"]["notes"], json!("kept"));
    assert_eq!(registry(&rolecall)["lab/one"]["login"]["password"], json!(reference));
    // To another place it would be sent anew.
    let moved = ends(&rolecall, &["set", "lab/one", "--hostname", "db2"], 1);
    assert!(moved.contains("login.password_ref"), "{moved}");
}

#[tokio::test]
async fn a_target_is_not_taken_from_under_jobs_that_wait() {
    let rolecall = Running::start("waiting").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let name = format!("dev/{}", target.database);
    let paused = printed(&rolecall, &["pause", &name, "--reason", "backup"], 0);
    assert_eq!(paused["paused"]["reason"], json!("backup"), "{paused}");
    assert!(ends(&rolecall, &["list"], 0).contains("paused"));
    let role = rolecall.role("ada");
    let ticket = client.submit(&target.create_role(&role)).await.expect(202).id();
    for command in [&["rm", &name][..], &["set", &name, "--hostname", "localhost", "--trust-hosts"]] {
        let refused = ends(&rolecall, command, 1);
        assert!(refused.contains("jobs_waiting") && refused.contains("1 jobs wait"), "{refused}");
    }
    let resumed = ends(&rolecall, &["resume", &name], 0);
    assert!(resumed.contains(&format!("the host {} works", target.host())), "{resumed}");
    client.wait(&ticket).await.expect_outcome("created");

    ends(&rolecall, &["pause", &name], 0);
    let ticket = client.submit(&target.create_role(&rolecall.role("bob"))).await.expect(202).id();
    ends(&rolecall, &["rm", &name, "--fail-waiting"], 0);
    let failed = client.wait(&ticket).await;
    assert_eq!(failed.text("problem.code"), "target_changed", "{failed}");
    assert!(ends(&rolecall, &["pause", &name], 1).contains("target_not_found"));
    let long = ["pause", &name, "--reason", &"r".repeat(501)];
    assert!(ends(&rolecall, &long, 1).contains("at most 500 bytes"));
}

/// Everything that can be said of targets, out and in again, in both forms.
#[tokio::test]
async fn what_is_exported_is_imported_as_the_same() {
    let from = Installation::new("from").await;
    let add = |name: &str, more: &[&str]| {
        ends(&from, &[&["add", name, "--trust-hosts"], more].concat(), 0);
    };
    add("dev/plain", &["--hostname", "db1", "--notes", "=cmd|' /C calc'!A0, \"quoted\"\nsecond line"]);
    add("dev/odd", &["--hostname", "db2", "--port", "65535", "--inactive", "--sslmode", "verify-full"]);
    add("prod/My App", &["--hostname", "::1", "--ca-file", "/etc/ca.pem", "--lock-database", "locks"]);
    let own = ["--login-user", "dba", "--password-ref", "env:TARGET_PASSWORD_ONE"];
    add("qa/own", &[&["--hostname", "db3", "--notes", "'tis -1"][..], &own].concat());
    let stated = |rolecall: &Installation| {
        let mut all = registry(rolecall);
        for target in all.values_mut() {
            for field in ["created_at", "updated_at", "revision"] {
                target.as_object_mut().unwrap().remove(field);
            }
        }
        all
    };
    for (format, name) in [("json", "targets.json"), ("csv", "targets.csv")] {
        let exported = ends(&from, &["export", "--format", format], 0);
        assert!(!exported.contains(",=cmd"), "no cell is a formula: {exported}");
        let to = Installation::new("to").await;
        let path = file(&to, name, exported.as_bytes());
        assert_eq!(names(&import(&to, &path, &["--trust-hosts"], 0), "added").len(), 4);
        assert_eq!(stated(&to), stated(&from), "{format}");
        assert_eq!(ends(&to, &["export", "--format", format], 0), exported);
        assert_eq!(names(&import(&from, &path, &[], 0), "unchanged").len(), 4, "{format}");
    }

    // A sealed password is in no file: where it is kept already it stays, elsewhere it is missed.
    let secret = file(&from, "secret", b"a-password-of-a-target\n");
    ends(&from, &["set", "qa/own", "--password-file", secret.to_str().unwrap()], 0);
    for format in ["json", "csv"] {
        let exported = ends(&from, &["export", "--format", format], 0);
        assert!(!exported.contains("a-password-of-a-target") && !exported.contains("sealed"), "{exported}");
        let path = file(&from, "targets", exported.as_bytes());
        assert_eq!(names(&import(&from, &path, &[], 0), "unchanged").len(), 4, "{format}");
        let to = Installation::new("to").await;
        let faults = import(&to, &path, &["--trust-hosts"], 65);
        assert_eq!(faults["faults"][0]["target"], json!("qa/own"), "{faults}");
        assert!(registry(&to).is_empty());
    }
}

#[tokio::test]
async fn a_list_comes_through_a_pipe_and_nothing_needs_the_broker_at_first() {
    let mut rolecall = Installation::new("pipe").await;
    rolecall.set("rabbitmq.url", "amqp://u:p@127.0.0.1:1/%2f");
    rolecall.set("redis.url", "redis://127.0.0.1:1");
    let mut child = command(&rolecall.environment(), rolecall.dir())
        .args(["targets", "import", "-", "--trust-hosts"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"env,database,hostname\ndev,a,db1\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 added"), "{output:?}");
    // A change is made all the same; that its host is not told at once is said.
    let output = targets(&rolecall, &["set", "dev/a", "--notes", "x"]);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("RabbitMQ cannot be reached"), "{output:?}");
    // Whether jobs wait cannot be seen, so the target stays where it is.
    let refused = ends(&rolecall, &["set", "dev/a", "--hostname", "db2", "--trust-hosts"], 1);
    assert!(refused.contains("broker_unavailable"), "{refused}");
    assert_eq!(registry(&rolecall)["dev/a"]["hostname"], json!("db1"));
}
