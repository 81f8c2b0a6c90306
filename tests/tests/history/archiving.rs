//! Months in files: written once, read back, verified; and what is said when a file is not what it was.

use std::process::Command;

use reqwest::Method;
use rolecall_shared::domain::{Clock, Period, SystemClock, TicketId};
use rolecall_tests::client::send;
use serde_json::{Value, json};

use crate::scene::{JOBS, MONTH, Scene, job, jobs};

#[tokio::test]
async fn a_month_is_written_once_and_reads_like_any_gzip_file() {
    let (scene, jobs) = Scene::with_jobs("archive").await;
    assert_eq!(scene.month(), Value::Null, "nobody made that month");
    let archived = scene.archive();
    assert_eq!((&archived["archived"], &archived["archive"]["rows"]), (&json!(true), &json!(JOBS)));
    let again = scene.archive();
    assert_eq!(again["archived"], false);
    assert_eq!(again["archive"], archived["archive"]);

    let out = Command::new("gzip").args(["-dc"]).arg(scene.file()).output().unwrap();
    assert!(out.status.success());
    let lines: Vec<Value> = out
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect();
    assert_eq!(lines.len(), jobs.len());
    assert_eq!(lines[0]["ticket"], json!(jobs.last().unwrap().job.ticket), "newest first");
    assert!(lines.iter().all(|line| line["job"].is_object() && line["state"] == line["ending"]["state"]));
    let sum = Command::new("sha256sum").arg(scene.file()).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    assert!(sum.starts_with(archived["archive"]["sha256"].as_str().unwrap()), "{sum}");
    let names: Vec<_> = std::fs::read_dir(scene.file().parent().unwrap()).unwrap().collect();
    assert_eq!(names.len(), 1, "nothing else is left in the folder");

    // It is still here, and read from here.
    assert!(scene.month()["database_bytes"].is_u64());
    std::fs::rename(scene.file(), scene.file().with_extension("away")).unwrap();
    assert_eq!(Scene::all(&scene.client, &format!("period={MONTH}&limit=200")).await.len(), jobs.len());
    // And what is lost before the month goes is written again, the same.
    assert_eq!(scene.archive()["archive"]["sha256"], archived["archive"]["sha256"]);

    scene.archive_and_drop();
    let month = scene.month();
    assert_eq!(month["database_bytes"], Value::Null);
    assert!(month["archive"]["dropped_at"].is_string(), "{month}");
    assert_eq!(scene.archive()["archived"], false, "the file alone has it");
    assert_eq!(scene.history(&["verify"])["archives"][0]["code"], Value::Null);
    for (event, count) in [("history.archived", 2), ("history.dropped", 1)] {
        let rows = scene.client.audit(&format!("event={event}")).await.expect(200);
        assert_eq!(rows.list("items").len(), count, "{rows}");
        assert_eq!(rows.at("items.0.detail.period"), &json!(MONTH));
    }
}

