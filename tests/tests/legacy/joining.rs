//! The same create again: it joins the job that is there while anything of it is left, and only its owner's.

use rolecall_tests::process::Role;
use rolecall_tests::{Answer, Installation, Running};
use serde_json::Value;

use crate::scene::{audited, call, get, password, pause, resume};

async fn impatient(name: &str) -> Running {
    Installation::builder(name).set("legacy.wait_seconds", "1").start().await
}

/// The ticket of a call that was not answered in time.
async fn too_late(rolecall: &Running, name: &str, role: &str) -> String {
    let body = call(&rolecall.client, name, role, rolecall.target(1)).await.expect(504);
    body["ticket"].as_str().unwrap().to_owned()
}

async fn ended(rolecall: &Running, ticket: &str) -> Answer {
    resume(&rolecall.client, rolecall.target(1)).await;
    rolecall.client.wait(ticket).await
}

/// Makes a role whose password nobody has taken; its ticket.
async fn waiting_password(rolecall: &Running, role: &str) -> String {
    pause(&rolecall.client, rolecall.target(1)).await;
    let ticket = too_late(rolecall, "devqa", role).await;
    ended(rolecall, &ticket).await.expect_outcome("created");
    ticket
}

#[tokio::test]
async fn a_password_that_waits_is_handed_to_who_asks_again() {
    let rolecall = impatient("legacy-again").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let role = rolecall.role("ada");
    let ticket = waiting_password(&rolecall, &role).await;
    // By another process.
    let other = rolecall.start(Role::Api).await;
    let password = password(&client.at(&other.url()), "devqa", &role, target).await;
    assert!(target.accepts(&role, &password).await);
    client.take_secret(&ticket).await.expect_problem(410, "secret_taken");
    // Nothing is left of that job: what comes now is one of its own.
    let exists = call(client, "devqa", &role, target).await.expect(200);
    assert_eq!((&exists["status"], &exists["password"]), (&"user already exists".into(), &Value::Null));
    assert_eq!(audited(client, "ticket.succeeded").await, 2);
}

#[tokio::test]
async fn a_password_that_was_replaced_since_is_handed_to_nobody() {
    let rolecall = impatient("legacy-replaced").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let role = rolecall.role("ada");
    waiting_password(&rolecall, &role).await;
    let works = password(client, "reset", &role, target).await;
    let exists = call(client, "devqa", &role, target).await.expect(200);
    assert_eq!((&exists["status"], &exists["password"]), (&"user already exists".into(), &Value::Null));
    assert!(target.accepts(&role, &works).await);
}

/// The role is on the host where the target was.
#[tokio::test]
async fn a_target_that_moved_gets_a_role_of_its_own() {
    let rolecall = impatient("legacy-moved").await;
    let (client, target, other) = (&rolecall.client, rolecall.target(1), rolecall.target(2));
    let role = rolecall.role("ada");
    waiting_password(&rolecall, &role).await;
    client.put_target("dev", &target.database, &other.registration()).await.expect(200);
    other
        .superuser("postgres")
        .await
        .batch_execute(&format!("CREATE DATABASE {}", target.database))
        .await
        .unwrap();
    assert!(other.accepts(&role, &password(client, "devqa", &role, target).await).await);
}

#[tokio::test]
async fn a_role_that_was_dropped_is_made_again() {
    let rolecall = Running::start("legacy-dropped").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let role = rolecall.role("ada");
    let first = password(client, "devqa", &role, target).await;
    target.superuser("postgres").await.batch_execute(&format!("DROP ROLE {role}")).await.unwrap();
    let second = password(client, "devqa", &role, target).await;
    assert_ne!(first, second);
    assert!(target.accepts(&role, &second).await);
}

#[tokio::test]
async fn other_requests_and_other_owners_do_not_join() {
    let rolecall = impatient("legacy-others").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let rights = ["--access", "submit:*/*:*", "--access", "reveal:*/*:*"];
    let second = client.as_account("second", &rolecall.make_account("second", &rights));
    let role = rolecall.role("ada");
    pause(client, target).await;
    let ticket = too_late(&rolecall, "devqa", &role).await;
    let lead = too_late(&rolecall, "devlead", &role).await;
    let theirs =
        call(&second, "devqa", &role, target).await.expect(504)["ticket"].as_str().unwrap().to_owned();
    assert!(ticket != lead && ticket != theirs && lead != theirs);
    second.ticket(&ticket).await.expect_problem(404, "ticket_not_found");

    ended(&rolecall, &ticket).await.expect_outcome("created");
    client.wait(&lead).await.expect_outcome("already_exists");
    let answer = call(&second, "devqa", &role, target).await.expect(200);
    assert_eq!(answer["password"], Value::Null);
    assert!(target.accepts(&role, &password(client, "devqa", &role, target).await).await);
}

#[tokio::test]
async fn a_refused_job_stands_for_nothing() {
    let rolecall = Running::start("legacy-refused").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let role = rolecall.role("ada");
    let host = target.host();
    let act = async |act: &str| {
        let request = client.request(reqwest::Method::POST, &format!("/api/v2/hosts/{host}/{act}"));
        rolecall_tests::client::send(request).await.expect(200);
    };
    act("drain").await;
    for _ in 0..2 {
        let refused = call(client, "devqa", &role, target).await;
        assert!(refused.expect(503).get("ticket").is_none(), "{}", refused.text);
    }
    act("resume").await;
    assert!(target.accepts(&role, &password(client, "devqa", &role, target).await).await);
}

#[tokio::test]
async fn a_process_that_dies_with_the_claim_keeps_nobody_out() {
    use rolecall_shared::failpoints::Failpoint;

    let rolecall = Running::start("legacy-claim").await;
    let target = rolecall.target(1);
    for point in
        [Failpoint::BeforeAccept, Failpoint::AfterAccept, Failpoint::AfterConfirm, Failpoint::BeforeTake]
    {
        let role = rolecall.role(&format!("ada{}", point as usize));
        let dying = rolecall.start_to_die_at(Role::Api, point).await;
        let client = rolecall.client.at(&dying.url());
        let path = crate::scene::path("devqa", &role, target);
        client.request(reqwest::Method::GET, &path).send().await.unwrap_err();
        dying.ended().await;
        let body = get(&rolecall.client, &path).await.expect(200);
        assert_eq!(body["status"], "user created", "{}", point.name());
        assert!(target.accepts(&role, body["password"].as_str().unwrap()).await, "{}", point.name());
    }
}
