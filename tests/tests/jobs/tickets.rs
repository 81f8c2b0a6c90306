//! Tickets as a caller sees them: waiting, conditional reads, cancels, deadlines, events, idempotency, history, and
//! the reason why a job does not run yet.

use std::time::{Duration, Instant};

use redis::AsyncCommands;
use reqwest::Method;
use rolecall_tests::client::send;
use rolecall_tests::{Answer, Client, Installation, Running, Target, eventually};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use crate::scene::{SOON, assert_failed, create, make, pause, reset, resume, take, with};
use crate::secrets::{redis, second_account};

/// A job that waits on a paused host, and its role.
async fn queued(rolecall: &Running, name: &str) -> (String, String) {
    let (target, client) = (rolecall.target(1), &rolecall.client);
    pause(client, target).await;
    let role = rolecall.role(name);
    let accepted = client.submit(&create("devqa", &role, target)).await.expect(202);
    let id = accepted.id();
    assert_eq!(accepted.header("location"), Some(format!("/api/v2/tickets/{id}").as_str()));
    assert!(accepted.header("retry-after").is_some());
    (id, role)
}

async fn exists(target: &Target, role: &str) -> bool {
    target.text("SELECT rolname::text FROM pg_roles WHERE rolname = $1", &[role]).await.is_some()
}

#[tokio::test]
async fn a_wait_ends_with_the_job_and_not_with_its_time() {
    let rolecall = Running::start("wait").await;
    let client = &rolecall.client;
    let (id, _) = queued(&rolecall, "ada").await;

    let begun = Instant::now();
    let unfinished = client.get(&format!("/api/v2/tickets/{id}?wait=1")).await.expect(200);
    assert!(begun.elapsed() >= Duration::from_secs(1), "it waits as long as it was asked to");
    assert_eq!(unfinished.text("state"), "queued");
    assert_eq!(unfinished.text("waiting_reason"), "host_paused", "{unfinished}");
    assert!(unfinished.text("cause").contains(&rolecall.user), "{unfinished}");
    assert!(unfinished.header("retry-after").is_some());

    let begun = Instant::now();
    let path = format!("/api/v2/tickets/{id}");
    let asking = format!("{path}?wait=50");
    let (ended, wished, ()) = tokio::join!(
        client.get(&asking),
        send(client.request(Method::GET, &path).header("Prefer", "wait=50")),
        resume(client, rolecall.target(1)),
    );
    ended.expect(200).expect_outcome("created");
    assert_eq!(wished.header("preference-applied"), Some("wait=50"));
    wished.expect(200).expect_outcome("created");
    assert!(begun.elapsed() < SOON, "the end woke them");

    let too_long = client.get(&format!("/api/v2/tickets/{id}?wait=51")).await;
    too_long.expect_problem(400, "malformed_request");
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let rolecall = Running::start("etag").await;
    let client = &rolecall.client;
    let (id, _) = queued(&rolecall, "ada").await;
    let ask = async |tag: &str, query: &str| {
        let request = client.request(Method::GET, &format!("/api/v2/tickets/{id}{query}"));
        send(request.header("If-None-Match", tag)).await
    };
    let tag_of = |answer: &Answer| answer.header("etag").unwrap().to_owned();

    let queued = tag_of(&client.ticket(&id).await.expect(200));
    let same = ask(&queued, "").await.expect(304);
    assert_eq!((same.header("etag"), &same.body), (Some(queued.as_str()), &json!("")));
    ask(&queued, "?wait=1").await.expect(304);
    assert_eq!(ask("W/\"0\"", "").await.expect(200).id(), id);

    // With a wait, the first change answers, which need not be the last.
    let (changed, ()) =
        futures_util::future::join(ask(&queued, "?wait=50"), resume(client, rolecall.target(1))).await;
    assert_ne!(tag_of(&changed.expect(200)), queued);
    let ended = client.wait(&id).await;
    let done = tag_of(&ended);
    ask(&done, "?wait=50").await.expect(304);
    // Whether the password is there is part of what is shown.
    take(client, &id).await;
    ask(&done, "").await.expect(200);
}

#[tokio::test]
async fn a_submit_may_wait_for_the_end() {
    let rolecall = Running::start("prefer").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    let submit = async |job: &Value, wish: &str| {
        send(client.request(Method::POST, "/api/v2/jobs").header("Prefer", wish).json(job)).await
    };
    let ended = submit(&create("devqa", &rolecall.role("ada"), target), "wait=50").await.expect(200);
    assert_eq!(ended.header("preference-applied"), Some("wait=50"));
    assert_eq!(ended.header("location"), Some(format!("/api/v2/tickets/{}", ended.id()).as_str()));
    ended.expect_outcome("created");
    let failed = submit(&reset(&rolecall.role("nobody"), target), "wait=50").await.expect(200);
    assert_failed(&failed, "role_not_found");

    pause(client, target).await;
    let unfinished = submit(&create("devqa", &rolecall.role("bob"), target), "wait=1").await.expect(202);
    assert_eq!(unfinished.text("state"), "queued");
}

