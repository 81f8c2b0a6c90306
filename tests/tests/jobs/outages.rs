//! Servers that go away in the middle of the work and come back. On a stack of its own, since it ends servers that
//! others use.

use std::time::{Duration, Instant};

use rolecall_tests::{Client, Installation, Running, Target, eventually};
use serde_json::json;

use crate::scene::{SOON, assert_failed, count, create, make, submit_at_once, take, wait_all};
use rolecall_tests::PrivateStack;

/// How long a caller may be kept waiting for "not now".
const REFUSED_WITHIN: Duration = Duration::from_secs(2);

#[tokio::test]
async fn servers_may_end_in_the_middle_of_the_work_and_nothing_is_lost() {
    let stack = PrivateStack::up("outages");
    let rolecall = Installation::builder("outages")
        .on(&stack)
        .set("target.backoff_cap_milliseconds", "1000")
        .start()
        .await;
    for (service, code) in [
        ("rabbitmq", "broker_unavailable"),
        ("redis", "ticket_store_unavailable"),
        ("control", "control_database_unavailable"),
    ] {
        own_server_ends(&rolecall, service, code).await;
    }
    target_ends(&rolecall).await;
}

/// Jobs that keep both hosts busy for a while.
struct Burst {
    roles: Vec<(String, Target)>,
    tickets: Vec<String>,
}

impl Burst {
    async fn submit(rolecall: &Running, name: &str, targets: &[&Target]) -> Self {
        let role = |n: usize| (rolecall.role(&format!("{name}{n}")), targets[n % targets.len()].clone());
        let roles: Vec<_> = (0..100).map(role).collect();
        let jobs: Vec<_> = roles.iter().map(|(role, target)| create("devqa", role, target)).collect();
        Self { tickets: submit_at_once(&rolecall.client, &jobs).await, roles }
    }

    /// All end as created, each with one audit row, and passwords work.
    async fn ends(&self, client: &Client) {
        let ended = wait_all(client, &self.tickets).await;
        assert_eq!(count(&ended, "created"), self.tickets.len());
        for ((role, target), ticket) in self.roles.iter().zip(&self.tickets).step_by(9) {
            assert!(target.accepts(role, &take(client, ticket).await).await, "{role}");
            let audit = client.audit(&format!("ticket={ticket}&event=ticket.succeeded")).await.expect(200);
            assert_eq!(audit.list("items").len(), 1, "{audit}");
        }
    }
}

async fn own_server_ends(rolecall: &Running, service: &str, code: &str) {
    let client = &rolecall.client;
    let burst = Burst::submit(rolecall, service, &[rolecall.target(1), rolecall.target(2)]).await;
    rolecall.stack.run(&["kill", service]);

    let job = create("devqa", &rolecall.role(&format!("{service}_late")), rolecall.target(1));
    for _ in 0..5 {
        let begun = Instant::now();
        let refused = client.submit(&job).await.expect_problem(503, code);
        assert!(begun.elapsed() < REFUSED_WITHIN, "{service}: refused after {:?}", begun.elapsed());
        assert!(refused.header("retry-after").is_some() && *refused.at("retry") == json!(true), "{refused}");
    }
    for process in [client.clone(), client.at(&rolecall.worker.url())] {
        let named = eventually("what is down", SOON, async || {
            let answer = process.get("/readyz").await;
            (answer.status == 503).then_some(answer)
        })
        .await;
        let dependencies = named.at("dependencies").as_object().unwrap();
        for (name, state) in dependencies {
            assert_eq!(state, if name == service { "down" } else { "ok" }, "{service}: {named}");
        }
        process.get("/livez").await.expect(200);
    }

    rolecall.stack.run(&["start", service]);
    rolecall.api.ready().await;
    rolecall.worker.ready().await;
    burst.ends(client).await;
    // What was refused was not kept, and is welcome now.
    client.run(&job).await.expect_outcome("created");
}

async fn target_ends(rolecall: &Running) {
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let before = Burst::submit(rolecall, "before", &[target]).await;
    rolecall.stack.run(&["kill", "target-1"]);
    let during = Burst::submit(rolecall, "during", &[target]).await;
    let waiting = eventually("the reason", SOON, async || {
        let ticket = client.ticket(during.tickets.last().unwrap()).await.expect(200);
        (ticket.find("waiting_reason") == Some("target_unreachable")).then_some(ticket)
    })
    .await;
    assert_eq!(waiting.text("state"), "queued");
    // A dead host is its own trouble only.
    client.get("/readyz").await.expect(200);
    make(rolecall, "neighbour", rolecall.target(2)).await;

    rolecall.stack.run(&["start", "target-1"]);
    before.ends(client).await;
    during.ends(client).await;
}

/// A question about a role that the server will never answer is that job's failure, and not the host's.
#[tokio::test]
async fn a_refused_look_at_the_roles_fails_the_jobs_and_the_host_goes_on() {
    let rolecall = Installation::builder("refused_look").start().await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let superuser = target.superuser(&target.lock_database).await;
    superuser.batch_execute("REVOKE SELECT ON pg_roles FROM PUBLIC").await.unwrap();
    let jobs = [1, 2].map(|n| create("devqa", &rolecall.role(&format!("refused{n}")), target));
    let tickets = submit_at_once(client, &jobs).await;
    for ended in wait_all(client, &tickets).await {
        assert_failed(&ended, "permission_denied");
    }
    superuser.batch_execute("GRANT SELECT ON pg_roles TO PUBLIC").await.unwrap();
    client.run(&jobs[0]).await.expect_outcome("created");
}
