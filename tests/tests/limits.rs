//! Limits of a job's life, at the limit and one beyond: how many may wait, for how long, and how often one is tried. What
//! is over a limit harms nobody else, and what was accepted is kept.
//!
//! Limits of requests, of registrations and of names are tested in `tests/tests/http`.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lapin::message::BasicGetMessage;
use lapin::options::BasicGetOptions;
use lapin::types::AMQPValue;
use lapin::{Connection, ConnectionProperties};
use rolecall_shared::failpoints::Failpoint;
use rolecall_tests::process::Role;
use rolecall_tests::{Answer, Client, Installation, Running, Target, eventually};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(30);

fn create(target: &Target, role: &str) -> Value {
    json!({ "operation": "create_role", "kind": "devqa", "username": role,
            "env": "dev", "database": target.database })
}

fn until(deadline: &str, mut job: Value) -> Value {
    job["deadline"] = deadline.into();
    job
}

#[tokio::test]
async fn a_full_host_refuses_more_and_keeps_what_it_has() {
    const LIMIT: usize = 20;
    const CALLERS: usize = 8;
    let rolecall = Installation::builder("full").set("api.backlog_per_host", LIMIT.to_string()).start().await;
    let other_api = rolecall.start(Role::Api).await;
    let doors = [rolecall.client.clone(), rolecall.client.at(&other_api.url())];
    let (full, free) = (rolecall.target(1), rolecall.target(2));
    rolecall.client.target_act("dev", &full.database, "pause").await.expect(200);

    let submit = |caller: usize| {
        let (client, rolecall) = (&doors[caller % doors.len()], &rolecall);
        async move {
            let (mut kept, mut refused) = (Vec::new(), Vec::new());
            for n in 0..LIMIT {
                let role = rolecall.role(&format!("full{caller}_{n}"));
                let answer = client.submit(&create(full, &role)).await;
                if answer.status == 202 {
                    kept.push((role, answer.id()));
                } else {
                    assert_names(&answer.expect_problem(429, "host_backlog_full"), full);
                    refused.push(role);
                }
                // Its neighbour takes every job before and after; fewer than its own limit, should it be slow.
                if n == 0 || n == LIMIT - 1 {
                    client
                        .submit(&create(free, &rolecall.role(&format!("free{caller}_{n}"))))
                        .await
                        .expect(202);
                }
            }
            (kept, refused)
        }
    };
    let (kept, refused): (Vec<_>, Vec<_>) = join_all((0..CALLERS).map(submit)).await.into_iter().unzip();
    let (kept, refused) = (kept.concat(), refused.concat());
    println!("{} jobs kept at a limit of {LIMIT}, {} refused, by two apis", kept.len(), refused.len());
    // Each api counts for itself, and what arrives while it counts is let in.
    assert!((LIMIT..3 * LIMIT).contains(&kept.len()), "{} were kept", kept.len());

    rolecall.client.target_act("dev", &full.database, "resume").await.expect(200);
    for (_, ticket) in &kept {
        rolecall.client.wait(ticket).await.expect_outcome("created");
    }
    let mut made = roles(full, &rolecall.role("full%")).await;
    let mut expected: Vec<_> = kept.into_iter().map(|(role, _)| role).collect();
    made.sort();
    expected.sort();
    assert_eq!(made, expected, "what was kept was made, and nothing of what was refused");
    eventually("a place on the host", SOON, async || {
        let answer = rolecall.client.submit(&create(full, &refused[0])).await;
        (answer.status == 202).then_some(())
    })
    .await;
}

fn assert_names(refused: &Answer, host: &Target) {
    assert_eq!(refused.text("host"), host.host(), "{refused}");
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
}