#[tokio::test]
async fn a_cancelled_job_never_runs() {
    let rolecall = Running::start("cancel").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    let (id, role) = queued(&rolecall, "ada").await;
    let cancelled = client.cancel(&id).await.expect(200);
    assert_eq!(cancelled.text("state"), "cancelled");
    client.cancel(&id).await.expect(200);
    client.take_secret(&id).await.expect_problem(404, "no_secret");
    resume(client, target).await;

    // A job behind it has run: its own turn is over.
    let after = make(&rolecall, "after", target).await;
    assert!(!exists(target, &role).await);
    assert_eq!(client.ticket(&id).await.text("state"), "cancelled");
    client.cancel(&after.ticket).await.expect_problem(409, "not_cancellable");
    let audit = client.audit(&format!("ticket={id}")).await.expect(200);
    assert_eq!(audit.list("items").len(), 1, "{audit}");
    assert_eq!(audit.text("items.0.event"), "ticket.cancelled");
}

#[tokio::test]
async fn a_deadline_passes_on_a_paused_host_too() {
    let rolecall = Running::start("deadline").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    pause(client, target).await;
    let role = rolecall.role("late");
    let job = with("deadline", "1s", create("devqa", &role, target));
    let id = client.submit(&job).await.expect(202).id();
    let expired = client.wait(&id).await;
    assert_eq!(expired.text("state"), "expired");
    assert_eq!(expired.text("problem.code"), "deadline_exceeded");
    resume(client, target).await;
    make(&rolecall, "after", target).await;
    assert!(!exists(target, &role).await);
    let audit = client.audit(&format!("ticket={id}")).await.expect(200);
    assert_eq!(audit.text("items.0.event"), "ticket.expired");
}

#[tokio::test]
async fn events_tell_every_state_and_end_with_the_last() {
    let rolecall = Running::start("events").await;
    let client = &rolecall.client;
    let (id, _) = queued(&rolecall, "ada").await;
    let watch = client.request(Method::GET, &format!("/api/v2/tickets/{id}/events")).send();
    let mut stream = watch.await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let first = stream.chunk().await.unwrap().unwrap();
    resume(client, rolecall.target(1)).await;
    let rest = tokio::time::timeout(SOON, stream.text()).await.expect("the stream ends by itself").unwrap();

    let text = String::from_utf8(first.to_vec()).unwrap() + &rest;
    let states: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|data| serde_json::from_str::<Value>(data).unwrap()["state"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(states.first().map(String::as_str), Some("queued"));
    assert_eq!(states.last().map(String::as_str), Some("succeeded"));
    let order = ["queued", "running", "succeeded"];
    let places: Vec<_> = states.iter().map(|state| order.iter().position(|s| s == state)).collect();
    assert!(places.is_sorted() && places[0].is_some(), "{states:?}");

    // Of a job that has ended there is one event.
    let again = client.get(&format!("/api/v2/tickets/{id}/events")).await.expect(200);
    let text = again.body.as_str().unwrap();
    assert_eq!(text.matches("event: state").count() + text.matches("event:state").count(), 1, "{text}");
}

#[tokio::test]
async fn a_key_stands_for_one_request_of_one_account() {
    let rolecall = Running::start("keys").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    let (role, other) = (rolecall.role("ada"), rolecall.role("bob"));
    let job = create("devqa", &role, target);
    let answers =
        futures_util::future::join_all((0..10).map(|_| client.submit_once("deploy-4711", &job))).await;
    let ids: Vec<_> = answers.iter().map(Answer::id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    client.wait(&ids[0]).await.expect_outcome("created");

    // Again after its end, in another spelling; and another request.
    let again = client.submit_once("deploy-4711", &job).await.expect(200);
    assert_eq!((again.id(), again.text("outcome")), (ids[0].clone(), "created"));
    let changed = client.submit_once("deploy-4711", &create("devqa", &other, target)).await;
    changed.expect_problem(422, "idempotency_key_reused");

    let (stranger, _) = second_account(&rolecall, client, "stranger");
    let theirs = stranger.submit_once("deploy-4711", &job).await;
    assert_ne!(theirs.id(), ids[0]);
    stranger.wait(&theirs.id()).await.expect_outcome("already_exists");

    // Redis forgets; history remembers the key and the request.
    forget(&rolecall, &ids[0]).await;
    assert_eq!(client.submit_once("deploy-4711", &job).await.expect(200).id(), ids[0]);
    let changed = client.submit_once("deploy-4711", &create("devqa", &other, target)).await;
    changed.expect_problem(422, "idempotency_key_reused");
    assert!(target.accepts(&role, &take(client, &ids[0]).await).await);
}

/// Deletes a ticket from Redis.
async fn forget(rolecall: &Installation, id: &str) {
    let key = format!("{}:ticket:{id}", rolecall.setting("redis.prefix").unwrap());
    let deleted: u64 = redis(rolecall).await.del(key).await.unwrap();
    assert_eq!(deleted, 1, "it was there");
}

#[tokio::test]
async fn a_ticket_outlives_redis() {
    let rolecall = Running::start("history").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    let job = with("metadata", json!({ "pipeline": "4711" }), create("devqa", &rolecall.role("ada"), target));
    let before = client.run(&job).await.expect_outcome("created");
    let failed = client.run(&reset(&rolecall.role("nobody"), target)).await;
    for before in [before, failed] {
        forget(&rolecall, &before.id()).await;
        let after = client.ticket(&before.id()).await.expect(200);
        assert_eq!(after.body, before.body);
        assert_eq!(after.header("etag"), before.header("etag"));
    }
    let (stranger, _) = second_account(&rolecall, client, "stranger");
    let id = client.run(&job).await.expect_outcome("already_exists").id();
    forget(&rolecall, &id).await;
    stranger.ticket(&id).await.expect_problem(404, "ticket_not_found");
}

/// A port on which nothing listens, and the way from there to a target once it is opened.
async fn forward(port: u16, to: u16) -> AbortOnDropHandle<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "ends with its handle")]
    let task = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((mut here, _)) = listener.accept().await {
            let mut there = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
            connections.spawn(async move { tokio::io::copy_bidirectional(&mut here, &mut there).await });
        }
    });
    AbortOnDropHandle::new(task)
}

