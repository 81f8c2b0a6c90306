//! Paths: those there are none of, and what stands in them.

use std::collections::BTreeSet;

use reqwest::Method;

use super::Scene;
use crate::case::{Case, judge_problem};
use crate::{create, raw, with};

pub fn cases(scene: &Scene) -> Vec<Case> {
    let mut cases = unknown(scene);
    cases.extend(tickets(scene));
    cases.extend(targets(scene));
    cases
}

fn unknown(scene: &Scene) -> Vec<Case> {
    let mut cases = Vec::new();
    for path in [
        "/api",
        "/api/v2",
        "/api/v2/",
        "/api/v2/jobs/",
        "/api/v2/Jobs",
        "/api/v2//jobs",
        "/api/v3/jobs",
        "/api/v2/nothing-of-the-kind",
        "/api/v2/targets/dev",
        "/api/v2/tickets/",
        "/favicon.ico",
        "/.env",
        "/api/v2/jobs%2f",
        "/metrics/",
        "/openapi.yaml",
        "/api/v2/tickets/a/b/c",
    ] {
        let case = Case::new(path, scene.get(path), 404, "not_found");
        cases.push(if path.len() > 15 { case.hides(path) } else { case });
    }
    cases
}

fn tickets(scene: &Scene) -> Vec<Case> {
    let mut cases = Vec::new();
    let unknown = uuid::Uuid::now_v7().to_string();
    let long = "9".repeat(5000);
    for id in [
        &unknown,
        "not-a-ticket",
        "0",
        "%00",
        "%F0%9F%A6%80",
        "..%2f..%2fetc%2fpasswd",
        "'%20OR%201=1",
        &long,
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "{id}",
    ] {
        for (method, rest) in [
            (Method::GET, ""),
            (Method::GET, "?wait=1"),
            (Method::DELETE, ""),
            (Method::POST, "/secret"),
            (Method::GET, "/events"),
        ] {
            let request = scene.client.request(method.clone(), &format!("/api/v2/tickets/{id}{rest}"));
            let case = Case::new(format!("{method} {id:.40}{rest}"), request, 404, "ticket_not_found");
            cases.push(if id.len() > 8 { case.hides(id) } else { case });
        }
    }
    for (method, rest) in
        [(Method::GET, ""), (Method::DELETE, ""), (Method::POST, "/secret"), (Method::GET, "/events")]
    {
        let request = scene.client.request(method, &format!("/api/v2/tickets/%ff%fe{rest}"));
        cases.push(Case::new(
            format!("a ticket that is not UTF-8 {rest}"),
            request,
            400,
            "malformed_request",
        ));
    }
    cases
}

fn targets(scene: &Scene) -> Vec<Case> {
    let mut cases = Vec::new();
    let acts = [
        (Method::GET, ""),
        (Method::DELETE, ""),
        (Method::POST, "/pause"),
        (Method::POST, "/resume"),
        (Method::POST, "/check"),
        (Method::GET, "/roles"),
        (Method::GET, "/roles/ada"),
    ];
    let database = &scene.target.database;
    let upper = database.to_uppercase();
    let long = "d".repeat(64);
    for (env, database) in [
        ("dev", "no_such_database"),
        ("prod", database),
        ("Dev", database),
        ("dev", &upper),
        ("dev", &long),
        ("dev", "%00"),
        ("dev", "a%2fb"),
        ("dev", "%20"),
        ("dev%00", database),
        ("d%C3%A9v", database),
        ("dev", "evil%27%3B%20DROP%20ROLE%20x%3B%20--"),
        ("dev", "%25%32%35"),
    ] {
        for (method, act) in &acts {
            let request =
                scene.client.request(method.clone(), &format!("/api/v2/targets/{env}/{database}{act}"));
            let case = Case::new(format!("{method} {env}/{database}{act}"), request, 404, "target_not_found");
            cases.push(case.hides("DROP ROLE"));
        }
    }
    for (method, act) in acts {
        let request = scene.client.request(method, &format!("/api/v2/targets/dev/%ff%fe{act}"));
        cases.push(Case::new(
            format!("a database that is not UTF-8 {act}"),
            request,
            400,
            "malformed_request",
        ));
    }
    for role in
        ["no_such_role", "%00", "a%0Ab", &"r".repeat(64), "JSmith", "pg_monitor", "x%27%3B%20DROP%20ROLE%20y"]
    {
        let path = format!("/api/v2/targets/dev/{database}/roles/{role}");
        cases.push(
            Case::new(format!("the role {role}"), scene.get(&path), 404, "role_not_found").hides("DROP ROLE"),
        );
    }
    cases
}

/// What a URL library would put right before it is sent.
pub async fn oddities_in_bytes(scene: &Scene, documented: &BTreeSet<String>) {
    let authorization = scene.authorization();
    for (target, status, code) in [
        ("/api/v2/tickets/%zz", 404, "ticket_not_found"),
        ("/api/v2/tickets/%", 404, "ticket_not_found"),
        ("/api/v2/tickets/%2e", 404, "ticket_not_found"),
        ("/api/v2/targets/%2e%2e/%2e%2e%2f", 404, "target_not_found"),
        ("/api/v2/tickets/%4", 404, "ticket_not_found"),
        ("/api/v2/targets/dev/../../../etc/passwd", 404, "not_found"),
        ("/api/v2/targets/dev/..", 404, "target_not_found"),
        ("/api/v2/./jobs", 404, "not_found"),
        ("/api/v2/audit?role=%zz&role", 400, "malformed_request"),
        ("/api/v2/audit?%ff=1", 400, "malformed_request"),
        ("/api/v2/targets?limit=%ff", 400, "malformed_request"),
        ("*", 404, "not_found"),
        ("http://elsewhere.example/api/v2/nothing", 404, "not_found"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\n\r\n");
        let answer = raw::exchange(&scene.rolecall.api.url(), request.as_bytes()).await;
        assert_eq!(judge_problem(&answer, status, code, documented), [""; 0], "{target}: {answer}");
    }
}

pub async fn an_inactive_target_takes_no_jobs(scene: &Scene) {
    let target = scene.rolecall.target(2);
    let registration = with(&target.registration(), "active", false);
    scene.client.put_target("dev", &target.database, &registration).await.expect(200);
    let job = create(target, "ada");
    scene.client.submit(&job).await.expect_problem(409, "target_inactive");
    let batch =
        scene.client.post("/api/v2/jobs/batch", &serde_json::json!({ "items": [job] })).await.expect(200);
    assert_eq!(batch.text("items.0.problem.code"), "target_inactive");
    scene.client.target_act("dev", &target.database, "check").await.expect(200);
}
