//! What the list has, for whom, and in which pages; the same from the control database and from an archive.

use rolecall_shared::control::Settlement;
use rolecall_shared::domain::ticket::State;
use rolecall_tests::Client;
use serde_json::{Value, json};

use crate::scene::{JOBS, MONTH, Scene, of_page, tickets};

type Holds = fn(&Settlement) -> bool;
type Sees<'a> = Box<dyn Fn(&Settlement) -> bool + 'a>;

fn kind(row: &Settlement) -> &str {
    row.job.operation.kind().map_or("", |kind| kind.as_str())
}

fn label<'a>(row: &'a Settlement, key: &str) -> &'a str {
    row.job.metadata.get(key).map_or("", String::as_str)
}

/// Each filter, and what it has to let through.
const FILTERS: &[(&str, Holds)] = &[
    ("", |_| true),
    ("state=succeeded", |row| row.ending.state() == State::Succeeded),
    ("state=failed", |row| row.ending.state() == State::Failed),
    ("state=cancelled", |row| row.ending.state() == State::Cancelled),
    ("state=expired", |row| row.ending.state() == State::Expired),
    ("env=qa", |row| row.job.target.env.as_str() == "qa"),
    ("database=billing", |row| row.job.target.database.as_str() == "billing"),
    ("host=db2:5432", |row| row.job.host.to_string() == "db2:5432"),
    ("kind=dba", |row| kind(row) == "dba"),
    ("role=role_7", |row| row.job.operation.role().as_str() == "role_7"),
    ("account=ops", |row| row.job.actor.account == "ops"),
    ("metadata.pipeline=4", |row| label(row, "pipeline") == "4"),
    ("metadata.pipeline=4&metadata.team=o%27b%22", |row| label(row, "pipeline") == "4"),
    ("metadata.pipeline=4&metadata.team=other", |_| false),
    ("metadata.pipeline=", |_| false),
    ("from=2025-03-01T05:00:00Z", |row| row.finished_at >= "2025-03-01T05:00:00Z".parse().unwrap()),
    ("to=2025-03-01T05:00:00Z", |row| row.finished_at < "2025-03-01T05:00:00Z".parse().unwrap()),
    ("from=2025-03-01T03:00:00Z&to=2025-03-01T03:01:00Z", |row| {
        row.finished_at.to_string() == "2025-03-01T03:00:00Z"
    }),
    ("env=dev&kind=devqa&state=succeeded&account=ci", |row| {
        let job = &row.job;
        job.target.env.as_str() == "dev"
            && kind(row) == "devqa"
            && row.ending.state() == State::Succeeded
            && job.actor.account == "ci"
    }),
    ("role=nobody", |_| false),
    ("env=%27%3B+DROP+TABLE+history%3B--", |_| false),
];

async fn check_filters(client: &Client, jobs: &[Settlement]) {
    for (filter, holds) in FILTERS {
        let found = Scene::all(client, &format!("period={MONTH}&limit=200&{filter}")).await;
        let mut expected: Vec<&Settlement> = jobs.iter().filter(|row| holds(row)).collect();
        expected.sort_by_key(|row| std::cmp::Reverse((row.finished_at, row.job.ticket)));
        let expected: Vec<String> = expected.iter().map(|row| row.job.ticket.to_string()).collect();
        assert_eq!(tickets(&found), expected, "{filter}");
        let is_selective = filter.is_empty() || expected.len() < jobs.len();
        assert!(is_selective, "a filter that lets everything through proves nothing: {filter}");
    }
}

async fn check_pages(client: &Client, jobs: &[Settlement]) {
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("/api/v2/tickets?period={MONTH}&limit=7{cursor}")).await.expect(200);
        assert!(page.list("items").len() <= 7);
        seen.extend(of_page(&page));
        let Some(next) = page.find("next_cursor") else { break };
        cursor = format!("&cursor={next}");
    }
    let newest_first: Vec<String> = jobs.iter().rev().map(|row| row.job.ticket.to_string()).collect();
    assert_eq!(seen, newest_first);
    let whole = client.get(&format!("/api/v2/tickets?period={MONTH}&limit=200&account=ci")).await.expect(200);
    assert_eq!(
        (of_page(&whole).len(), whole.find("next_cursor")),
        (200, None),
        "exactly as many as there are"
    );
}

#[tokio::test]
async fn filters_and_pages_are_the_same_before_and_after_archiving() {
    let (scene, jobs) = Scene::with_jobs("filters").await;
    check_filters(&scene.client, &jobs).await;
    check_pages(&scene.client, &jobs).await;
    let without_period = Scene::all(&scene.client, "limit=200").await;
    assert_eq!(without_period.len(), jobs.len());
    let before = bodies(&scene, &jobs).await;

    scene.archive_and_drop();
    check_filters(&scene.client, &jobs).await;
    check_pages(&scene.client, &jobs).await;
    assert_eq!(bodies(&scene, &jobs).await, before, "a ticket reads as it did");
    let without_period = Scene::all(&scene.client, "limit=200").await;
    assert_eq!(without_period.len(), 0, "archives are looked into when a period says so");
}

/// Some tickets by their ids: of the first, of a middle and of the last block.
async fn bodies(scene: &Scene, jobs: &[Settlement]) -> Vec<Value> {
    let mut bodies = Vec::new();
    for place in [0, 255, 256, 300, 599] {
        let ticket = jobs[place].job.ticket.to_string();
        bodies.push(scene.client.ticket(&ticket).await.expect(200).body);
    }
    bodies
}

