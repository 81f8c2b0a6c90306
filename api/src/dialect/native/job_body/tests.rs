use serde_json::json;

use super::*;
use crate::app::fakes;

fn parse_value(value: &Value) -> Result<Submission, Failure> {
    parse(value.as_object().unwrap(), KeySource::Field, &fakes::settings())
}

fn with(field: &str, value: Value) -> Value {
    let mut job = example();
    job[field] = value;
    job
}

fn without(field: &str) -> Value {
    let mut job = example();
    job.as_object_mut().unwrap().remove(field);
    job
}

fn example() -> Value {
    json!({
        "operation": "create_role", "kind": "app", "env": "dev", "database": "myapp_dev",
        "servername": "web01", "port": 8080, "deadline": "15m", "metadata": { "pipeline": "4711" },
    })
}

/// The fields at fault.
fn faults(value: &Value) -> Vec<String> {
    let failure = parse_value(value).expect_err("a fault");
    assert_eq!(failure.code(), Code::InvalidRequest, "{value}");
    failure.field_faults().iter().map(|fault| fault.field.clone()).collect()
}

#[test]
fn the_example_is_understood() {
    let asked = parse_value(&example()).unwrap();
    assert_eq!(asked.operation.name(), "create_role");
    assert_eq!(asked.operation.role().as_str(), "web01_8080");
    assert_eq!(asked.target.to_string(), "dev/myapp_dev");
    assert_eq!(asked.deadline, Some(SignedDuration::from_mins(15)));
    assert_eq!(asked.metadata["pipeline"], "4711");
}

#[test]
fn every_kind_has_its_own_fields() {
    let job = |kind: &str, more: Value| {
        let mut job = json!({ "operation": "create_role", "kind": kind, "env": "dev", "database": "d" });
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        job
    };
    let role = |job: &Value| parse_value(job).unwrap().operation.role().to_string();
    assert_eq!(role(&job("app-k8s", json!({ "env_prefix": "dv", "farmname": "gears" }))), "dv_gears");
    for kind in ["devqa", "devlead", "readonly", "dba"] {
        assert_eq!(role(&job(kind, json!({ "username": "jsmith" }))), "jsmith");
        assert_eq!(
            faults(&job(kind, json!({ "servername": "w", "port": 1 }))),
            ["username", "port", "servername"]
        );
    }
    assert_eq!(faults(&job("app", json!({ "username": "x" }))), ["servername", "port", "username"]);
}

#[test]
fn operations_on_existing_roles() {
    let base = json!({ "operation": "reset_password", "env": "dev", "database": "d", "username": "jsmith" });
    assert_eq!(parse_value(&base).unwrap().operation.name(), "reset_password");
    let mut path = base.clone();
    path["operation"] = json!("set_search_path");
    path["schemas"] = json!(["\"$user\"", "app", "public"]);
    match parse_value(&path).unwrap().operation {
        Operation::SetSearchPath { schemas, .. } => {
            assert_eq!(
                schemas.iter().map(SchemaName::as_str).collect::<Vec<_>>(),
                ["$user", "app", "public"]
            );
        }
        other @ (Operation::CreateRole { .. } | Operation::ResetPassword { .. }) => panic!("{other:?}"),
    }
    for (schemas, at) in [
        (json!([]), "schemas"),
        (json!("public"), "schemas"),
        (json!(vec!["s"; 33]), "schemas"),
        (json!(null), "schemas"),
        (json!(["public; DROP ROLE x"]), "schemas[0]"),
        (json!(["a", 1]), "schemas[1]"),
    ] {
        path["schemas"] = schemas;
        assert_eq!(faults(&path), [at], "{path}");
    }
    let mut extra = base;
    extra["kind"] = json!("app");
    assert_eq!(faults(&extra), ["kind"]);
}

#[test]
fn all_faults_are_told_at_once() {
    let job = json!({
        "operation": "create_role", "kind": "app", "env": "Dev", "servername": "a b", "port": "8080",
        "deadline": 0, "metadata": { "a": 1 }, "surprise": true,
    });
    assert_eq!(faults(&job), ["port", "env", "database", "deadline", "metadata.a", "surprise"]);
    assert_eq!(faults(&json!({ "kind": 1, "env": 1 })), ["operation", "env", "database"]);
    assert_eq!(faults(&json!({})), ["operation", "env", "database"]);
}

#[test]
fn wrong_words_have_their_own_codes() {
    let code = |job: &Value| parse_value(job).unwrap_err().code();
    assert_eq!(code(&with("operation", json!("drop_role"))), Code::UnknownOperation);
    assert_eq!(code(&with("kind", json!("superuser"))), Code::UnknownKind);
    assert_eq!(code(&with("kind", json!("App"))), Code::UnknownKind);
    let prod = json!({ "operation": "create_role", "kind": "devqa", "env": "prod", "database": "d", "username": "x" });
    assert_eq!(code(&prod), Code::KindNotAllowedInEnv);
    assert_eq!(faults(&with("operation", json!(5))), ["operation"]);
    assert_eq!(faults(&without("kind")), ["kind"]);
}

