//! `/api/v2/hosts`: how each host is, and how much waits for it.

use rolecall_tests::{Running, eventually};
use serde_json::{Value, json};

use crate::{PATIENCE, closed_port, create, dba, host, own_login, pages, with};

#[tokio::test]
async fn each_state_is_shown_with_its_reasons() {
    let rolecall = Running::start("hosts").await;
    let (client, well, paused) = (&rolecall.client, rolecall.target(1), rolecall.target(2));
    let [user, password] = dba(&rolecall);
    let dead = json!({ "hostname": "127.0.0.1", "port": closed_port(), "login": own_login(user, password) });
    client.put_target("qa", "dead", &dead).await.expect(201);
    client.put_target("qa", "second", &well.registration()).await.expect(201);
    let pause = format!("/api/v2/targets/dev/{}/pause", paused.database);
    client.post(&pause, &json!({ "reason": "upgrade" })).await.expect(200);

    client.run(&create(well, &rolecall.role("ada"))).await.expect_outcome("created");
    for name in ["a", "b"] {
        client.submit(&create(paused, &rolecall.role(name))).await.expect(202);
    }
    let job = with(&with(&create(well, &rolecall.role("c")), "env", "qa"), "database", "dead");
    let stuck = client.submit(&job).await.expect(202);

    let found = host(client, &well.host()).await;
    let targets = json!([{ "env": "dev", "database": well.database }, { "env": "qa", "database": "second" }]);
    let ok = json!({ "host": well.host(), "state": "ok", "backlog": 0, "failures": 0,
                     "lock_database": well.lock_database, "targets": targets });
    assert_eq!(found, ok);

    let found = host(client, &paused.host()).await;
    assert_eq!((&found["state"], &found["backlog"]), (&json!("paused"), &json!(2)));
    assert_eq!(
        (&found["paused"]["by"], &found["paused"]["reason"]),
        (&json!(rolecall.user), &json!("upgrade"))
    );
    assert!(found["paused"]["at"].is_string() && found["next_attempt_at"].is_null());

    let address = format!("127.0.0.1:{}", dead["port"]);
    let found = eventually("a second failure of the dead host", PATIENCE, async || {
        let found = host(client, &address).await;
        (found["failures"].as_u64() >= Some(2) && found["backlog"] == 1).then_some(found)
    })
    .await;
    assert_eq!(
        (&found["state"], &found["last_error"]["code"]),
        (&json!("blocked"), &json!("target_unreachable"))
    );
    assert!(found["last_error"]["cause"].as_str().is_some_and(|cause| cause.contains("refused")), "{found}");
    let [since, next] = ["since", "next_attempt_at"].map(|at| time(&found, at));
    assert!(since < next, "{found}");
    let ticket = client.ticket(&stuck.id()).await.expect(200);
    assert_eq!((ticket.text("state"), ticket.text("waiting_reason")), ("queued", "target_unreachable"));

    let (all, count) = pages(client, "/api/v2/hosts?", 1).await;
    assert_eq!((all.len(), count), (3, 3));
    let names: Vec<_> = all.iter().map(|host| host["host"].as_str().unwrap()).collect();
    assert!([well.host(), paused.host(), address].iter().all(|host| names.contains(&host.as_str())));

    client.target_act("dev", &paused.database, "resume").await.expect(200);
    eventually("the jobs of the resumed host to run", PATIENCE, async || {
        let found = host(client, &paused.host()).await;
        (found["state"] == "ok" && found["backlog"] == 0).then_some(())
    })
    .await;
}

fn time(host: &Value, field: &str) -> jiff::Timestamp {
    host[field].as_str().unwrap_or_else(|| panic!("no {field} in {host}")).parse().unwrap()
}
