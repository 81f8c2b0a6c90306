//! Operations on roles that are there, that are not, and that may not be touched.

use rolecall_tests::process::Role;
use rolecall_tests::{Installation, Running, Target};
use serde_json::{Value, json};

use crate::scene::{
    Made, assert_failed, create, in_env, make, pause, reset, resume, set_search_path, submit_at_once, take,
    wait_all,
};

const PATH_IN: &str = "
    SELECT setting FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole
    CROSS JOIN unnest(s.setconfig) setting LEFT JOIN pg_database d ON d.oid = s.setdatabase
    WHERE r.rolname = $1 AND coalesce(d.datname, '*') = $2 AND setting LIKE 'search_path=%'";

/// Everything of a role that an operation could change.
const FINGERPRINT: &str = "
    SELECT md5(r::text || coalesce(shobj_description(r.oid, 'pg_authid'), '') || coalesce(
               (SELECT string_agg(s::text, ',' ORDER BY s.setdatabase) FROM pg_db_role_setting s WHERE s.setrole = r.oid), ''))
    FROM pg_authid r WHERE r.rolname = $1";

#[tokio::test]
async fn creating_what_is_there_succeeds_without_a_secret_and_changes_nothing() {
    let rolecall = Running::start("exists").await;
    let target = rolecall.target(1);
    let ours = make(&rolecall, "ours", target).await;
    let by_hand = rolecall.role("by_hand");
    let superuser = target.superuser("postgres").await;
    let sql =
        format!("CREATE ROLE {by_hand} CONNECTION LIMIT 1; COMMENT ON ROLE {by_hand} IS 'made by hand'");
    superuser.batch_execute(&sql).await.unwrap();

    for role in [&ours.name, &by_hand] {
        let before = target.text(FINGERPRINT, &[role]).await;
        let job = create("dba", role, target);
        let ended = rolecall.client.run(&job).await.expect_outcome("already_exists");
        assert_eq!(*ended.at("secret"), Value::Null, "{ended}");
        rolecall.client.take_secret(&ended.id()).await.expect_problem(404, "no_secret");
        assert_eq!(target.text(FINGERPRINT, &[role]).await, before, "{role}");
    }
    assert!(target.accepts(&ours.name, &ours.password).await);
}

#[tokio::test]
async fn a_reset_ends_the_old_password_and_hands_out_the_new_one() {
    let rolecall = Running::start("reset").await;
    let target = rolecall.target(1);
    let Made { name, password: old, .. } = make(&rolecall, "ada", target).await;

    let ended = rolecall.client.run(&reset(&name, target)).await.expect_outcome("password_reset");
    let new = take(&rolecall.client, &ended.id()).await;
    assert_ne!(old, new);
    assert!(!target.accepts(&name, &old).await, "the old password is refused");
    assert!(target.accepts(&name, &new).await, "the new password works");

    // A role made by hand may be reset as well; its comment stays.
    let by_hand = rolecall.role("by_hand");
    let sql = format!("CREATE ROLE {by_hand} LOGIN; COMMENT ON ROLE {by_hand} IS 'made by hand'");
    target.superuser("postgres").await.batch_execute(&sql).await.unwrap();
    let ended = rolecall.client.run(&reset(&by_hand, target)).await.expect_outcome("password_reset");
    assert!(target.accepts(&by_hand, &take(&rolecall.client, &ended.id()).await).await);
    let comment = "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = $1";
    assert_eq!(target.text(comment, &[&by_hand]).await.as_deref(), Some("made by hand"));
}

#[tokio::test]
async fn a_missing_role_fails_and_leaves_no_secret() {
    let rolecall = Running::start("nobody").await;
    let target = rolecall.target(1);
    let nobody = rolecall.role("nobody");
    for job in [reset(&nobody, target), set_search_path(&nobody, &["public"], target)] {
        let ended = rolecall.client.run(&job).await;
        assert_failed(&ended, "role_not_found");
        rolecall.client.take_secret(&ended.id()).await.expect_problem(404, "no_secret");
    }
    rolecall.client.role("dev", &target.database, &nobody).await.expect_problem(404, "role_not_found");
}

