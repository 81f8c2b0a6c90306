//! Exports, over HTTP and by the command: every row once, oldest first, with the filters of the list.

use rolecall_shared::control::EventFilter;
use rolecall_shared::domain::Event;
use rolecall_tests::Running;
use serde_json::{Value, json};

use crate::scene::{Scene, event, events};

#[tokio::test(flavor = "multi_thread")]
async fn the_api_exports_what_the_command_exports() {
    let rolecall = Running::start("exports").await;
    let client = &rolecall.client;
    let role = rolecall.role("ada");
    let job = json!({ "operation": "create_role", "kind": "devqa", "username": role, "env": "dev",
                      "database": rolecall.target(1).database });
    let ticket = client.run(&job).await.expect_outcome("created").id();
    client.take_secret(&ticket).await.expect(200);

    let list = client.audit("limit=200").await.expect(200);
    let array = client.audit("format=json").await.expect(200);
    assert_eq!(array.header("content-type"), Some("application/json"));
    let rows = array.body.as_array().unwrap();
    // The list has the same rows, the other way round, without what only the ledger needs.
    let shown = rows.iter().rev().map(|row| {
        let mut row = row.clone();
        for own in ["id", "recorded_at"] {
            assert!(row.as_object_mut().unwrap().remove(own).is_some());
        }
        row
    });
    assert_eq!(shown.collect::<Vec<_>>(), list.list("items"));

    let lines = client.audit("format=ndjson").await.expect(200);
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(lines.header("content-disposition"), Some("attachment; filename=\"rolecall-audit.ndjson\""));
    let read: Vec<Value> =
        lines.body.as_str().unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(&read, rows);
    let csv = client.audit("format=csv").await.expect(200);
    for (answer, format) in [(&lines, "ndjson"), (&csv, "csv")] {
        let output = rolecall.run(&["audit", "export", "--format", format]);
        assert_eq!(answer.body.as_str().unwrap(), String::from_utf8(output.stdout).unwrap(), "{format}");
    }
    let filtered = client.audit(&format!("format=json&event=secret.taken&role={role}")).await.expect(200);
    assert_eq!(filtered.body.as_array().unwrap().len(), 1);
    assert_eq!(filtered.at("0.ticket"), ticket.as_str());
    assert_eq!(client.audit("format=json&event=target.removed").await.expect(200).body, json!([]));
    client.audit("format=xml").await.expect_problem(400, "malformed_request");
    client.audit("format=csv&limit=1").await.expect_problem(400, "malformed_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_several_parts_has_every_row_once() {
    let scene = Scene::empty().await;
    let none = scene.audit_well(&["export", "--format", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&none).unwrap(), json!([]));
    assert_eq!(scene.audit_well(&["export"]), "");
    scene.control.record_all(&events(4_500)).await.unwrap();
    let other = Event {
        actor: rolecall_shared::domain::Actor { account: "=1+1".into(), ..event(1).actor },
        ..event(1)
    };
    scene.control.record(&other).await.unwrap();
    let text = scene.audit_well(&["export"]);
    let seqs: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_i64().unwrap())
        .collect();
    assert_eq!(seqs, (1..=4_501).collect::<Vec<_>>());
    let json: Value = serde_json::from_str(&scene.audit_well(&["export", "--format", "json"])).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 4_501);
    let csv = scene.audit_well(&["export", "--format", "csv", "--account", "=1+1"]);
    assert_eq!(csv.lines().count(), 2);
    assert!(csv.contains(",'=1+1,"), "{csv}");
    // Exactly as many rows as a part has.
    let part =
        EventFilter { to: Some(event(2_001).at), account: Some("ci".into()), ..EventFilter::default() };
    assert_eq!(scene.control.list_events(&part, None, 9_000).await.unwrap().len(), 2_000);
    let to = event(2_001).at.to_string();
    assert_eq!(scene.audit_well(&["export", "--to", &to, "--account", "ci"]).lines().count(), 2_000);
}