async fn roles(target: &Target, like: &str) -> Vec<String> {
    let query = "SELECT rolname::text FROM pg_roles WHERE rolname LIKE $1";
    let rows = target.superuser("postgres").await.query(query, &[&like]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_job_waits_until_its_deadline_and_not_beyond_the_longest() {
    let rolecall = Installation::builder("deadlines")
        .set("tickets.deadline_seconds", "30")
        .set("tickets.max_deadline_seconds", "60")
        .start()
        .await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    client.target_act("dev", &target.database, "pause").await.expect(200);
    let job = |name: &str| create(target, &rolecall.role(name));
    for (deadline, seconds) in [(Some("60s"), 60), (Some("59s"), 59), (None, 30)] {
        let job = job(&format!("waits{seconds}"));
        let job = if let Some(deadline) = deadline { until(deadline, job) } else { job };
        let accepted = client.submit(&job).await.expect(202);
        let [from, to] =
            ["submitted_at", "deadline_at"].map(|at| accepted.text(at).parse::<jiff::Timestamp>().unwrap());
        assert_eq!(from.duration_until(to).as_secs(), seconds, "{accepted}");
        client.cancel(&accepted.id()).await.expect(200);
    }
    let refused = client.submit(&until("61s", job("beyond"))).await.expect_problem(422, "invalid_request");
    assert_eq!(refused.faulty_fields(), ["deadline"]);

    let patient = client.submit(&job("patient")).await.expect(202).id();
    let begun = Instant::now();
    let hasty = client.submit(&until("2s", job("hasty"))).await.expect(202).id();
    let expired = client.wait(&hasty).await;
    let took = begun.elapsed();
    println!("a deadline of 2 s on a paused host passed after {:.2} s", took.as_secs_f32());
    assert_eq!(expired.text("problem.code"), "deadline_exceeded", "{expired}");
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(12), "{took:?}");
    assert_eq!(client.ticket(&patient).await.text("state"), "queued");

    client.target_act("dev", &target.database, "resume").await.expect(200);
    client.wait(&patient).await.expect_outcome("created");
    assert_eq!(roles(target, &rolecall.role("hasty")).await, [""; 0]);
    assert_eq!(events(client, &hasty).await, ["ticket.expired"]);
}

async fn events(client: &Client, ticket: &str) -> Vec<String> {
    let audit = client.audit(&format!("ticket={ticket}")).await.expect(200);
    audit.list("items").iter().map(|row| row["event"].as_str().unwrap().to_owned()).collect()
}

/// So often a job is started alone before it is put aside; the default of `worker.attempts`.
const ATTEMPTS: usize = 3;

#[tokio::test]
async fn a_job_may_go_well_at_its_last_start() {
    let rolecall = Running::start("last_start").await;
    assert!(rolecall.worker.stop().await.success());
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let saved = submit(client, &create(target, &rolecall.role("saved"))).await;
    // Once as any job, and then alone, one time less than it may.
    workers_die(&rolecall, ATTEMPTS).await;
    let _worker = rolecall.start(Role::Worker).await;
    let ended = client.wait(&saved).await.expect_outcome("created");
    assert_eq!(*ended.at("attempts"), json!(ATTEMPTS), "{ended}");
}

#[tokio::test]
async fn a_job_whose_workers_die_is_put_aside_and_harms_nobody() {
    let rolecall = Running::start("attempts").await;
    assert!(rolecall.worker.stop().await.success());
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let job = |name: &str| create(target, &rolecall.role(name));
    let spent = submit(client, &job("spent")).await;
    let company = [submit(client, &job("second")).await, submit(client, &job("third")).await];
    workers_die(&rolecall, 1 + ATTEMPTS).await;

    let worker = rolecall.start(Role::Worker).await;
    let failed = client.wait(&spent).await;
    assert_eq!((failed.text("state"), failed.text("problem.code")), ("failed", "attempts_exhausted"));
    client.take_secret(&spent).await.expect_problem(404, "no_secret");
    assert_eq!(events(client, &spent).await, ["ticket.failed"]);
    assert_eq!(roles(target, &rolecall.role("spent")).await, [""; 0]);
    for ticket in &company {
        let ended = client.wait(ticket).await.expect_outcome("created");
        assert_eq!(*ended.at("attempts"), json!(1), "{ended}");
    }
    let afterwards = client.run(&job("fourth")).await.expect_outcome("created");
    assert_eq!(*afterwards.at("attempts"), json!(0), "{afterwards}");
    assert!(worker.stop().await.success());

    let dead = dead_letters(&rolecall).await;
    assert_eq!(dead.len(), 1, "one message was put aside");
    assert!(String::from_utf8_lossy(&dead[0].data).contains(&spent), "it is that job's");
    let queue = format!("{}.host.{}", rolecall.setting("rabbitmq.prefix").unwrap(), target.host());
    for (name, text) in [("x-rolecall-queue", queue.as_str()), ("x-rolecall-reason", "attempts_exhausted")] {
        let headers = dead[0].properties.headers().as_ref().unwrap();
        assert_eq!(headers.inner().get(name), Some(&AMQPValue::LongString(text.into())), "{name}");
    }
}

async fn submit(client: &Client, job: &Value) -> String {
    client.submit(job).await.expect(202).id()
}

/// One worker after another dies with the answers of the DDL in hand, before its COMMIT.
async fn workers_die(rolecall: &Installation, times: usize) {
    for _ in 0..times {
        let worker = rolecall.spawn_to_die_at(Role::Worker, Failpoint::BeforeCommit);
        assert!(!worker.ended().await.success());
        assert!(worker.log_text().contains(Failpoint::BeforeCommit.name()), "{}", worker.log_tail());
    }
}

async fn dead_letters(rolecall: &Installation) -> Vec<BasicGetMessage> {
    let url = rolecall.setting("rabbitmq.url").unwrap();
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let queue = format!("{}.dead", rolecall.setting("rabbitmq.prefix").unwrap());
    let mut messages = Vec::new();
    let options = BasicGetOptions { no_ack: true };
    while let Some(message) = channel.basic_get(queue.as_str().into(), options).await.unwrap() {
        messages.push(message);
    }
    messages
}