#[tokio::test]
async fn a_search_path_is_set_in_that_database_only() {
    let rolecall = Running::start("path").await;
    let target = rolecall.target(1);
    let mut second = target.clone();
    second.database = format!("second_{}", rolecall.id);
    target.create_database(&second.database).await;
    rolecall.client.put_target("dev", &second.database, &second.registration()).await.expect(201);
    let Made { name, password, .. } = make(&rolecall, "ada", target).await;

    let schemas = ["$user", "app-data.v2", "public"];
    let job = set_search_path(&name, &schemas, &second);
    rolecall.client.run(&job).await.expect_outcome("search_path_set");

    let setting = async |scope: &str| target.text(PATH_IN, &[&name, scope]).await;
    let expected = r#""$user", "app-data.v2", public"#;
    assert_eq!(setting(&second.database).await, Some(format!("search_path={expected}")));
    assert_eq!(setting(&target.database).await.as_deref(), Some("search_path=public"), "the kind's own");
    assert_eq!(setting("*").await, None, "not role-wide");
    for (database, path) in [
        (second.database.as_str(), expected),
        (target.database.as_str(), "public"),
        ("postgres", r#""$user", public"#),
    ] {
        let session = target.login(&name, &password, database).await.unwrap();
        let shown: String = session.query_one("SHOW search_path", &[]).await.unwrap().get(0);
        assert_eq!(shown, path, "{database}");
    }

    // It replaces what was there.
    let job = set_search_path(&name, &["reporting"], &second);
    rolecall.client.run(&job).await.expect_outcome("search_path_set");
    assert_eq!(setting(&second.database).await.as_deref(), Some("search_path=reporting"));
}

#[tokio::test]
async fn protected_roles_are_never_touched() {
    let mut installation = Installation::new("protected").await;
    let listed = installation.role("listed");
    installation.set("target.protected_roles", &listed);
    let (api, _worker) =
        futures_util::future::join(installation.start(Role::Api), installation.start(Role::Worker)).await;
    let (client, target) = (installation.client(&api), installation.target(1));
    client.put_target("dev", &target.database, &target.registration()).await.expect(201);

    let [boss, walsender, member, far, reader, runner] =
        ["boss", "walsender", "member", "far", "reader", "runner"].map(|name| installation.role(name));
    let sql = format!(
        "CREATE ROLE {boss} SUPERUSER LOGIN; CREATE ROLE {walsender} REPLICATION LOGIN; \
         CREATE ROLE {member} LOGIN IN ROLE {boss}; CREATE ROLE {far} NOINHERIT LOGIN IN ROLE {member}; \
         CREATE ROLE {reader} LOGIN IN ROLE pg_read_server_files; \
         CREATE ROLE {runner} LOGIN IN ROLE pg_execute_server_program; CREATE ROLE {listed} LOGIN"
    );
    target.superuser("postgres").await.batch_execute(&sql).await.unwrap();
    let ourselves = installation.setting("default_login.user").unwrap().to_owned();

    for role in [boss, walsender, member, far, reader, runner, listed, ourselves, "postgres".to_owned()] {
        let before = target.text(FINGERPRINT, &[&role]).await;
        for job in [reset(&role, target), set_search_path(&role, &["public"], target)] {
            let ended = client.run(&job).await;
            assert_failed(&ended, "role_protected");
            client.take_secret(&ended.id()).await.expect_problem(404, "no_secret");
        }
        assert_eq!(target.text(FINGERPRINT, &[&role]).await, before, "{role}");
    }
    // System roles do not get as far as the queue.
    for job in [reset("pg_monitor", target), set_search_path("pg_monitor", &["public"], target)] {
        let refused = client.submit(&job).await.expect_problem(422, "invalid_request");
        assert_eq!(refused.faulty_fields(), ["username"]);
    }
}

#[tokio::test]
async fn a_role_belongs_to_the_environment_it_was_made_in() {
    let rolecall = Running::start("foreign").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    client.put_target("qa", &target.database, &target.registration()).await.expect(201);
    let made = make(&rolecall, "ada", target).await;
    let before = target.text(FINGERPRINT, &[&made.name]).await;
    for job in [reset(&made.name, target), set_search_path(&made.name, &["public"], target)] {
        let ended = client.run(&in_env("qa", job)).await;
        assert_failed(&ended, "role_of_another_env");
    }
    assert_eq!(target.text(FINGERPRINT, &[&made.name]).await, before);
    assert!(target.accepts(&made.name, &made.password).await);
}

/// The maker is not in history yet when the next job of the same batch asks who made the role.
#[tokio::test]
async fn a_role_belongs_to_its_environment_from_its_first_moment() {
    let rolecall = Running::start("foreign-batch").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    client.put_target("qa", &target.database, &target.registration()).await.expect(201);
    let nowhere = nowhere(&rolecall).await;
    for (name, spoiler) in [("together", None), ("one_by_one", Some(&nowhere))] {
        pause(client, target).await;
        let role = rolecall.role(name);
        // The first delivery may come alone; while it is worked on, the rest arrives and makes one batch.
        for n in 0..3 {
            let plug = rolecall.role(&format!("{name}_plug{n}"));
            client.submit(&create("devqa", &plug, target)).await.expect(202);
        }
        let create_it = client.submit(&create("devqa", &role, target)).await.expect(202).id();
        // One statement that the server refuses sends the whole batch through the second run.
        if let Some(nowhere) = spoiler {
            client.submit(&create("devqa", &rolecall.role("spoiler"), nowhere)).await.expect(202);
        }
        let steal = client.submit(&in_env("qa", reset(&role, target))).await.expect(202).id();
        resume(client, target).await;
        client.wait(&create_it).await.expect_outcome("created");
        assert_failed(&client.wait(&steal).await, "role_of_another_env");
        assert!(target.accepts(&role, &take(client, &create_it).await).await, "{name}");
    }
}

/// A target on the same host whose database does not exist.
async fn nowhere(rolecall: &Running) -> Target {
    let mut nowhere = rolecall.target(1).clone();
    nowhere.database = format!("nowhere_{}", rolecall.id);
    rolecall.client.put_target("dev", &nowhere.database, &nowhere.registration()).await.expect(201);
    nowhere
}

#[tokio::test]
async fn a_database_that_does_not_exist_fails_its_own_jobs_only() {
    let rolecall = Running::start("nowhere").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    let nowhere = nowhere(&rolecall).await;
    pause(client, target).await;
    let (lost, fine) = (rolecall.role("lost"), rolecall.role("fine"));
    let jobs = [create("devqa", &lost, &nowhere), create("devqa", &fine, target)];
    let tickets = submit_at_once(client, &jobs).await;
    resume(client, target).await;
    let [lost_ended, fine_ended]: [_; 2] = wait_all(client, &tickets).await.try_into().unwrap();
    assert_failed(&lost_ended, "database_not_found");
    client.take_secret(&tickets[0]).await.expect_problem(404, "no_secret");
    assert_eq!(target.text(FINGERPRINT, &[&lost]).await, None, "no half-made role is left");
    fine_ended.expect_outcome("created");
    assert!(target.accepts(&fine, &take(client, &tickets[1]).await).await);
}

#[tokio::test]
async fn a_login_without_createrole_is_told_so_and_nothing_waits_behind_it() {
    let rolecall = Running::start("weak").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    let made = make(&rolecall, "ada", target).await;
    let weak = rolecall.role("weak");
    let sql = format!("CREATE ROLE {weak} LOGIN PASSWORD 'weak but long enough'");
    target.superuser("postgres").await.batch_execute(&sql).await.unwrap();
    let mut registration = target.registration();
    registration["login"] = json!({ "user": weak, "password": "weak but long enough" });
    client.put_target("weak", &target.database, &registration).await.expect(201);

    let role = rolecall.role("refused");
    let ended = client.run(&in_env("weak", create("readonly", &role, target))).await;
    assert_failed(&ended, "permission_denied");
    assert_eq!(target.text(FINGERPRINT, &[&role]).await, None);
    let check = client.target_act("weak", &target.database, "check").await.expect(200);
    assert_eq!(*check.at("createrole"), json!(false), "{check}");
    assert_eq!(*check.at("ok"), json!(false), "{check}");

    // The same host under the good log-in goes on.
    client.run(&reset(&made.name, target)).await.expect_outcome("password_reset");
}
