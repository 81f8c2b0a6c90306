//! `/history/list` and `/history/result`, as a client of barman-api asks for them.

use jiff::tz::TimeZone;
use reqwest::Method;
use rolecall_shared::control::Settlement;
use rolecall_shared::domain::{Clock, Period, SystemClock};
use rolecall_tests::client::{Answer, send};
use rolecall_tests::{Client, Running};
use serde_json::json;

use crate::scene::{MONTH, Scene, jobs};

/// With the token of `/auth/token` in the header that barman-api's clients send.
struct Barman {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Barman {
    async fn new(url: &str, client: &Client) -> Self {
        let token = client.get("/auth/token").await.expect(200).text("token").to_owned();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, url: url.to_owned(), token }
    }

    async fn get(&self, path: &str) -> Answer {
        let request = self.http.request(Method::GET, format!("{}{path}", self.url));
        send(request.header("Authorization", format!("Barman {}", self.token))).await
    }
}

#[tokio::test]
async fn a_month_is_listed_in_its_form_and_every_ticket_of_it_resolves() {
    let scene = Scene::new("barman").await;
    let ended = jobs(MONTH, 14);
    scene.control.settle(&ended).await.unwrap();
    let barman = Barman::new(&scene.api.url(), &scene.client).await;
    let past = MONTH.replace('-', "");
    for archived in [false, true] {
        if archived {
            scene.archive_and_drop();
        }
        let listed = barman.get(&format!("/history/list?past={past}")).await.expect(200);
        assert_eq!((listed.at("status_code"), listed.at("message")), (&json!(200), &json!("")));
        assert_eq!(listed.list("list").len(), ended.len());
        for (item, row) in listed.list("list").iter().zip(ended.iter().rev()) {
            let keys: Vec<_> = item.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys, ["command", "date", "result", "ticket"]);
            assert_eq!(item["date"], date(row));
            assert_eq!(item["command"], row.job.operation.name());
            let ticket = item["ticket"].as_str().unwrap();
            let result = barman.get(&format!("/history/result?ticket={ticket}")).await.expect(200);
            assert_eq!(result.body, item["result"], "archived: {archived}");
            assert_eq!(
                item["result"]["status_code"],
                if row.ending.state().as_str() == "succeeded" { 200 } else { 1 }
            );
        }
    }
    let empty = barman.get("/history/list?past=201001").await.expect(200);
    assert_eq!(empty.body, json!({ "status_code": 200, "message": "", "list": [] }));

    std::fs::remove_file(scene.file()).unwrap();
    let gone = barman.get(&format!("/history/list?past={past}")).await.expect(503);
    assert_eq!((gone.at("status_code"), gone.text("type")), (&json!(503), "history_archive_unavailable"));
}

fn date(row: &Settlement) -> String {
    row.job.submitted_at.to_zoned(TimeZone::UTC).strftime("%Y%m%d%H%M%S").to_string()
}

#[tokio::test]
async fn faults_of_the_original_are_not_kept() {
    let scene = Scene::new("barmanfaults").await;
    let ended = jobs(MONTH, 3);
    scene.control.settle(&ended).await.unwrap();
    let barman = Barman::new(&scene.api.url(), &scene.client).await;
    for (path, status) in [
        ("/history/list?past=../../..", 403),
        ("/history/list?past=202513", 403),
        ("/history/list?past=2025-03", 403),
        ("/history/list?pats=202503", 403),
        ("/history/result", 404),
        ("/history/result?ticket=", 404),
        ("/history/result?ticket=20250301010000_backup", 404),
        (&format!("/history/list?token={}", barman.token), 401),
    ] {
        let refused = barman.get(path).await.expect(status);
        assert_eq!(refused.at("status_code"), &json!(status), "{refused}");
        assert!(!refused.text("type").is_empty() && !refused.text("message").is_empty());
    }
    // Also where nothing else says who is calling: the answer says what to send.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let address = format!("{}/history/list?token={}", scene.api.url(), barman.token);
    let refused = send(http.get(address)).await.expect(401);
    assert!(refused.text("message").contains("Authorization: Barman"), "{refused}");
    send(http.post(format!("{}/history/list", scene.api.url())).bearer_auth(&barman.token)).await.expect(405);

    // A ticket opens nothing for somebody else.
    let qa = scene.client.as_account("qa", &scene.rolecall.make_account("qa", &[]));
    let qa = Barman::new(&scene.api.url(), &qa).await;
    let own = qa.get("/history/list?past=202503").await.expect(200);
    assert_eq!(own.list("list").len(), 1, "{own}");
    for row in &ended {
        let status = if row.job.actor.account == "qa" { 200 } else { 404 };
        qa.get(&format!("/history/result?ticket={}", row.job.ticket)).await.expect(status);
    }
}

#[tokio::test]
async fn a_job_that_waits_is_open_and_one_that_is_over_says_so() {
    let rolecall = Running::start("barmanlive").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    client.target_act("dev", &target.database, "pause").await.expect(200);
    let job = json!({ "operation": "create_role", "kind": "devqa", "username": rolecall.role("ada"),
                      "env": "dev", "database": target.database });
    let [waits, cancelled] =
        [client.submit(&job).await.expect(202).id(), client.submit(&job).await.expect(202).id()];
    let barman = Barman::new(&rolecall.api.url(), client).await;
    let result =
        async |ticket: &str| barman.get(&format!("/history/result?ticket={ticket}")).await.expect(200);
    let open = result(&waits).await;
    assert_eq!((open.at("status_code"), open.text("message")), (&json!(-99), "Command not execute yet."));
    client.cancel(&cancelled).await.expect(200);
    let over = result(&cancelled).await;
    assert_eq!(over.at("status_code"), &json!(1));
    assert!(over.text("message").starts_with("cancelled"), "{over}");
    client.target_act("dev", &target.database, "resume").await.expect(200);
    client.wait(&waits).await.expect_outcome("created");
    let done = result(&waits).await;
    assert_eq!((done.at("status_code"), done.text("message")), (&json!(200), ""));
    assert!(done.text("list.0").ends_with("created"), "{done}");

    let unknown = barman.get("/history/result?ticket=7d444840-9dc0-41d1-b245-5ffdce74fad2").await.expect(404);
    assert_eq!((unknown.at("status_code"), unknown.text("type")), (&json!(404), "ticket_not_found"));

    // Without `past` it is this month. The test may run while one month becomes the next.
    let before = Period::of(SystemClock.now());
    let listed = barman.get("/history/list").await.expect(200);
    if before == Period::of(SystemClock.now()) {
        let tickets: Vec<_> =
            listed.list("list").iter().map(|item| item["ticket"].as_str().unwrap()).collect();
        assert!(tickets.contains(&waits.as_str()) && tickets.contains(&cancelled.as_str()), "{listed}");
    }
}