#[test]
fn hostile_names_are_refused_and_not_repeated() {
    for name in ["evil; DROP ROLE x; --", "a'b", "a\"b", "a\0b", "a\nb", "ROLE", "José", "", &"a".repeat(60)]
    {
        let failure = parse_value(&with("servername", json!(name))).expect_err(name);
        assert_eq!(failure.field_faults()[0].field, "servername");
        assert!(name.len() < 2 || !failure.field_faults()[0].detail.contains(name), "{name:?}");
    }
    for name in ["pg_x", "public", "none"] {
        let job = json!({ "operation": "reset_password", "env": "dev", "database": "d", "username": name });
        assert_eq!(faults(&job), ["username"]);
    }
}

#[test]
fn deadlines_are_durations_within_bounds() {
    for (value, seconds) in [
        (json!("15m"), 900),
        (json!("90s"), 90),
        (json!("2h"), 7200),
        (json!("1h 30m"), 5400),
        (json!("PT15M"), 900),
        (json!(60), 60),
        (json!("24h"), 86_400),
    ] {
        let asked = parse_value(&with("deadline", value.clone())).unwrap_or_else(|e| panic!("{value}: {e}"));
        assert_eq!(asked.deadline, Some(SignedDuration::from_secs(seconds)), "{value}");
    }
    for value in [
        json!(0),
        json!("0s"),
        json!(-5),
        json!("-5m"),
        json!("5m ago"),
        json!(86_401),
        json!("25h"),
        json!(1.5),
        json!("soon"),
        json!(""),
        json!(true),
        json!([]),
        json!(i64::MAX),
        json!("9".repeat(100)),
    ] {
        assert_eq!(faults(&with("deadline", value.clone())), ["deadline"], "{value}");
    }
    assert_eq!(parse_value(&without("deadline")).unwrap().deadline, None);
}

#[test]
fn labels_have_limits() {
    let labels = |n: usize| Value::Object((0..n).map(|n| (format!("k{n}"), json!("v"))).collect());
    assert!(parse_value(&with("metadata", labels(16))).is_ok());
    assert_eq!(faults(&with("metadata", labels(17))), ["metadata"]);
    assert!(parse_value(&with("metadata", json!({ "k".repeat(64): "v".repeat(256) }))).is_ok());
    assert_eq!(faults(&with("metadata", json!({ "k".repeat(65): "v" }))), ["metadata"]);
    assert_eq!(faults(&with("metadata", json!({ "": "v" }))), ["metadata"]);
    assert_eq!(faults(&with("metadata", json!({ "k": "v".repeat(257) }))), ["metadata.k"]);
    assert_eq!(faults(&with("metadata", json!({ "k": "\0" }))), ["metadata.k"]);
    assert_eq!(faults(&with("metadata", json!({ "k": null }))), ["metadata.k"]);
    assert_eq!(faults(&with("metadata", json!(["k"]))), ["metadata"]);
}

#[test]
fn a_key_stands_where_it_belongs() {
    let item = with("idempotency_key", json!("deploy-4711"));
    assert!(parse_value(&item).unwrap().key.is_some());
    assert_eq!(faults(&with("idempotency_key", json!("a b"))), ["idempotency_key"]);
    let single = parse(item.as_object().unwrap(), KeySource::Header(None), &fakes::settings());
    assert_eq!(single.unwrap_err().field_faults()[0].field, "idempotency_key");
}

#[test]
fn a_callback_is_a_webhook_or_a_url_on_a_host_of_the_list() {
    for callback in ["7d444840-9dc0-41d1-b245-5ffdce74fad2", "https://ci.example.com/runs/1?token=x"] {
        assert!(parse_value(&with("callback", json!(callback))).unwrap().callback.is_some(), "{callback}");
    }
    for callback in [
        json!("https://ci.example.com:8443/"),
        json!("https://other.example.com/"),
        json!("http://ci.example.com/"),
        json!("https://u@ci.example.com/"),
        json!("ci.example.com"),
        json!(""),
        json!(1),
    ] {
        assert_eq!(faults(&with("callback", callback.clone())), ["callback"], "{callback}");
    }
}

#[test]
fn the_documented_fields_are_those_that_are_read() {
    let schema = serde_json::to_value(<JobBody as utoipa::PartialSchema>::schema()).unwrap();
    let documented: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    let mut read =
        vec!["operation", "kind", "env", "database", "schemas", "deadline", "metadata", "callback"];
    read.push("idempotency_key");
    read.extend(NAMING_FIELDS);
    read.sort_unstable();
    assert_eq!(documented, read);
}
