//! The one-time password: who gets it, when, how often, and what people do with it.

use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::process::Command;

use redis::AsyncCommands;
use reqwest::Method;
use rolecall_tests::client::send;
use rolecall_tests::{Client, Installation, Running, eventually};
use serde_json::json;

use crate::scene::{SOON, create, make, pause, resume};

/// A second account, made as an operator makes one.
pub(crate) fn second_account(rolecall: &Installation, client: &Client, name: &str) -> (Client, String) {
    let rights = ["--access", "submit:*/*:*", "--access", "reveal:*/*:*"];
    let password = rolecall.make_account(name, &rights);
    (client.as_account(name, &password), password)
}

/// A connection to the installation's Redis.
pub(crate) async fn redis(rolecall: &Installation) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(rolecall.setting("redis.url").unwrap()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test]
async fn a_password_is_handed_out_once_and_the_second_caller_learns_of_the_first() {
    let rolecall = Running::start("take").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    let role = rolecall.role("ada");
    let ended = client.run(&create("devqa", &role, target)).await.expect_outcome("created");
    let id = ended.id();
    assert_eq!(*ended.at("secret.available"), json!(true), "{ended}");

    // Looking does not take.
    let path = format!("/api/v2/tickets/{id}/secret");
    for method in [Method::GET, Method::HEAD] {
        assert_eq!(send(client.request(method, &path)).await.status, 405);
    }
    let taken = client.take_secret(&id).await.expect(200);
    assert_eq!(taken.header("cache-control"), Some("no-store"));
    let where_it_works = [taken.text("user"), taken.text("host"), taken.text("database")];
    assert_eq!(where_it_works, [role.as_str(), &target.hostname, &target.database]);
    assert_eq!(*taken.at("port"), json!(target.port));
    let password = taken.text("password");
    assert_eq!(password.len(), 22);
    assert!(target.accepts(&role, password).await);

    let again = client.take_secret(&id).await.expect_problem(410, "secret_taken");
    assert_eq!(again.header("cache-control"), Some("no-store"));
    assert_eq!(again.text("taken_by"), rolecall.user);
    assert!(!again.to_string().contains(password));
    let audit = client.audit(&format!("ticket={id}&event=secret.taken")).await.expect(200);
    assert_eq!(audit.list("items").len(), 1);
    assert_eq!(audit.text("items.0.at"), again.text("taken_at"));
    assert_eq!(*client.ticket(&id).await.at("secret.available"), json!(false));
}

#[tokio::test]
async fn of_twenty_callers_at_once_one_gets_the_password() {
    let rolecall = Running::start("race").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    let role = rolecall.role("ada");
    let id = client.run(&create("devqa", &role, target)).await.id();
    let answers = futures_util::future::join_all((0..20).map(|_| client.take_secret(&id))).await;
    let (winners, losers): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!(winners.len(), 1);
    assert!(target.accepts(&role, winners[0].text("password")).await);
    for loser in losers {
        loser.expect_problem(410, "secret_taken");
    }
}

#[tokio::test]
async fn somebody_elses_ticket_is_as_unknown_as_one_that_never_was() {
    let rolecall = Running::start("foreign-ticket").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    let role = rolecall.role("ada");
    let id = client.run(&create("devqa", &role, target)).await.expect_outcome("created").id();
    let (stranger, _) = second_account(&rolecall, client, "stranger");
    let unknown = "01900000-0000-7000-8000-000000000001";

    for (method, rest) in
        [(Method::GET, ""), (Method::DELETE, ""), (Method::POST, "/secret"), (Method::GET, "/events")]
    {
        let ask = async |id: &str| {
            send(stranger.request(method.clone(), &format!("/api/v2/tickets/{id}{rest}"))).await
        };
        let (theirs, nobodys) = (ask(&id).await, ask(unknown).await);
        let theirs = theirs.expect_problem(404, "ticket_not_found");
        assert_eq!(theirs.body, nobodys.expect_problem(404, "ticket_not_found").body, "{method} {rest}");
    }
    let taken = client.take_secret(&id).await.expect(200);
    assert!(target.accepts(&role, taken.text("password")).await);
}

