//! `/api/v2/audit`: each filter, several together, pages, and what a row holds.

use rolecall_tests::{Client, Running, Target};
use serde_json::{Value, json};

use crate::{create, events, own_login, pages, with};

/// A little history: two roles on one host, one on another, a reset, a taken password, a registration.
struct History {
    rolecall: Running,
    ada: String,
    ticket: String,
}

impl History {
    async fn new() -> Self {
        let rolecall = Running::start("audit").await;
        let client = &rolecall.client;
        let (ada, grace) = (rolecall.role("ada"), rolecall.role("grace"));
        let created = client.run(&create(rolecall.target(1), &ada)).await.expect_outcome("created");
        client.take_secret(&created.id()).await.expect(200);
        client.run(&create(rolecall.target(2), &grace)).await.expect_outcome("created");
        let reset = json!({ "operation": "reset_password", "env": "dev", "database": rolecall.target(1).database,
                            "username": ada });
        client.run(&reset).await.expect_outcome("password_reset");
        let missing = with(&reset, "username", rolecall.role("nobody"));
        assert_eq!(client.run(&missing).await.text("problem.code"), "role_not_found");
        let shop = json!({ "hostname": "db9.example.com", "login": own_login("dba", "hunter2") });
        client.put_target("qa", "shop", &shop).await.expect(201);
        Self { ticket: created.id(), ada, rolecall }
    }

    fn client(&self) -> &Client {
        &self.rolecall.client
    }

    fn target(&self, number: usize) -> &Target {
        self.rolecall.target(number)
    }
}

#[tokio::test]
async fn every_filter_finds_its_rows_and_no_others() {
    let history = History::new().await;
    let client = history.client();
    let (all, _) = pages(client, "/api/v2/audit?", 200).await;
    assert_eq!(all.len(), 8, "{all:#?}");
    let middle = all[4]["at"].as_str().unwrap();
    let (host, database) = (history.target(1).host(), &history.target(1).database);

    // Each filter with its value, and what is true of a row it finds.
    let same = |field: &'static str, value: &str| {
        let value = value.to_owned();
        Box::new(move |row: &Value| row[field] == value) as Box<dyn Fn(&Value) -> bool>
    };
    let at = |row: &Value| row["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let moment: jiff::Timestamp = middle.parse().unwrap();
    let user = history.rolecall.user.as_str();
    for (query, holds) in [
        ("event=secret.taken".to_owned(), same("event", "secret.taken")),
        ("event=ticket.failed".into(), same("event", "ticket.failed")),
        (format!("ticket={}", history.ticket), same("ticket", &history.ticket)),
        (format!("account={user}"), same("account", user)),
        ("account=nobody".into(), same("account", "nobody")),
        ("env=qa".into(), same("env", "qa")),
        (format!("database={database}"), same("database", database)),
        (format!("host={host}"), same("host", &host)),
        (format!("role={}", history.ada), same("role", &history.ada)),
        (format!("from={middle}"), Box::new(move |row| at(row) >= moment)),
        (format!("to={middle}"), Box::new(move |row| at(row) < moment)),
        (
            format!("role={}&event=secret.taken&env=dev&host={host}", history.ada),
            same("event", "secret.taken"),
        ),
        (format!("env=qa&host={host}"), Box::new(|_| false)),
    ] {
        let found = client.audit(&format!("limit=200&{query}")).await.expect(200);
        let expected: Vec<_> = all.iter().filter(|row| holds(row)).cloned().collect();
        assert_eq!(found.list("items"), expected, "{query}");
        assert_eq!(expected.is_empty(), query.contains("nobody") || query.contains("env=qa&"), "{query}");
    }
    rows_say_who_did_what(&history, &all);
    pages_follow_each_other(client, &all).await;
}

fn rows_say_who_did_what(history: &History, all: &[Value]) {
    let taken = all.iter().find(|row| row["event"] == "secret.taken").unwrap();
    let created = all.iter().rev().find(|row| row["event"] == "ticket.succeeded").unwrap();
    assert_eq!((&created["ticket"], &created["outcome"]), (&json!(history.ticket), &json!("created")));
    for row in [taken, created] {
        for (field, value) in [
            ("account", history.rolecall.user.as_str()),
            ("address", "127.0.0.1"),
            ("env", "dev"),
            ("database", &history.target(1).database),
            ("host", &history.target(1).host()),
            ("operation", "create_role"),
            ("kind", "devqa"),
            ("role", &history.ada),
        ] {
            assert_eq!(row[field], value, "{field} of {row}");
        }
    }
    let failed = all.iter().find(|row| row["event"] == "ticket.failed").unwrap();
    assert_eq!(failed["outcome"], "role_not_found");
}

async fn pages_follow_each_other(client: &Client, all: &[Value]) {
    let seqs: Vec<_> = all.iter().map(|row| row["seq"].as_i64().unwrap()).collect();
    assert!(seqs.is_sorted_by(|a, b| a > b), "newest first: {seqs:?}");
    for limit in [1, 3, 8] {
        let (paged, count) = pages(client, "/api/v2/audit?", limit).await;
        assert_eq!((paged.as_slice(), count), (all, all.len().div_ceil(limit)), "by {limit}");
    }
    // A filter holds on every page; a row that comes meanwhile moves none.
    let first = client.audit("event=ticket.succeeded&limit=2").await.expect(200);
    client.delete("/api/v2/targets/qa/shop").await.expect(204);
    let cursor = first.text("next_cursor");
    let rest = client.audit(&format!("event=ticket.succeeded&limit=2&cursor={cursor}")).await.expect(200);
    assert_eq!(rest.list("items").len(), 1);
    assert!(rest.at("next_cursor").is_null());
    assert_eq!(events(client, "env=qa").await, ["target.added", "target.removed"]);
}
