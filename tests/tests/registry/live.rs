//! A change at the command line is live in two apis and a worker: nothing is asked to read it again.

use std::time::{Duration, Instant};

use rolecall_tests::process::Role;
use rolecall_tests::{Client, Running};
use serde_json::json;

use super::ends;

/// What was promised, from the end of the command.
const LIVE: Duration = Duration::from_secs(1);

struct Scene {
    rolecall: Running,
    clients: [Client; 2],
    slowest: Duration,
}

impl Scene {
    /// Types a command; then both apis must show it in time.
    async fn change(
        &mut self,
        command: &[&str],
        database: &str,
        is_live: impl Fn(u16, &serde_json::Value) -> bool,
    ) {
        ends(&self.rolecall, command, 0);
        let ended = Instant::now();
        for client in &self.clients {
            loop {
                let answer = client.target("qa", database).await;
                let took = ended.elapsed();
                if is_live(answer.status, &answer.body) {
                    self.slowest = self.slowest.max(took);
                    break;
                }
                assert!(took < LIVE, "{command:?} is not live after {took:?}: {answer}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_typed_is_live_in_two_apis_and_a_worker() {
    let rolecall = Running::start("live").await;
    let second = rolecall.start(Role::Api).await;
    let clients = [rolecall.client.clone(), rolecall.client.at(&second.url())];
    let [here, there] = [rolecall.target(1).clone(), rolecall.target(2).clone()];
    there.create_database(&here.database).await;
    let database = here.database.as_str();
    let name = format!("qa/{database}");
    let ports = [&here, &there].map(|target| target.port.to_string());
    let mut scene = Scene { rolecall, clients, slowest: Duration::ZERO };
    let job = |role: &str| json!({ "operation": "create_role", "kind": "devqa", "username": role, "env": "qa", "database": database });
    let roles = ["first", "moved", "waited"].map(|role| scene.rolecall.role(role));
    let exists = "SELECT rolname::text FROM pg_roles WHERE rolname = $1";

    let add = ["add", &name, "--hostname", "127.0.0.1", "--port", &ports[0]];
    scene.change(&add, database, |status, _| status == 200).await;
    scene.clients[1].run(&job(&roles[0])).await.expect_outcome("created");
    assert_eq!(here.text(exists, &[&roles[0]]).await.as_ref(), Some(&roles[0]));

    // The worker has this target's session at hand, and does not use it again.
    let port = there.port;
    let set = ["set", &name, "--port", &ports[1], "--lock-database", &there.lock_database];
    scene.change(&set, database, |_, body| body["port"] == json!(port)).await;
    scene.clients[0].run(&job(&roles[1])).await.expect_outcome("created");
    assert_eq!(there.text(exists, &[&roles[1]]).await.as_ref(), Some(&roles[1]));
    assert_eq!(here.text(exists, &[&roles[1]]).await, None, "it left that host");

    ends(&scene.rolecall, &["pause", &name], 0);
    let ticket = scene.clients[1].submit(&job(&roles[2])).await.expect(202).id();
    for client in &scene.clients {
        let waiting = client.ticket(&ticket).await.expect(200);
        assert_eq!(waiting.find("waiting_reason"), Some("host_paused"), "{waiting}");
    }
    ends(&scene.rolecall, &["resume", &name], 0);
    scene.clients[0].wait(&ticket).await.expect_outcome("created");

    scene.change(&["set", &name, "--inactive"], database, |_, body| body["active"] == json!(false)).await;
    for client in &scene.clients {
        client.submit(&job(&roles[0])).await.expect_problem(409, "target_inactive");
    }
    scene.change(&["rm", &name], database, |status, _| status == 404).await;
    for client in &scene.clients {
        client.submit(&job(&roles[0])).await.expect_problem(404, "target_not_found");
    }
    println!("the slowest change was live {:?} after its command had ended", scene.slowest);
}