/// The ticket once it says why it waits.
async fn waiting_for(client: &Client, id: &str, reason: &str) -> Answer {
    eventually(&format!("the reason {reason}"), SOON, async || {
        let ticket = client.ticket(id).await.expect(200);
        (ticket.find("waiting_reason") == Some(reason)).then_some(ticket)
    })
    .await
}

#[tokio::test]
async fn a_job_for_an_unreachable_target_waits_says_why_and_ends_by_itself() {
    // A rest after a failure that a test can wait for.
    let rolecall =
        Installation::builder("unreachable").set("target.backoff_cap_milliseconds", "1000").start().await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let [user, password] =
        ["user", "password"].map(|key| rolecall.setting(&format!("default_login.{key}")).unwrap().to_owned());
    let mut registration = target.registration();
    registration["port"] = port.into();
    registration["login"] = json!({ "user": user, "password": password });
    client.put_target("far", &target.database, &registration).await.expect(201);
    client.target_act("far", &target.database, "check").await.expect_problem(502, "target_unreachable");

    let role = rolecall.role("ada");
    let job = with("env", "far", create("devqa", &role, target));
    let id = client.submit(&job).await.expect(202).id();
    let waiting = waiting_for(client, &id, "target_unreachable").await;
    assert_eq!(waiting.text("state"), "queued");
    assert!(!waiting.text("cause").is_empty() && waiting.find("next_attempt_at").is_some(), "{waiting}");
    let hosts = client.get("/api/v2/hosts").await.expect(200);
    let host = hosts.list("items").iter().find(|host| host["host"] == format!("127.0.0.1:{port}")).unwrap();
    assert_eq!(
        (&host["state"], &host["last_error"]["code"]),
        (&json!("blocked"), &json!("target_unreachable"))
    );
    // Nobody else waits for it.
    make(&rolecall, "neighbour", rolecall.target(2)).await;

    let _open = forward(port, target.port).await;
    let ended = client.wait(&id).await.expect_outcome("created");
    assert_eq!(ended.find("waiting_reason"), None);
    assert!(target.accepts(&role, &take(client, &id).await).await);
}

#[tokio::test]
async fn a_job_waits_while_the_login_is_refused_and_runs_when_it_is_put_right() {
    let rolecall = Running::start("refused").await;
    let (target, client) = (rolecall.target(1), &rolecall.client);
    let [user, password] =
        ["user", "password"].map(|key| rolecall.setting(&format!("default_login.{key}")).unwrap().to_owned());
    let mut registration = target.registration();
    // Another name for the same server: the good log-in of this host is no way in.
    registration["hostname"] = "localhost".into();
    registration["login"] = json!({ "user": user, "password": "not the password" });
    client.put_target("locked", &target.database, &registration).await.expect(201);
    client.target_act("locked", &target.database, "check").await.expect_problem(502, "target_login_refused");

    let role = rolecall.role("ada");
    let id = client.submit(&with("env", "locked", create("devqa", &role, target))).await.expect(202).id();
    let waiting = waiting_for(client, &id, "target_login_refused").await;
    assert!(!waiting.to_string().contains("not the password"));

    registration["login"]["password"] = password.into();
    client.put_target("locked", &target.database, &registration).await.expect(200);
    client.wait(&id).await.expect_outcome("created");
    assert!(target.accepts(&role, &take(client, &id).await).await);
}
