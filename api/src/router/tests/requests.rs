//! Single requests: bodies, headers, tickets, failures of our own servers.

use axum::http::header::{ETAG, IF_NONE_MATCH, RETRY_AFTER};
use rolecall_shared::domain::ticket::{Ending, Outcome, State, Ticket};
use rolecall_shared::domain::{Actor, Code};
use serde_json::json as value;

use super::*;

fn job() -> Value {
    value!({ "operation": "reset_password", "env": "dev", "database": "d", "username": "jsmith" })
}

#[tokio::test]
async fn a_body_must_be_json_of_bounded_size_and_depth() {
    let intake = intake();
    for path in ["/api/v2/jobs", "/api/v2/jobs/batch"] {
        let plain =
            request(Method::POST, path).header(CONTENT_TYPE, "text/plain").body(job().to_string().into());
        let large = post(path, vec![b' '; (1 << 20) + 1]);
        let deep = post(path, format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200)));
        for (request, status, code) in [
            (plain.unwrap(), 415, "unsupported_media_type"),
            (large, 413, "body_too_large"),
            (deep, 400, "malformed_json"),
            (post(path, "{"), 400, "malformed_json"),
            (post(path, "[]"), 422, "invalid_request"),
            (post(path, r#"{"surprise":1}"#), 422, "invalid_request"),
        ] {
            let (found, problem, _) = intake.problem(request).await;
            assert_eq!((found, problem.as_str()), (status, code), "{path}");
        }
    }
    let (status, code, _) = intake.problem(post("/api/v2/jobs/batch", r#"{"items":[]}"#)).await;
    assert_eq!((status, code.as_str()), (422, "batch_size"));
}

#[tokio::test]
async fn nothing_is_accepted_while_the_control_database_is_away() {
    let intake = intake();
    let (status, code, body) = intake.problem(post("/api/v2/jobs", job().to_string())).await;
    assert_eq!((status, code.as_str()), (503, "control_database_unavailable"));
    assert_eq!(body["retry"], true);
    assert!(intake.tickets.tickets.lock().unwrap().is_empty());
    let stranger = Request::get("/api/v2/hosts").header(AUTHORIZATION, basic("ci", "secret"));
    let (status, ..) = intake.problem(stranger.body(Body::empty()).unwrap()).await;
    assert_eq!(status, 503, "whether this is somebody cannot be known");
}

#[tokio::test]
async fn idempotency_keys_are_checked_at_the_door() {
    let intake = intake();
    let with_key = |path: &str, key: &str| {
        let mut request = post(path, job().to_string());
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        request
    };
    for request in [with_key("/api/v2/jobs", "a b"), with_key("/api/v2/jobs/batch", "key")] {
        let (status, code, _) = intake.problem(request).await;
        assert_eq!((status, code.as_str()), (400, "malformed_request"));
    }
}

fn finished(ending: Ending) -> Ticket {
    Ticket { state: ending.state(), ending: Some(ending), ..fakes::ticket("r1") }
}

fn path(ticket: &Ticket) -> String {
    format!("/api/v2/tickets/{}", ticket.job.ticket)
}

#[tokio::test]
async fn a_password_is_its_owners_and_a_ticket_s_tag_saves_reading_it_again() {
    let intake = intake();
    let ticket = fakes::ticket("r1");
    intake.tickets.put(ticket.clone());
    let response = intake.send(get(&path(&ticket))).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[RETRY_AFTER], "1");
    let tag = response.headers()[ETAG].clone();
    assert_eq!(json(response).await["state"], "queued");

    let mut again = get(&path(&ticket));
    again.headers_mut().insert(IF_NONE_MATCH, tag);
    assert_eq!(intake.send(again).await.status(), 304);

    let mut others = fakes::ticket("r2");
    others.job.actor = Actor { account: "ci".into(), owner: "ci".into(), address: None, via: None };
    intake.tickets.put(others.clone());
    // An administrator sees it, and its password is not his either.
    assert_eq!(intake.send(get(&path(&others))).await.status(), 200);
    let (status, code, _) = intake.problem(post(&format!("{}/secret", path(&others)), Body::empty())).await;
    assert_eq!((status, code.as_str()), (403, "forbidden"));
    let (status, code, _) = intake.problem(get("/api/v2/tickets/no-ticket")).await;
    assert_eq!((status, code.as_str()), (404, "ticket_not_found"));
}

#[tokio::test]
async fn a_secret_needs_an_end_that_made_one() {
    let intake = intake();
    let failed = Ending::Failed { code: Code::RoleNotFound, detail: String::new() };
    let exists = Ending::Succeeded {
        outcome: Outcome::AlreadyExists,
        missing: Vec::new(),
        secret_expires_at: None,
        kind: None,
    };
    for (ticket, status, code) in [
        (fakes::ticket("r1"), 409, "not_finished"),
        (Ticket { state: State::Running, ..fakes::ticket("r1") }, 409, "not_finished"),
        (finished(failed), 404, "no_secret"),
        (finished(exists), 404, "no_secret"),
    ] {
        intake.tickets.put(ticket.clone());
        let (found, problem, _) = intake.problem(post(&format!("{}/secret", path(&ticket)), "")).await;
        assert_eq!((found, problem.as_str()), (status, code), "{:?}", ticket.state);
    }
}

#[tokio::test]
async fn queries_are_read_strictly() {
    let intake = intake();
    let ticket = fakes::ticket("r1");
    intake.tickets.put(ticket.clone());
    let of_ticket = |query: &str| format!("{}?{query}", path(&ticket));
    for path in [
        of_ticket("wait=51"),
        of_ticket("wait=-1"),
        of_ticket("wait=1&wait=2"),
        of_ticket("weit=1"),
        "/api/v2/audit?evnt=x".to_owned(),
        "/api/v2/audit?event=x".to_owned(),
        "/api/v2/audit?format=xml".to_owned(),
        "/api/v2/audit?format=csv&limit=1".to_owned(),
        "/api/v2/audit?from=yesterday".to_owned(),
        "/api/v2/audit?role=%00".to_owned(),
        "/api/v2/targets?limit=0".to_owned(),
        "/api/v2/targets?limit=201".to_owned(),
        "/api/v2/hosts?cursor=x".to_owned(),
    ] {
        let (status, code, _) = intake.problem(get(&path)).await;
        assert_eq!((status, code.as_str()), (400, "malformed_request"), "{path}");
    }
}

#[tokio::test]
async fn hostile_paths_name_nothing() {
    let intake = intake();
    for path in [
        "/api/v2/targets/DEV/x",
        "/api/v2/targets/dev/%00",
        "/api/v2/targets/dev%27%20OR%201=1/x",
        &format!("/api/v2/targets/dev/{}", "d".repeat(64)),
    ] {
        let (status, code, _) = intake.problem(get(path)).await;
        assert_eq!((status, code.as_str()), (404, "target_not_found"), "{path}");
    }
    let (status, ..) = intake.problem(get("/api/v2/targets/dev/%ff")).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_request_id_comes_back_if_it_is_plain() {
    let intake = intake();
    let with_id = |id: &str| Request::get("/livez").header("x-request-id", id).body(Body::empty()).unwrap();
    let response = intake.send(with_id("build-4711")).await;
    assert_eq!(response.headers()["x-request-id"], "build-4711");
    let response = intake.send(with_id("a b {} \"")).await;
    assert_eq!(response.headers()["x-request-id"].len(), 36);
}
