//! Processes: what they need to start, that they end when they are told to, and that others go on after them.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use rolecall_tests::process::Role;
use rolecall_tests::{Installation, Running};
use serde_json::{Value, json};

fn order(rolecall: &Installation, name: &str) -> Value {
    json!({
        "operation": "create_role", "kind": "devqa", "username": rolecall.role(name),
        "env": "dev", "database": rolecall.target(1).database,
    })
}

#[tokio::test]
async fn one_process_can_do_everything() {
    let rolecall = Installation::new("serve").await;
    let process = rolecall.start(Role::Serve).await;
    let client = rolecall.client(&process);
    let target = rolecall.target(1);
    client.put_target("dev", &target.database, &target.registration()).await.expect(201);

    let ended = client.run(&order(&rolecall, "ada")).await.expect_outcome("created");
    let secret = client.take_secret(&ended.id()).await.expect(200);
    assert!(target.accepts(secret.text("user"), secret.text("password")).await);
    assert!(process.stop().await.success());
}

#[tokio::test]
async fn told_to_stop_they_leave_with_exit_code_0() {
    let rolecall = Running::start("stop").await;
    rolecall.client.run(&order(&rolecall, "ada")).await.expect_outcome("created");
    assert!(rolecall.worker.stop().await.success());
    assert!(rolecall.api.stop().await.success());
}

#[tokio::test]
async fn a_job_waits_for_a_worker_and_the_next_one_takes_it() {
    let mut rolecall = Running::start("restart").await;
    rolecall.worker.kill();
    let accepted = rolecall.client.submit(&order(&rolecall, "ada")).await.expect(202);
    assert_eq!(rolecall.client.ticket(&accepted.id()).await.text("state"), "queued");

    rolecall.worker = rolecall.start(Role::Worker).await;
    rolecall.client.wait(&accepted.id()).await.expect_outcome("created");
}

#[tokio::test]
async fn without_a_seal_key_nothing_starts_and_the_command_is_named() {
    let rolecall = Installation::builder("keyless").without_key().create().await;
    for role in [Role::Api, Role::Worker, Role::Serve] {
        let process = rolecall.spawn(role);
        assert!(!process.ended().await.success());
        assert!(process.log_text().contains("rolecall keys add"), "{}", process.log_tail());
    }
}

#[tokio::test]
async fn a_stranger_is_asked_who_he_is() {
    let rolecall = Running::start("stranger").await;
    for (user, password) in
        [(rolecall.user.as_str(), "wrong"), ("nobody", rolecall.password.as_str()), ("", "")]
    {
        let client = rolecall.client.as_account(user, password);
        let answer = client.submit(&order(&rolecall, "ada")).await;
        assert!(answer.header("www-authenticate").is_some_and(|text| text.starts_with("Basic")), "{answer}");
        answer.expect_problem(401, "unauthenticated");
    }
}