#[tokio::test]
async fn a_listed_ticket_says_whose_it_is_and_never_a_secret() {
    let (scene, jobs) = Scene::with_jobs("listed").await;
    let page = scene.client.get(&format!("/api/v2/tickets?period={MONTH}&limit=1")).await.expect(200);
    let newest = jobs.last().unwrap();
    let item = page.at("items.0");
    assert_eq!(item["account"], newest.job.actor.account);
    assert_eq!(item["links"]["self"], format!("/api/v2/tickets/{}", newest.job.ticket));
    for name in ["secret", "fingerprint", "rights", "owner"] {
        assert_eq!(item.get(name), None, "{name}");
    }
    let mut without = item.clone();
    without.as_object_mut().unwrap().remove("account");
    let mut ticket = scene.client.ticket(&newest.job.ticket.to_string()).await.expect(200).body;
    ticket.as_object_mut().unwrap().remove("secret");
    assert_eq!(without, ticket, "the ticket itself is the same");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let (scene, _) = Scene::with_jobs("refused").await;
    let label = |length: usize| format!("metadata.{}=x", "k".repeat(length));
    let labels: Vec<String> = (0..17).map(|number| format!("metadata.k{number}=x")).collect();
    let other_list = scene.client.get("/api/v2/audit?limit=1&event=session.opened").await.expect(200);
    assert_eq!(other_list.find("next_cursor"), None);
    for query in [
        "state=queued",
        "state=withdrawn",
        "state=SUCCEEDED",
        "period=2025-13",
        "period=202503",
        "period=../../..",
        "from=yesterday",
        "to=-009999-01-01T00:00:00Z",
        "env=",
        "role=%00",
        "metadata.=x",
        "metadata.k=%00",
        "metadata.k=1&metadata.k=2",
        &label(301),
        &labels.join("&"),
        "limit=0",
        "limit=201",
        "cursor=x",
        "cursor=WyJ0aWNrZXRzIixbIngiLCJ5Il1d",
        "owner=ci",
        "evn=dev",
    ] {
        scene.client.get(&format!("/api/v2/tickets?{query}")).await.expect_problem(400, "malformed_request");
    }
    for query in
        [&label(300), &labels[..16].join("&"), "limit=200&role=nobody", "period=9998-12", "period=2000-01"]
    {
        let answer = scene.client.get(&format!("/api/v2/tickets?{query}")).await.expect(200);
        assert_eq!(answer.body, json!({ "items": [] }), "{query}");
    }
}

/// An account with these patterns.
fn account(scene: &Scene, name: &str, access: &[&str], deny: &[&str]) -> Client {
    let mut options: Vec<_> = access.iter().flat_map(|pattern| ["--access", pattern]).collect();
    options.extend(deny.iter().flat_map(|pattern| ["--deny", pattern]));
    scene.client.as_account(name, &scene.rolecall.make_account(name, &options))
}

#[tokio::test]
async fn everybody_sees_his_own_and_what_he_may_read() {
    let (scene, jobs) = Scene::with_jobs("rights").await;
    let is_in = |row: &Settlement, env: &str| row.job.target.env.as_str() == env;
    let owns = |row: &Settlement, account: &str| row.job.actor.account == account;
    let kind_of = |row: &Settlement| {
        let kind = row.job.operation.kind().or(row.ending.kind());
        kind.map(ToString::to_string)
    };
    let ci = account(&scene, "ci", &["submit:*/*:*"], &[]);
    let qa = account(&scene, "qa", &["read:dev/*:*"], &[]);
    let ops = account(&scene, "ops", &["read:*/*:*"], &["read:*/billing:*"]);
    let kinds = account(&scene, "kinds", &["read:*/app:dba"], &[]);
    let all: [(&str, &Client, Sees<'_>); 5] = [
        ("his own", &ci, Box::new(|row| owns(row, "ci"))),
        ("his own and those of dev", &qa, Box::new(|row| owns(row, "qa") || is_in(row, "dev"))),
        (
            "all but those denied",
            &ops,
            Box::new(|row| owns(row, "ops") || row.job.target.database.as_str() != "billing"),
        ),
        (
            "those of a kind, also by the mark",
            &kinds,
            Box::new(|row| {
                row.job.target.database.as_str() == "app" && kind_of(row).as_deref() == Some("dba")
            }),
        ),
        ("everything", &scene.client, Box::new(|_| true)),
    ];
    for archived in [false, true] {
        if archived {
            scene.archive_and_drop();
        }
        for (what, client, sees) in &all {
            let found = Scene::all(client, &format!("period={MONTH}&limit=200")).await;
            let expected: Vec<String> =
                jobs.iter().rev().filter(|row| sees(row)).map(|row| row.job.ticket.to_string()).collect();
            assert!(!expected.is_empty());
            assert_eq!(tickets(&found), expected, "{what}, archived: {archived}");
            // The ticket itself is judged alike.
            for row in jobs.iter().step_by(97) {
                let status = client.ticket(&row.job.ticket.to_string()).await.status;
                assert_eq!(status, if sees(row) { 200 } else { 404 }, "{what}, archived: {archived}");
            }
        }
        assert_eq!(Scene::all(&ci, &format!("period={MONTH}&account=ops")).await, Vec::<Value>::new());
    }
    assert_eq!(i64::try_from(jobs.len()).unwrap(), JOBS);
}
