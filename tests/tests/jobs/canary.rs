//! No password is written in clear anywhere: not in our logs or answers, not in the servers' logs with every
//! statement in them, not in the data of broker and ticket store, not in a dump of the control database.
//!
//! On a stack of its own, whose logs are ours alone.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use redis::AsyncCommands;
use rolecall_shared::domain::TicketId;
use rolecall_shared::seal::{KeyRing, ticket_secret_context};
use rolecall_tests::{Answer, Installation, Running};
use serde_json::json;

use crate::proofs;
use crate::scene::{
    assert_failed, create, in_env, make, pause, reset, resume, set_search_path, submit_at_once, take,
    wait_all, with,
};
use crate::search::{Search, Secrets, files};
use crate::secrets::{redis, second_account};
use rolecall_tests::PrivateStack;

/// Not a secret: goes in with a job, and must be found, or the search proves nothing.
const PLANTED: &str = "planted-on-purpose-4711";
const WRONG: &str = "wrong-password-of-a-caller";

#[tokio::test]
async fn no_password_is_written_down_anywhere() {
    let stack = PrivateStack::up("canary");
    // Everything that may be logged at all.
    let rolecall = Installation::builder("canary")
        .on(&stack)
        .set("log.filter", "trace")
        .set("legacy.get_writes", "true")
        .set("outbound.allow_http", "true")
        .set("outbound.allowed_networks", "127.0.0.0/8")
        .start()
        .await;
    log_every_statement(&rolecall).await;

    let mut secrets = Secrets::default();
    configured(&rolecall, &mut secrets);
    proofs::sign_webhooks(&rolecall, &mut secrets).await;
    let queued = plant(&rolecall).await;
    assert_found(&broker_data(&rolecall), PLANTED);
    assert_clean(&broker_data(&rolecall), &secrets.search());
    resume(&rolecall.client, rolecall.target(1)).await;
    wait_all(&rolecall.client, &queued).await;

    work(&rolecall, &mut secrets).await;
    proofs::use_them_all(&rolecall, &mut secrets).await;
    for service in ["redis", "rabbitmq", "control", "target-1"] {
        // What is said about connections that break and are made again.
        stack.run(&["restart", service]);
    }
    rolecall.api.ready().await;
    rolecall.worker.ready().await;
    let afterwards = make(&rolecall, "afterwards", rolecall.target(1)).await;
    secrets.add("handed out last", afterwards.password);
    never_taken(&rolecall, &mut secrets).await;

    let search = secrets.search();
    for (places, known) in [
        (own_logs(&rolecall), "create_role"),
        (server_log(&rolecall, "TARGET_1"), "CREATE ROLE"),
        (server_log(&rolecall, "TARGET_2"), "CREATE ROLE"),
        (server_log(&rolecall, "CONTROL"), "INSERT INTO audit_inbox"),
        (server_log(&rolecall, "REDIS"), "Ready to accept connections"),
        (files(Path::new(rolecall.stack.get("STACK_RABBITMQ_LOG")), &|_| true), "authenticated"),
        (broker_data(&rolecall), "rolecall"),
        (store_data(&rolecall), PLANTED),
        (dumps(&rolecall), PLANTED),
        (answers(&rolecall).await, "ticket.succeeded"),
    ] {
        assert_found(&places, known);
        assert_clean(&places, &search);
    }
}

type Places = Vec<(String, Vec<u8>)>;

fn assert_found(places: &Places, known: &str) {
    let mut wanted = Secrets::default();
    wanted.add("it", known);
    let search = wanted.search();
    let found = places.iter().any(|(_, bytes)| search.find(bytes).is_some());
    let names: Vec<_> = places.iter().map(|(name, bytes)| format!("{name} ({})", bytes.len())).collect();
    assert!(found, "{known:?} must stand in one of {names:#?}");
}

fn assert_clean(places: &Places, search: &Search) {
    let found: Vec<_> = places
        .iter()
        .filter_map(|(place, bytes)| Some(format!("{} in {place}", search.find(bytes)?)))
        .collect();
    assert!(found.is_empty(), "written in clear: {found:#?}");
}

async fn log_every_statement(rolecall: &Running) {
    let superuser = rolecall.control.superuser().await;
    // With their parameters. Targets do from the start.
    superuser.batch_execute("ALTER SYSTEM SET log_statement = 'all'").await.unwrap();
    superuser.batch_execute("SELECT pg_reload_conf()").await.unwrap();
}