#[tokio::test]
async fn before_the_end_there_is_nothing_to_take() {
    let rolecall = Running::start("early").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    pause(client, target).await;
    let id = client.submit(&create("devqa", &rolecall.role("ada"), target)).await.expect(202).id();
    let early = client.take_secret(&id).await.expect_problem(409, "not_finished");
    assert!(early.header("retry-after").is_some());
    resume(client, target).await;
    client.wait(&id).await.expect_outcome("created");
    client.take_secret(&id).await.expect(200);
}

#[tokio::test]
async fn a_password_nobody_took_in_time_is_gone() {
    let rolecall = Installation::builder("expired")
        .set("tickets.secret_ttl_seconds", "3")
        .set("control.timeout_milliseconds", "1000")
        .start()
        .await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    let in_time = make(&rolecall, "grace", target).await.ticket;
    let id = client.run(&create("devqa", &rolecall.role("ada"), target)).await.expect_outcome("created").id();
    eventually("the end of the password's life", SOON, async || {
        (*client.ticket(&id).await.at("secret.available") == json!(false)).then_some(())
    })
    .await;
    client.take_secret(&id).await.expect_problem(410, "secret_expired");

    let expired = eventually("the audit to say so", SOON, async || {
        let rows = client.audit("event=secret.expired").await.expect(200);
        (!rows.list("items").is_empty()).then_some(rows)
    })
    .await;
    assert_eq!(expired.list("items").len(), 1, "{expired}");
    assert_eq!([expired.text("items.0.ticket"), expired.text("items.0.account")], [&id, &rolecall.user]);
    // The one that was taken in time would have expired before it.
    assert_ne!(expired.text("items.0.ticket"), in_time);
}

#[tokio::test]
async fn a_password_that_redis_lost_is_said_to_be_lost() {
    let rolecall = Running::start("lost").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    let id = client.run(&create("devqa", &rolecall.role("ada"), target)).await.expect_outcome("created").id();
    let key = format!("{}:secret:{id}", rolecall.setting("redis.prefix").unwrap());
    let deleted: u64 = redis(&rolecall).await.del(key).await.unwrap();
    assert_eq!(deleted, 1, "there was a sealed password");
    client.take_secret(&id).await.expect_problem(410, "secret_lost");

    // One that was taken stays taken, whatever Redis says.
    let made = make(&rolecall, "grace", target).await;
    client.take_secret(&made.ticket).await.expect_problem(410, "secret_taken");
}

#[tokio::test]
async fn what_people_paste_connects() {
    let rolecall = Running::start("paste").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    let job = json!({
        "operation": "create_role", "kind": "app", "env": "dev", "database": target.database,
        "servername": format!("web-01.{}$x", rolecall.id), "port": 8080,
    });
    let ended = client.run(&job).await.expect_outcome("created");
    let role = ended.text("role").to_owned();
    let taken = client.take_secret(&ended.id()).await.expect(200);
    let psql = rolecall.stack.get("STACK_PSQL");
    let query = ["-X", "-w", "-A", "-t", "-c", "SELECT current_user || ' ' || current_database()"];
    let expected = format!("{role} {}", target.database);

    // The URI.
    let mut command = bare(psql);
    assert_eq!(printed(command.arg(taken.text("uri")).args(query)), expected);

    // The line of .pgpass.
    let file = rolecall.dir().join("pgpass");
    let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).unwrap();
    assert_eq!(opened.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(&file, format!("{}\n", taken.text("pgpass"))).unwrap();
    let (port, host) = (target.port.to_string(), target.hostname.as_str());
    let mut command = bare(psql);
    command.env("PGPASSFILE", &file).args(["-h", host, "-p", &port, "-U", &role, "-d", &target.database]);
    assert_eq!(printed(command.args(query)), expected);

    // The lines of environment, as a shell reads them.
    let lines: Vec<_> = taken.list("env").iter().map(|line| line.as_str().unwrap()).collect();
    let mut command = bare("sh");
    let script = format!("export {}; exec \"$@\"", lines.join(" "));
    assert_eq!(printed(command.args(["-c", &script, "sh", psql]).args(query)), expected);
}

/// A command that no variable of whoever runs the tests can help.
fn bare(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("PGPASSFILE", "/nonexistent");
    command
}

fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
