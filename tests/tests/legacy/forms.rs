//! The forms of the original, methods and refusals included, and where they differ on purpose.

use reqwest::Method;
use rolecall_tests::{Client, Installation, Running};
use serde_json::Value;

use crate::scene::{audited, call, form, get, password, path, send};

const CHANGING: [&str; 8] = ["app", "app-k8s", "devqa", "devlead", "readonly", "dba", "reset", "search-path"];
const READING: [&str; 5] =
    ["/", "/api/v1/registry", "/api/v1/users/all", "/api/v1/users/find", "/api/v1/registry?x=1"];

fn nobody(rolecall: &Running, method: Method, path: &str) -> reqwest::RequestBuilder {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    http.request(method, format!("{}{path}", rolecall.api.url()))
}

#[tokio::test]
async fn methods_are_decided_before_anybody_is_asked_who_he_is() {
    let rolecall = Running::start("legacy-methods").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let role = rolecall.role("nobody");
    for name in CHANGING {
        let path = path(name, &role, target);
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            for request in [nobody(&rolecall, method.clone(), &path), client.request(method, &path)] {
                let answer = send(request).await;
                answer.expect_text(405, r#"{"code":405,"error":"Method not allowed"}"#);
                assert_eq!(answer.headers["allow"], "GET, OPTIONS");
            }
        }
        // The original makes the role and throws its password away.
        let head = send(client.request(Method::HEAD, &path)).await;
        assert_eq!((head.status, head.text.as_str()), (405, ""));
        let options = send(nobody(&rolecall, Method::OPTIONS, &path)).await;
        assert_eq!((options.status, options.text.as_str()), (200, ""));
        assert_eq!(options.headers["allow"], "GET, OPTIONS");
    }
    for path in READING {
        send(client.request(Method::POST, path))
            .await
            .expect_text(405, r#"{"code":405,"error":"Method not allowed"}"#);
        let options = send(nobody(&rolecall, Method::OPTIONS, path)).await;
        assert_eq!((options.status, options.headers["allow"].to_str().unwrap()), (200, "GET, HEAD, OPTIONS"));
    }
    let head = send(client.request(Method::HEAD, "/api/v1/registry")).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert!(target.text("SELECT rolname::text FROM pg_roles WHERE rolname = $1", &[&role]).await.is_none());
    assert_eq!(audited(client, "ticket.succeeded").await, 0);
}

#[tokio::test]
async fn unknown_paths_and_callers_are_told_as_there() {
    let rolecall = Running::start("legacy-unknown").await;
    for path in [
        "/api/v1",
        "/api/v1/",
        "/api/v1/users",
        "/api/v1/users/app/",
        "/api/v1/users/APP",
        "/api/v1//registry",
    ] {
        for method in [Method::GET, Method::POST] {
            let answer = send(nobody(&rolecall, method, path)).await;
            answer.expect_text(404, r#"{"code":404,"error":"Endpoint not found"}"#);
        }
    }
    let names = CHANGING.iter().map(|name| format!("/api/v1/users/{name}"));
    let asking = names.chain(READING[1..].iter().map(|path| (*path).to_owned()));
    for (number, path) in asking.enumerate() {
        let request = || nobody(&rolecall, Method::GET, &path);
        for request in [
            request(),
            // Each is tried once: after three failures an account is closed to an address for a while.
            request().basic_auth(format!("stranger{number}"), Some("wrong")),
            // Without a colon, in bad base64, and what the original answers with 500.
            request().header("authorization", "Basic b3Bz"),
            request().header("authorization", "Basic !!!"),
            request().basic_auth(format!("jos\u{e9}{number}"), Some("p\u{e4}ss")),
            request().bearer_auth("x"),
        ] {
            let answer = send(request).await;
            answer.expect_text(401, r#"{"error":"Unauthorized"}"#);
            assert!(!answer.headers.contains_key("www-authenticate"), "{path}");
        }
    }
    for (user, password) in
        [(rolecall.user.to_uppercase(), &rolecall.password[..]), (rolecall.user.clone(), "wrong")]
    {
        let request = nobody(&rolecall, Method::GET, "/api/v1/registry").basic_auth(user, Some(password));
        send(request).await.expect_text(401, r#"{"error":"Unauthorized"}"#);
    }
    send(nobody(&rolecall, Method::GET, "/")).await.expect(200);
}

#[tokio::test]
async fn what_is_missing_or_no_name_is_400_and_what_is_not_there_an_answer() {
    let rolecall = Running::start("legacy-asked").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let at = format!("env=dev&database={}", target.database);
    for (query, error) in [
        ("app".to_owned(), "env: is required; database: is required"),
        ("all?env=dev".to_owned(), "database: is required"),
        (format!("app?{at}"), "servername: is required; port: is required"),
        (format!("app?{at}&servername=web01"), "port: is required"),
        (
            format!("app?{at}&servername=web01&port=08080"),
            "port: must be a number from 1 to 65535, without zeros before it",
        ),
        (format!("app-k8s?{at}&env_prefix=dv"), "farmname: is required"),
        (format!("app-k8s?{at}&env_prefix=&farmname=x"), "env_prefix: must not be empty"),
        (format!("devqa?{at}"), "username: is required"),
        (format!("devqa?{at}&username="), "username: must not be empty"),
        (format!("devqa?{at}&username=JSmith"), "username: must match [a-z_][a-z0-9_$.@-]*"),
        (
            format!("devqa?{at}&username={}", "a".repeat(64)),
            "username: is 64 bytes long; at most 63 are allowed",
        ),
        (format!("reset?{at}&username=a%00"), "username: must not contain control characters"),
        (format!("dba?{at}&username=pg_x"), "username: is reserved by PostgreSQL"),
        (format!("find?{at}"), "username: is required"),
        (format!("search-path?{at}&username=x&schema="), "schema: must not be empty"),
        (
            format!("search-path?{at}&username=x&schema=DEFAULT"),
            "schema: must name schemas; DEFAULT is not offered",
        ),
    ] {
        let answer = get(client, &format!("/api/v1/users/{query}")).await;
        assert_eq!(answer.expect(400)["error"], error, "{query}");
    }
    let none = rolecall.role("none");
    let place = format!(r#""database":"{}","env":"dev""#, target.database);
    let (host, port) = (&target.hostname, target.port);
    let not_found = format!(r#""port":"{port}","status":"user not found","username":"{none}"}}"#);
    let reset = format!(r#"{{{place},"hostname":"{host}","password":null,{not_found}"#);
    call(client, "reset", &none, target).await.expect_text(200, &reset);
    let path = not_found.replace(r#""status""#, r#""schema":"public","status""#);
    let path = format!(r#"{{{place},"hostname":"{host}",{path}"#);
    call(client, "search-path", &none, target).await.expect_text(200, &path);
    for name in [&none, "JSmith", "app_owner", "a%00", "o%27brien%20--"] {
        assert_eq!(call(client, "find", name, target).await.expect(200)["found"], false, "{name}");
    }
    let unknown = get(client, "/api/v1/users/all?env=d%C3%A9v&database=%27x%27").await;
    unknown.expect_text(404, r#"{"error":"No registry entry found for env='d\u00e9v' database=''x''"}"#);
}

#[tokio::test]
async fn what_the_original_could_not_do_is_done() {
    let rolecall = Running::start("legacy-better").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let id = &rolecall.id;
    let app =
        format!("/api/v1/users/app?env=dev&database={}&servername=web-01.{id}&port=8080", target.database);
    let made = get(client, &app).await.expect(200);
    assert_eq!(made["username"], format!("web-01.{id}_8080"));
    assert!(target.accepts(&format!("web-01.{id}_8080"), made["password"].as_str().unwrap()).await);

    // `readonly` reads, and no more.
    let role = rolecall.role("reader");
    let password = password(client, "readonly", &role, target).await;
    let session = target.login(&role, &password, &target.database).await.unwrap();
    session.query("SELECT * FROM public.orders", &[]).await.unwrap();
    session.execute("DELETE FROM public.orders", &[]).await.unwrap_err();

    for (schema, status) in
        [("a,b", "search_path set to a,b"), ("\"$user\", public", "search_path set to \"$user\", public")]
    {
        let path = format!("{}&{}", path("search-path", &role, target), form(&[("schema", schema)]));
        let answer = get(client, &path).await.expect(200);
        assert_eq!((&answer["schema"], &answer["status"]), (&schema.into(), &status.into()));
    }
}

#[tokio::test]
async fn protected_roles_are_not_taken_over_and_no_server_speaks() {
    let rolecall = Running::start("legacy-protected").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let dba = rolecall.setting("default_login.user").unwrap();
    for role in [dba, "postgres"] {
        for name in ["reset", "search-path"] {
            let refused = call(client, name, role, target).await;
            assert!(refused.expect(403)["ticket"].is_string(), "{}", refused.text);
        }
        let exists = call(client, "devqa", role, target).await.expect(200);
        assert_eq!((&exists["status"], &exists["password"]), (&"user already exists".into(), &Value::Null));
    }
    target.dba(&target.database).await;

    let mut elsewhere = target.registration();
    elsewhere["login"] = serde_json::json!({ "user": dba, "password": "wrong" });
    client.put_target("own", &target.database, &elsewhere).await.expect(201);
    let refused = get(client, &format!("/api/v1/users/all?env=own&database={}", target.database)).await;
    refused.expect_text(500, r#"{"error":"the server refuses the log-in of this service"}"#);
}

#[tokio::test]
async fn post_is_for_those_who_switched_it_on() {
    let rolecall: Running = Installation::builder("legacy-post").set("legacy.post", "true").start().await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let role = rolecall.role("posted");
    let form = form(&[("env", "dev"), ("database", &target.database), ("username", &role)]);
    let made = send(client.request(Method::POST, "/api/v1/users/devqa").body(form.clone())).await.expect(200);
    assert!(target.accepts(&role, made["password"].as_str().unwrap()).await);
    let options = send(client.request(Method::OPTIONS, "/api/v1/users/devqa")).await;
    assert_eq!(options.headers["allow"], "GET, OPTIONS, POST");
    send(client.request(Method::POST, "/api/v1/users/find").body(form.clone())).await.expect(405);
    let stranger = nobody(&rolecall, Method::POST, "/api/v1/users/devqa").body(form.clone());
    send(stranger).await.expect_text(401, r#"{"error":"Unauthorized"}"#);
    let reset = send(client.request(Method::POST, &path("reset", &role, target))).await.expect(200);
    assert!(target.accepts(&role, reset["password"].as_str().unwrap()).await);
}

#[tokio::test]
async fn rights_count_here_as_everywhere() {
    let rolecall = Running::start("legacy-rights").await;
    let (target, other) = (rolecall.target(1), rolecall.target(2));
    let dev = format!("dev/{}", target.database);
    let account = |name: &str, access: &[&str]| -> Client {
        let more: Vec<_> = access.iter().flat_map(|pattern| ["--access", pattern]).collect();
        rolecall.client.as_account(name, &rolecall.make_account(name, &more))
    };
    let reader = account("reader", &[&format!("read:{dev}:*")]);
    let registry = get(&reader, "/api/v1/registry").await.expect(200);
    assert_eq!(
        (&registry["count"], &registry["databases"][0]["db_name"]),
        (&1.into(), &target.database.as_str().into())
    );
    call(&reader, "find", "x", target).await.expect(200);
    call(&reader, "find", "x", other).await.expect(403);
    call(&reader, "all", "", other).await.expect(403);
    let refused = call(&reader, "devqa", &rolecall.role("x"), target).await.expect(403);
    assert!(refused["error"].as_str().unwrap().contains(&format!("reveal:{dev}:devqa")), "{refused}");

    // Who may submit and not take a password is told before the role is made.
    let submitter = account("submitter", &[&format!("submit:{dev}:*")]);
    call(&submitter, "devqa", &rolecall.role("x"), target).await.expect(403);
    call(&submitter, "reset", &rolecall.role("x"), target).await.expect(403);
    get(&submitter, "/api/v1/registry").await.expect(403);
    assert_eq!(audited(&rolecall.client, "ticket.succeeded").await, 0);

    let devqa = account("devqa", &[&format!("submit:{dev}:devqa"), &format!("reveal:{dev}:devqa")]);
    let role = rolecall.role("ada");
    password(&devqa, "devqa", &role, target).await;
    call(&devqa, "dba", &rolecall.role("x"), target).await.expect(403);
    call(&devqa, "devqa", &rolecall.role("x"), other).await.expect(403);
    let works = password(&devqa, "reset", &role, target).await;
    // Whose password the caller may not take, that role keeps the one it has.
    let devlead = account("devlead", &[&format!("submit:{dev}:*"), &format!("reveal:{dev}:devlead")]);
    let refused = call(&devlead, "reset", &role, target).await.expect(403);
    assert!(refused["error"].as_str().unwrap().contains("reveal"), "{refused}");
    assert!(target.accepts(&role, &works).await);
    // A role that Rolecall did not make needs the right for every kind.
    target
        .superuser("postgres")
        .await
        .batch_execute(&format!("CREATE ROLE {}", rolecall.role("old")))
        .await
        .unwrap();
    call(&devqa, "reset", &rolecall.role("old"), target).await.expect(403);
}
