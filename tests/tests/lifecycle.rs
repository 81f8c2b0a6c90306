//! Processes: what they need to start, that they end when they are told to, and that others go on after them.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rolecall_tests::process::Role;
use rolecall_tests::{Installation, Running, eventually};
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

/// A worker that is told to stop finishes the batch it is in and gives back the rest as if it had never had it.
#[tokio::test]
async fn told_to_stop_in_a_burst_ten_times_no_attempt_is_spent_and_no_ticket_is_stuck() {
    const JOBS: usize = 200;
    const STOPS: usize = 10;
    // Small batches, so that a stop meets much that is in hand and not begun.
    let mut rolecall = Installation::builder("stops").set("worker.batch", "4").start().await;
    assert!(rolecall.worker.stop().await.success());
    let jobs: Vec<Value> = (0..JOBS).map(|n| order(&rolecall, &format!("ada{n}"))).collect();
    let accepted = join_all(jobs.iter().map(|job| rolecall.client.submit(job))).await;
    let tickets: Vec<String> = accepted.into_iter().map(|answer| answer.expect(202).id()).collect();

    let (mut slowest, mut in_a_burst) = (Duration::ZERO, 0);
    for stop in 1..=STOPS {
        rolecall.worker = rolecall.start(Role::Worker).await;
        // Into the burst, and a little further each time.
        eventually("the burst to go on", Duration::from_secs(30), async || {
            (settled(&rolecall).await >= stop * JOBS / (2 * STOPS)).then_some(())
        })
        .await;
        let begun = Instant::now();
        assert_eq!(rolecall.worker.stop().await.code(), Some(0));
        slowest = slowest.max(begun.elapsed());
        in_a_burst += usize::from(settled(&rolecall).await < JOBS);
    }
    assert!(slowest < Duration::from_secs(20), "stopping took {slowest:?}");
    println!("{STOPS} stops, {in_a_burst} of them in the burst; the slowest took {slowest:?}");
    assert!(in_a_burst > STOPS / 2, "the burst was over before it was stopped");

    rolecall.worker = rolecall.start(Role::Worker).await;
    for ticket in tickets {
        let ended = rolecall.client.wait(&ticket).await.expect_outcome("created");
        assert_eq!(*ended.at("attempts"), json!(0), "{ended}");
    }
}

/// How many jobs history knows.
async fn settled(rolecall: &Installation) -> usize {
    let control = rolecall.control.superuser().await;
    let row = control.query_one("SELECT count(*) FROM history", &[]).await.expect("a migrated database");
    usize::try_from(row.get::<_, i64>(0)).expect("a count")
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