/// Everything secret that the installation was given.
fn configured(rolecall: &Running, secrets: &mut Secrets) {
    let of_url = |url: &str| {
        let (login, _) = url.split_once("://").unwrap().1.rsplit_once('@').unwrap();
        login.rsplit_once(':').unwrap().1.to_owned()
    };
    secrets.add("the account's password", &rolecall.password);
    secrets.add("the DBA password", rolecall.setting("default_login.password").unwrap());
    for url in ["rabbitmq.url", "redis.url", "control.url", "control.owner_url"] {
        secrets.add(format!("the password of {url}"), of_url(rolecall.setting(url).unwrap()));
    }
    let keys: toml::Table = std::fs::read_to_string(rolecall.key_file()).unwrap().parse().unwrap();
    for key in keys["keys"].as_array().unwrap() {
        let text = key["key"].as_str().unwrap();
        secrets.add("a seal key", STANDARD.decode(text).unwrap());
    }
    secrets.add("a wrong password", WRONG);
}

/// Jobs that wait in the broker, one with something to be found.
async fn plant(rolecall: &Running) -> Vec<String> {
    let (client, target) = (&rolecall.client, rolecall.target(1));
    pause(client, target).await;
    let job = |n: usize| create("devqa", &rolecall.role(&format!("planted{n}")), target);
    let mut jobs: Vec<_> = (0..5).map(job).collect();
    jobs.push(with("metadata", json!({ "note": PLANTED }), job(5)));
    submit_at_once(client, &jobs).await
}

/// Everything that has to do with passwords, well and badly.
async fn work(rolecall: &Running, secrets: &mut Secrets) {
    let client = &rolecall.client;
    for (number, target) in [(1, rolecall.target(1)), (2, rolecall.target(2))] {
        let made = make(rolecall, "ada", target).await;
        client.take_secret(&made.ticket).await.expect_problem(410, "secret_taken");
        let ended = client.run(&reset(&made.name, target)).await.expect_outcome("password_reset");
        let new = take(client, &ended.id()).await;
        assert!(target.accepts(&made.name, &new).await && !target.accepts(&made.name, &made.password).await);
        client.run(&set_search_path(&made.name, &["public"], target)).await.expect_outcome("search_path_set");
        client.run(&create("devqa", &made.name, target)).await.expect_outcome("already_exists");
        let readonly = create("readonly", &rolecall.role("reports"), target);
        let ended = client.run(&readonly).await.expect_outcome("created");
        secrets.add(format!("reports on {number}"), take(client, &ended.id()).await);
        secrets.add(format!("the first password on {number}"), made.password);
        secrets.add(format!("the second password on {number}"), new);
    }
    in_the_older_form(rolecall, secrets).await;
    let (second, password) = second_account(rolecall, client, "second");
    secrets.add("the second account's password", password);
    second.get("/api/v2/targets").await.expect_problem(403, "forbidden");
    fail(rolecall).await;
}

/// Passwords that are the answer to a GET.
async fn in_the_older_form(rolecall: &Running, secrets: &mut Secrets) {
    let target = rolecall.target(1);
    for call in ["devqa", "reset"] {
        let role = rolecall.role("older");
        let path = format!("/api/v1/users/{call}?env=dev&database={}&username={role}", target.database);
        let answer = rolecall.client.get(&path).await.expect(200);
        secrets.add(format!("the answer of {call}"), answer.text("password"));
    }
}

/// What is refused by us and by the servers.
async fn fail(rolecall: &Running) {
    let (client, target) = (&rolecall.client, rolecall.target(1));
    for account in [client.as_account(&rolecall.user, WRONG), client.as_account("nobody", WRONG)] {
        account.get("/api/v2/targets").await.expect_problem(401, "unauthenticated");
        account
            .submit(&create("devqa", &rolecall.role("x"), target))
            .await
            .expect_problem(401, "unauthenticated");
    }
    assert_failed(&client.run(&reset(&rolecall.role("nobody"), target)).await, "role_not_found");
    assert_failed(&client.run(&reset("postgres", target)).await, "role_protected");

    // A log-in of the target's own: the DBA's, then a wrong one.
    let mut registration = target.registration();
    let [user, password] =
        ["user", "password"].map(|key| rolecall.setting(&format!("default_login.{key}")).unwrap().to_owned());
    registration["login"] = json!({ "user": user, "password": password });
    client.put_target("own", &target.database, &registration).await.expect(201);
    let job = in_env("own", create("devqa", &rolecall.role("own"), target));
    client.run(&job).await.expect_outcome("created");
    registration["login"]["password"] = WRONG.into();
    client.put_target("own", &target.database, &registration).await.expect(200);
    client.target_act("own", &target.database, "check").await.expect_problem(502, "target_login_refused");
    registration["login"]["surplus"] = WRONG.into();
    client.put_target("own", &target.database, &registration).await.expect_problem(422, "invalid_request");

    // The server refuses the statement that the verifier stands in.
    let mut nowhere = target.clone();
    nowhere.database = format!("nowhere_{}", rolecall.id);
    client.put_target("dev", &nowhere.database, &nowhere.registration()).await.expect(201);
    let ended = client.run(&create("devqa", &rolecall.role("lost"), &nowhere)).await;
    assert_failed(&ended, "database_not_found");
}