#[tokio::test]
async fn a_file_that_is_missing_or_damaged_is_told_and_nothing_else_suffers() {
    let (scene, ended) = Scene::with_jobs("damage").await;
    let other = jobs("2025-04", 3);
    scene.control.settle(&other).await.unwrap();
    scene.archive_and_drop();
    let file = scene.file();
    let whole = std::fs::read(&file).unwrap();
    let (newest, oldest) = (ended.last().unwrap().job.ticket.to_string(), ended[0].job.ticket.to_string());
    let list = format!("/api/v2/tickets?period={MONTH}&limit=200&role=nobody");

    let mut changed = whole.clone();
    let place = changed.len() - 100;
    changed[place] ^= 1;
    for (damaged, code) in [
        (Some(changed), "history_archive_damaged"),
        (Some(whole[..whole.len() - 1].to_vec()), "history_archive_damaged"),
        (Some(Vec::new()), "history_archive_damaged"),
        (None, "history_archive_unavailable"),
    ] {
        match &damaged {
            Some(bytes) => std::fs::write(&file, bytes).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let status = if code == "history_archive_damaged" { 500 } else { 503 };
        let answer = scene.client.get(&list).await.expect_problem(status, code);
        assert_eq!(answer.at("period"), &json!(MONTH));
        assert_eq!(answer.header("retry-after").is_some(), status == 503);
        assert!(!answer.body.to_string().contains("archive/"), "where it lies is not the caller's to know");
        let answer = scene.client.ticket(&oldest).await.expect_problem(status, code);
        assert_eq!(answer.at("ticket"), &json!(oldest));
        let verified = scene.rolecall.run(&["history", "verify", "--json"]);
        assert_eq!(verified.status.code(), Some(1));
        let said: Value = serde_json::from_slice(&verified.stdout).unwrap();
        let said = said["archives"].as_array().unwrap();
        let said: Vec<_> = said.iter().map(|archive| archive["code"].as_str().unwrap_or("well")).collect();
        assert_eq!(said, [code, "well"]);
        // What does not need that file.
        scene.client.get("/livez").await.expect(200);
        assert_eq!(Scene::all(&scene.client, "period=2025-04").await.len(), other.len());
    }
    // A block that was not touched is read although another one is damaged.
    let mut changed = whole.clone();
    changed[place] ^= 1;
    std::fs::write(&file, changed).unwrap();
    scene.client.ticket(&newest).await.expect(200);
    std::fs::write(&file, whole).unwrap();
    scene.client.ticket(&oldest).await.expect(200);
    assert_eq!(Scene::all(&scene.client, &format!("period={MONTH}&limit=200")).await.len(), ended.len());
}

#[tokio::test]
async fn what_cannot_be_archived_is_said() {
    let scene = Scene::new("cannot").await;
    let now = Period::of(SystemClock.now()).unwrap().to_string();
    assert!(scene.refused(&["archive", "--period", &now], 1).contains("period_not_finished"));
    assert!(scene.refused(&["archive", "--period", "2010-01"], 1).contains("period_not_found"));
    assert!(scene.refused(&["archive", "--period", "2026-13"], 2).contains("2026-11"));
    assert!(scene.refused(&["verify", "--period", "2010-01"], 1).contains("rolecall history list"));
    scene.control.settle(&jobs(MONTH, 1)).await.unwrap();
    let nowhere = scene.rolecall.dir().join("nowhere").display().to_string();
    let said = scene.refused(&["archive", "--period", MONTH, "--to", &nowhere], 1);
    assert!(said.contains("history_archive_unavailable") && said.contains("nowhere"), "{said}");
    assert_eq!(scene.history(&["verify"]), json!({ "archives": [] }));
    assert_eq!(Scene::all(&scene.client, &format!("period={MONTH}")).await.len(), 1);
}

#[tokio::test]
async fn a_key_whose_job_ended_long_ago_meets_its_ticket() {
    let (scene, _) = Scene::with_jobs("keys").await;
    let mut ended = job(3, Period::parse(MONTH).unwrap().start());
    ended.job.ticket = TicketId::derived(&scene.rolecall.user, "deploy-1");
    scene.control.settle(&[ended]).await.unwrap();
    let target = scene.rolecall.target(1);
    scene.client.put_target("dev", &target.database, &target.registration()).await.expect(201);
    let body = json!({ "operation": "create_role", "kind": "devqa", "username": "ada",
                       "env": "dev", "database": target.database });
    let submit = async || {
        let request =
            scene.client.request(Method::POST, "/api/v2/jobs").header("Idempotency-Key", "deploy-1");
        send(request.json(&body)).await
    };
    submit().await.expect_problem(422, "idempotency_key_reused");
    scene.archive_and_drop();
    submit().await.expect_problem(422, "idempotency_key_reused");
    // The file is lost: nobody knows whether it is the same request, and so it is not done again.
    std::fs::remove_file(scene.file()).unwrap();
    submit().await.expect_problem(503, "history_archive_unavailable");
    assert!(scene.api.has_ended().is_none());
}
