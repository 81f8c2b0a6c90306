//! Unknown, missing, empty and wrong-typed fields of jobs.

use serde_json::{Value, json};

use super::Scene;
use crate::case::Case;
use crate::{with, without};

pub fn cases(scene: &Scene) -> Vec<Case> {
    let mut cases = missing(scene);
    cases.extend(wrong_types(scene));
    cases.extend(unknown_words(scene));
    cases.extend(fields_of_others(scene));
    cases.extend(environments_and_databases(scene));
    cases
}

/// The jobs, each with its required fields beside `operation`.
fn jobs(scene: &Scene) -> Vec<(Value, &'static [&'static str])> {
    vec![
        (scene.devqa(), &["kind", "username", "env", "database"]),
        (scene.app(), &["kind", "servername", "port", "env", "database"]),
        (scene.k8s(), &["kind", "env_prefix", "farmname", "env", "database"]),
        (scene.reset(), &["username", "env", "database"]),
        (scene.search_path(), &["username", "schemas", "env", "database"]),
    ]
}

fn missing(scene: &Scene) -> Vec<Case> {
    let mut cases = Vec::new();
    for (job, required) in jobs(scene) {
        let operation = job["operation"].as_str().unwrap().to_owned();
        cases.push(Case::faulty("no operation", scene.submit(&without(&job, "operation")), &["operation"]));
        for field in required {
            let name = format!("{operation} without {field}");
            cases.push(Case::faulty(name, scene.submit(&without(&job, field)), &[field]));
            let name = format!("{operation} with {field} null");
            cases.push(Case::faulty(name, scene.submit(&with(&job, field, Value::Null)), &[field]));
        }
    }
    let nothing = scene.submit(&json!({}));
    cases.push(Case::faulty("an empty object", nothing, &["operation", "env", "database"]));
    let several =
        json!({ "operation": "reset_password", "env": "Dev", "database": 5, "deadline": 0, "extra": 1 });
    let fields = ["username", "env", "database", "deadline", "extra"];
    cases.push(Case::faulty("all faults at once", scene.submit(&several), &fields));
    cases
}

fn wrong_types(scene: &Scene) -> Vec<Case> {
    let mut cases = Vec::new();
    for (job, required) in jobs(scene) {
        for field in required.iter().chain(&["operation"]) {
            for value in [json!(5), json!(-1.5), json!(true), json!([[]]), json!({ "$ne": 1 }), json!([5])] {
                // A number is what a port is; in a list of schemas the item is named.
                let expected = match (*field, &value) {
                    ("schemas", Value::Array(_)) => "schemas[0]",
                    (field, _) => field,
                };
                if *field == "port" && value == 5 {
                    continue;
                }
                let name = format!("{} with {field} {value}", job["operation"]);
                cases.push(Case::faulty(name, scene.submit(&with(&job, field, value)), &[expected]));
            }
        }
    }
    for port in [json!("8080"), json!(""), json!(0), json!(-1), json!(65_536), json!(80.5), json!(1e300)] {
        let name = format!("port {port}");
        cases.push(Case::faulty(name, scene.submit(&with(&scene.app(), "port", port)), &["port"]));
    }
    cases
}

fn unknown_words(scene: &Scene) -> Vec<Case> {
    let mut cases = Vec::new();
    let long = "x".repeat(10_000);
    for word in
        ["", "drop_role", "Create_Role", "create_role ", "CREATE_ROLE", "create_role\0", "créer", &long]
    {
        let request = scene.submit(&with(&scene.devqa(), "operation", word));
        let case = Case::new(format!("operation {word:.20?}"), request, 422, "unknown_operation");
        cases.push(if word.len() > 20 || word == "drop_role" { case.hides(word) } else { case });
    }
    for word in ["", "superuser", "DEVQA", "devqa ", "app_k8s", "devqa\0", "dévqa", &long] {
        let request = scene.submit(&with(&scene.devqa(), "kind", word));
        let case = Case::new(format!("kind {word:.20?}"), request, 422, "unknown_kind");
        cases.push(if word.len() > 20 || word == "superuser" { case.hides(word) } else { case });
    }
    for kind in ["devqa", "devlead"] {
        let job = with(&with(&scene.devqa(), "kind", kind), "env", "prod");
        let name = format!("{kind} in prod");
        cases.push(Case::new(name, scene.submit(&job), 422, "kind_not_allowed_in_env"));
    }
    cases
}

/// A field that belongs to another operation or kind is a mistake and not decoration.
fn fields_of_others(scene: &Scene) -> Vec<Case> {
    let mut cases = Vec::new();
    for (job, field, value) in [
        (scene.app(), "username", json!("ada")),
        (scene.k8s(), "servername", json!("web01")),
        (scene.devqa(), "port", json!(8080)),
        (scene.devqa(), "schemas", json!(["public"])),
        (scene.reset(), "kind", json!("devqa")),
        (scene.reset(), "password", json!("chosen-by-me")),
        (scene.search_path(), "schema", json!("public")),
        (scene.devqa(), "idempotency_key", json!("only-in-batches")),
        (scene.devqa(), "Username", json!("ada")),
        (scene.devqa(), "connection_limit", json!(-1)),
    ] {
        let request = scene.submit(&with(&job, field, value.clone()));
        cases.push(
            Case::faulty(format!("the foreign field {field}"), request, &[field]).hides_texts_of(&value),
        );
    }
    for (name, shown) in [
        ("a'; DROP ROLE ada; --", "(a name of 21 bytes)"),
        ("\u{202e}emanresu", "(a name of 11 bytes)"),
        ("", "(a name of 0 bytes)"),
        ("line\nbreak", "(a name of 10 bytes)"),
    ] {
        let case = Case::faulty("a hostile field", scene.submit(&with(&scene.devqa(), name, 1)), &[shown]);
        cases.push(if name.is_empty() { case } else { case.hides(name) });
    }
    let long = "f".repeat(5000);
    let request = scene.submit(&with(&scene.devqa(), &long, 1));
    cases.push(Case::faulty("a long field", request, &["(a name of 5000 bytes)"]).hides(long));
    cases
}

fn environments_and_databases(scene: &Scene) -> Vec<Case> {
    let mut cases = Vec::new();
    let (job, long) = (scene.devqa(), "e".repeat(33));
    for env in
        ["", "Dev", "d v", "dév", "dev/x", "-dev", "dev\0", "dev\n", "dev;drop role x", "../dev", &long]
    {
        let request = scene.submit(&with(&job, "env", env));
        cases.push(Case::faulty(format!("env {env:?}"), request, &["env"]).hides_texts_of(&json!(env)));
    }
    let long = "d".repeat(64);
    for database in ["", "a\0b", "a\n", "a\u{7f}", &"é".repeat(32), &long] {
        let request = scene.submit(&with(&job, "database", database));
        let case = Case::faulty(format!("database {database:?}"), request, &["database"]);
        cases.push(case.hides_texts_of(&json!(database)));
    }
    let upper = scene.target.database.to_uppercase();
    for (field, value) in [
        ("env", "nowhere"),
        ("database", "no_such_database"),
        ("database", &upper),
        ("database", "d'; DROP DATABASE x; --"),
        ("database", &"d".repeat(63)),
    ] {
        let request = scene.submit(&with(&job, field, value));
        let case = Case::new(format!("unknown {field} {value}"), request, 404, "target_not_found");
        cases.push(case.hides(value));
    }
    cases
}
