//! Pause and resume, and what cannot be done to a target while jobs wait for its host.

use rolecall_tests::{Answer, Running};
use serde_json::json;

use crate::{create, events, host, with};

fn names(answer: &Answer) -> Vec<(&str, &str)> {
    answer
        .list("targets")
        .iter()
        .map(|t| (t["env"].as_str().unwrap(), t["database"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_pause_holds_every_target_of_the_host_and_a_resume_lets_go() {
    let rolecall = Running::start("pause").await;
    let (client, target, other) = (&rolecall.client, rolecall.target(1), rolecall.target(2));
    let database = target.database.as_str();
    client.put_target("qa", database, &target.registration()).await.expect(201);
    let pause = format!("/api/v2/targets/qa/{database}/pause");

    let paused = client.post(&pause, &json!({ "reason": "upgrade of the disks" })).await.expect(200);
    assert_eq!(names(&paused), [("dev", database), ("qa", database)]);
    assert_eq!((paused.at("paused"), paused.text("host")), (&json!(true), target.host().as_str()));
    assert_eq!((paused.text("by"), paused.text("reason")), (rolecall.user.as_str(), "upgrade of the disks"));
    // Again it is the same pause, with its first reason and time.
    let again = client.target_act("dev", database, "pause").await.expect(200);
    assert_eq!((again.at("at"), again.at("reason")), (paused.at("at"), paused.at("reason")));

    let mut waiting = Vec::new();
    for name in ["ada", "grace", "edsger"] {
        waiting.push(client.submit(&create(target, &rolecall.role(name))).await.expect(202).id());
    }
    // The other host works meanwhile, so the worker has had every chance.
    client.run(&create(other, &rolecall.role("free"))).await.expect_outcome("created");
    for id in &waiting {
        let ticket = client.ticket(id).await.expect(200);
        assert_eq!((ticket.text("state"), ticket.text("waiting_reason")), ("queued", "host_paused"));
        assert!(ticket.text("cause").contains("upgrade of the disks"));
    }
    assert_eq!(host(client, &target.host()).await["backlog"], 3);
    nothing_leaves_a_host_with_waiting_jobs(&rolecall).await;

    let resumed = client.target_act("dev", database, "resume").await.expect(200);
    assert_eq!(
        (names(&resumed), resumed.at("paused")),
        (vec![("dev", database), ("qa", database)], &json!(false))
    );
    for id in &waiting {
        client.wait(id).await.expect_outcome("created");
    }
    client.target_act("dev", database, "resume").await.expect(200);
    let of_host = events(client, &format!("host={}", target.host())).await;
    let rows: Vec<_> = of_host.iter().filter(|event| event.starts_with("host.")).collect();
    assert_eq!(rows, ["host.paused", "host.resumed"], "what changes nothing leaves no row");
    let row = client.audit("event=host.paused").await.expect(200);
    assert_eq!(row.text("items.0.account"), rolecall.user);
    assert!(row.at("items.0.detail").to_string().contains("upgrade of the disks"), "{row}");

    // Nothing waits any more, so both may go.
    client.delete(&format!("/api/v2/targets/qa/{database}")).await.expect(204);
    client.delete(&format!("/api/v2/targets/dev/{database}")).await.expect(204);
}

async fn nothing_leaves_a_host_with_waiting_jobs(rolecall: &Running) {
    let (client, target) = (&rolecall.client, rolecall.target(1));
    for env in ["dev", "qa"] {
        let refused = client.delete(&format!("/api/v2/targets/{env}/{}", target.database)).await;
        let refused = refused.expect_problem(409, "jobs_waiting");
        assert_eq!(
            (refused.body["waiting"].as_u64(), refused.text("host")),
            (Some(3), target.host().as_str())
        );
        let moved = with(&rolecall.target(2).registration(), "notes", "moved");
        client.put_target(env, &target.database, &moved).await.expect_problem(409, "jobs_waiting");
    }
    // What leaves the host as it is may change.
    let noted = with(&target.registration(), "notes", "still here");
    client.put_target("dev", &target.database, &noted).await.expect(200);
    assert_eq!(host(client, &target.host()).await["state"], "paused", "a change does not end a pause");
}