/// Passwords that wait in Redis, opened with the seal's key: nobody else knows them.
async fn never_taken(rolecall: &Running, secrets: &mut Secrets) {
    let ring = KeyRing::load(&rolecall.key_file()).unwrap();
    let prefix = format!("{}:secret:", rolecall.setting("redis.prefix").unwrap());
    let mut redis = redis(rolecall).await;
    let keys: Vec<String> = redis.keys(format!("{prefix}*")).await.unwrap();
    assert!(keys.len() >= 6, "the planted ones were not taken: {keys:?}");
    for key in keys {
        let sealed: Vec<u8> = redis.get(&key).await.unwrap();
        let ticket: TicketId = key.strip_prefix(&prefix).unwrap().parse().unwrap();
        let password = ring.open(&sealed, &ticket_secret_context(ticket)).unwrap();
        secrets.add(format!("the password of {ticket}"), password.as_slice());
    }
}

fn own_logs(rolecall: &Running) -> Places {
    files(rolecall.dir(), &|path| path.extension().is_some_and(|e| e == "log"))
}

fn server_log(rolecall: &Running, server: &str) -> Places {
    let path = rolecall.stack.get(&format!("STACK_{server}_LOG"));
    vec![(path.to_owned(), std::fs::read(path).unwrap())]
}

/// All but the stack's own configuration, where its password has to stand.
fn broker_data(rolecall: &Running) -> Places {
    let is_data = |path: &Path| path.file_name().is_some_and(|name| name != "rabbitmq.conf");
    files(Path::new(rolecall.stack.get("STACK_RABBITMQ_DATA")), &is_data)
}

fn store_data(rolecall: &Running) -> Places {
    let is_data = |path: &Path| path.file_name().is_some_and(|name| name != "redis.conf");
    files(Path::new(rolecall.stack.get("STACK_REDIS_DATA")), &is_data)
}

/// The control database, and its server with the roles.
fn dumps(rolecall: &Running) -> Places {
    let url = &rolecall.control.superuser_url;
    let config: tokio_postgres::Config = url.parse().unwrap();
    let password = OsStr::from_bytes(config.get_password().unwrap());
    let dump = |program: &str| {
        let path = Path::new(rolecall.stack.get("STACK_PG_BIN")).join(program);
        // `pg_dumpall` does not take the password from a URL to every database.
        let output = Command::new(path).arg("-d").arg(url).env("PGPASSWORD", password).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        (program.to_owned(), output.stdout)
    };
    vec![dump("pg_dump"), dump("pg_dumpall")]
}

/// What anybody may read who may read at all.
async fn answers(rolecall: &Running) -> Places {
    let (client, worker) = (&rolecall.client, rolecall.client.at(&rolecall.worker.url()));
    let mut answers = Vec::new();
    let mut keep =
        |name: &str, answer: &Answer| answers.push((name.to_owned(), answer.to_string().into_bytes()));
    keep("metrics of the api", &client.get("/metrics").await.expect(200));
    keep("metrics of the worker", &worker.get("/metrics").await.expect(200));
    for path in ["/api/v2/audit?limit=200", "/api/v2/targets", "/api/v2/hosts", "/readyz"] {
        keep(path, &client.get(path).await.expect(200));
    }
    let audit = client.audit("limit=200").await.expect(200);
    for ticket in audit.list("items").iter().filter_map(|row| row["ticket"].as_str()) {
        keep(ticket, &client.ticket(ticket).await);
    }
    answers
}
