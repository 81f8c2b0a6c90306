//! A server that takes too long, and callers who do not wait for it.

use rolecall_tests::{Installation, Running, eventually};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::scene::{SOON, audited, call, first_ticket, path, pause, resume};

async fn impatient(name: &str) -> Running {
    Installation::builder(name).set("legacy.wait_seconds", "1").start().await
}

fn ticket_of(body: &Value) -> String {
    let fields: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["error", "ticket"], "{body}");
    body["ticket"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn too_slow_is_504_with_the_ticket_and_the_password_stays() {
    let rolecall = impatient("legacy-slow").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let role = rolecall.role("ada");
    pause(client, target).await;
    let answer = call(client, "devqa", &role, target).await;
    let ticket = ticket_of(&answer.expect(504));
    assert_eq!(answer.headers["location"], format!("/api/v2/tickets/{ticket}"));
    assert_eq!(client.ticket(&ticket).await.expect(200).text("state"), "queued");

    // Asked for again it is the same job.
    assert_eq!(ticket_of(&call(client, "devqa", &role, target).await.expect(504)), ticket);
    // A reset is another one each time.
    let [first, second] =
        [call(client, "reset", &role, target).await, call(client, "reset", &role, target).await];
    assert_ne!(ticket_of(&first.expect(504)), ticket_of(&second.expect(504)));

    resume(client, target).await;
    client.wait(&ticket).await.expect_outcome("created");
    for reset in [first, second] {
        client.wait(&ticket_of(&reset.expect(504))).await.expect_outcome("password_reset");
    }
    let secret = client.take_secret(&ticket_of(&second_of(&rolecall).await)).await.expect(200);
    assert!(target.accepts(&role, secret.text("password")).await);
    client.take_secret(&ticket).await.expect(200);
    assert_eq!(audited(client, "secret.taken").await, 2);
}

/// The reset that came last.
async fn second_of(rolecall: &Running) -> Value {
    let audit = rolecall.client.audit("event=ticket.succeeded&limit=1").await.expect(200);
    json!({ "error": "", "ticket": audit.list("items")[0]["ticket"] })
}

#[tokio::test]
async fn a_caller_who_is_gone_takes_no_password() {
    let rolecall = Running::start("legacy-gone").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let role = rolecall.role("ada");
    pause(client, target).await;
    let mut gone = TcpStream::connect(rolecall.api.url().trim_start_matches("http://")).await.unwrap();
    let login = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", rolecall.user, rolecall.password))
    };
    let head = format!(
        "GET {} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\n\r\n",
        path("devqa", &role, target)
    );
    gone.write_all(head.as_bytes()).await.unwrap();
    let ticket = first_ticket(&rolecall).await;
    drop(gone);
    resume(client, target).await;
    client.wait(&ticket).await.expect_outcome("created");
    assert_eq!(audited(client, "secret.taken").await, 0);

    // Whoever asks again joins the job, and gets what the first one did not.
    let body = call(client, "devqa", &role, target).await.expect(200);
    assert_eq!(body["status"], "user created");
    assert!(target.accepts(&role, body["password"].as_str().unwrap()).await);
    client.take_secret(&ticket).await.expect_problem(410, "secret_taken");
    assert_eq!(audited(client, "ticket.succeeded").await, 1);
}

#[tokio::test]
async fn a_place_to_wait_is_had_before_anything_is_submitted() {
    let rolecall: Running =
        Installation::builder("legacy-places").set("api.max_waiting_streams", "1").start().await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    pause(client, target).await;
    let (one, two) = (rolecall.role("one"), rolecall.role("two"));
    let waits = call(client, "devqa", &one, target);
    let others = async {
        first_ticket(&rolecall).await;
        let refused = call(client, "devqa", &two, target).await;
        refused.expect(429);
        assert!(refused.headers.contains_key("retry-after"));
        resume(client, target).await;
    };
    let (made, ()) = futures_util::future::join(waits, others).await;
    assert_eq!(made.expect(200)["status"], "user created");
    assert!(target.text("SELECT rolname::text FROM pg_roles WHERE rolname = $1", &[&two]).await.is_none());
}

#[tokio::test]
async fn a_process_that_stops_says_so_with_the_ticket() {
    let rolecall = Running::start("legacy-stop").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    pause(client, target).await;
    let role = rolecall.role("ada");
    let waits = call(client, "devqa", &role, target);
    let stops = async {
        let ticket = first_ticket(&rolecall).await;
        rolecall.api.stop().await;
        ticket
    };
    let (answer, ticket) = futures_util::future::join(waits, stops).await;
    assert_eq!(ticket_of(&answer.expect(503)), ticket);
}

#[tokio::test]
async fn a_job_that_is_cancelled_or_expires_is_told() {
    let rolecall: Running =
        Installation::builder("legacy-ends").set("tickets.deadline_seconds", "2").start().await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    pause(client, target).await;
    let role = rolecall.role("ada");
    let waits = call(client, "devqa", &role, target);
    let cancels = async {
        let ticket = first_ticket(&rolecall).await;
        client.cancel(&ticket).await.expect(200);
    };
    let (answer, ()) = futures_util::future::join(waits, cancels).await;
    ticket_of(&answer.expect(409));
    let expired = call(client, "devqa", &role, target).await;
    let ticket = ticket_of(&expired.expect(504));
    let state = eventually("its end", SOON, async || Some(client.ticket(&ticket).await.expect(200))).await;
    assert_eq!(state.text("state"), "expired");
}
