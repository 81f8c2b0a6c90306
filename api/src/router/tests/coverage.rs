//! What must hold for every route there is, taken from the document.

use axum::http::header::{ALLOW, WWW_AUTHENTICATE};

use super::*;

/// The surface, so that a route nobody thought of is seen.
const OPERATIONS: [&str; 42] = [
    "GET /api/v2/audit",
    "GET /api/v2/hosts",
    "POST /api/v2/hosts/pause",
    "POST /api/v2/hosts/drain",
    "POST /api/v2/hosts/resume",
    "POST /api/v2/hosts/{host}/pause",
    "POST /api/v2/hosts/{host}/drain",
    "POST /api/v2/hosts/{host}/resume",
    "POST /api/v2/jobs",
    "POST /api/v2/jobs/batch",
    "GET /api/v2/targets",
    "GET /api/v2/targets/{env}/{database}",
    "PUT /api/v2/targets/{env}/{database}",
    "DELETE /api/v2/targets/{env}/{database}",
    "POST /api/v2/targets/{env}/{database}/check",
    "POST /api/v2/targets/{env}/{database}/pause",
    "POST /api/v2/targets/{env}/{database}/resume",
    "GET /api/v2/targets/{env}/{database}/roles",
    "GET /api/v2/targets/{env}/{database}/roles/{name}",
    "GET /api/v2/tickets",
    "GET /api/v2/tickets/{id}",
    "DELETE /api/v2/tickets/{id}",
    "GET /api/v2/tickets/{id}/events",
    "POST /api/v2/tickets/{id}/secret",
    "GET /api/v2/tokens",
    "POST /api/v2/tokens",
    "DELETE /api/v2/tokens/{id}",
    "GET /api/v2/webhooks",
    "POST /api/v2/webhooks",
    "GET /api/v2/webhooks/{id}",
    "PATCH /api/v2/webhooks/{id}",
    "DELETE /api/v2/webhooks/{id}",
    "POST /api/v2/webhooks/{id}/pause",
    "POST /api/v2/webhooks/{id}/resume",
    "POST /api/v2/webhooks/{id}/rotate",
    "POST /api/v2/webhooks/{id}/ping",
    "GET /api/v2/webhooks/{id}/deliveries",
    "POST /api/v2/webhooks/{id}/deliveries/{delivery}/replay",
    "POST /api/v2/webhooks/{id}/replay",
    "POST /api/v2/sessions",
    "POST /auth/oidc",
    "DELETE /api/v2/sessions/{id}",
];

fn filled(path: &str) -> String {
    let path = path.replace("{env}", "dev").replace("{database}", "myapp_dev").replace("{name}", "x");
    let path = path.replace("{host}", "db1:5432").replace("{delivery}", "1");
    path.replace("{id}", "7d444840-9dc0-41d1-b245-5ffdce74fad2")
}

#[test]
fn the_document_holds_every_operation() {
    let mut found: Vec<_> = operations().iter().map(|(path, method, _)| format!("{method} {path}")).collect();
    let mut expected = OPERATIONS.map(str::to_owned);
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let document = serde_json::to_value(crate::openapi_document()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["security"], serde_json::json!([{ "basic": [] }, { "bearer": [] }]));
}

#[test]
fn every_operation_documents_its_problems_and_its_parameters() {
    for (path, method, operation) in operations() {
        let problems = &operation["responses"]["default"]["content"];
        assert!(problems["application/problem+json"].is_object(), "{method} {path}");
        for part in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let named = |parameter: &Value| parameter["name"] == part && parameter["in"] == "path";
            assert!(operation["parameters"].as_array().unwrap().iter().any(named), "{method} {path}");
        }
    }
}

/// All but the one for those who come with somebody else's word.
fn asking() -> Vec<(String, Method, Value)> {
    operations().into_iter().filter(|(path, ..)| path != "/auth/oidc").collect()
}

#[tokio::test]
async fn every_operation_asks_who_is_calling() {
    let intake = intake();
    let credentials = [None, Some("Basic"), Some("Basic !!!"), Some("Basic b3Bz"), Some("Bearer x")];
    for (path, method, _) in asking() {
        for header in credentials {
            let mut request = Request::builder().method(method.clone()).uri(filled(&path));
            if let Some(header) = header {
                request = request.header(AUTHORIZATION, header);
            }
            let response = intake.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(response.status(), 401, "{method} {path}");
            let challenge = "Basic realm=\"rolecall\", charset=\"UTF-8\"";
            assert_eq!(response.headers()[WWW_AUTHENTICATE], challenge, "{method} {path}");
            assert_eq!(json(response).await["code"], "unauthenticated", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_operation_exists_for_somebody_we_know() {
    let intake = intake();
    for (path, method, _) in operations() {
        let response =
            intake.send(request(method.clone(), &filled(&path)).body(Body::empty()).unwrap()).await;
        let status = response.status().as_u16();
        // The control database is away: what needs it says so, what reads a body first says what is wrong with that.
        assert!([415, 503].contains(&status), "{method} {path}: {status}");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json", "{method} {path}");
    }
}

#[tokio::test]
async fn other_methods_are_refused_with_what_is_allowed() {
    let intake = intake();
    for (path, _, _) in operations() {
        // One that no path offers.
        let response = intake.send(request(Method::TRACE, &filled(&path)).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), 405, "{path}");
        assert!(!response.headers()[ALLOW].is_empty(), "{path}");
        assert_eq!(json(response).await["code"], "method_not_allowed", "{path}");
    }
    for method in [Method::GET, Method::HEAD] {
        let path = filled("/api/v2/tickets/{id}/secret");
        let response = intake.send(request(method, &path).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), 405, "reading never takes a secret");
    }
}

#[tokio::test]
async fn unknown_paths_are_problems() {
    let intake = intake();
    for path in ["/api", "/api/v2", "/api/v2/job", "/api/v2/ticket", "/api/v2/jobs/", "/api/v3/jobs"] {
        let (status, code, _) = intake.problem(get(path)).await;
        assert_eq!((status, code.as_str()), (404, "not_found"), "{path}");
    }
}

#[tokio::test]
async fn health_and_documentation_ask_nobody() {
    let intake = intake();
    let open = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    for path in ["/livez", "/metrics", "/openapi.json", "/docs/"] {
        let response = intake.send(open(path)).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff", "{path}");
        assert!(response.headers().contains_key("content-security-policy"), "{path}");
    }
    let response = intake.send(open("/readyz")).await;
    assert_eq!(response.status(), 503);
    let dependencies = serde_json::json!({ "control": "down", "rabbitmq": "ok", "redis": "ok" });
    let body = json(response).await;
    assert_eq!((&body["status"], &body["dependencies"]), (&Value::from("down"), &dependencies));
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_path() {
    let intake = intake();
    intake.send(get("/api/v2/tickets/who-are-you")).await;
    intake.send(get("/nowhere/at/all")).await;
    let response = intake.send(Request::get("/metrics").body(Body::empty()).unwrap()).await;
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let text = String::from_utf8(bytes.into()).unwrap();
    assert!(text.contains("route=\"/api/v2/tickets/{id}\""), "{text}");
    assert!(!text.contains("who-are-you") && !text.contains("nowhere"), "{text}");
}
