//! Names of roles and schemas: length, alphabet, reserved words. Never folded, cut or trimmed.

use serde_json::json;

use super::Scene;
use crate::case::Case;
use crate::with;

/// Not names of roles in any place.
fn hostile() -> Vec<String> {
    let mut names: Vec<String> = [
        "JSmith",
        "JOSÉ",
        "josé",
        "用户名用户",
        "🦀crab",
        "o'brien",
        "a\"b\"c",
        "\"Quoted Name\"",
        "two words",
        " leading",
        "trailing ",
        "trailing\n",
        "new\nline",
        "carriage\rreturn",
        "tab\tbed",
        "a\0bcde",
        "\0",
        "delete\u{7f}",
        "c1\u{85}control",
        "semi;colon",
        "a/b/c/d",
        "a\\b\\c",
        "a%b%c",
        "a,b,c,d",
        "(a)(b)",
        "{a}{b}",
        "$(whoami)",
        "`whoami`",
        "--comment",
        "/*comment*/",
        "a\u{200b}b",
        "a\u{202e}b",
        "-dash",
    ]
    .map(str::to_owned)
    .into();
    // 64 bytes, in one-byte and in two-byte letters, and far over.
    names.extend(["a".repeat(64), "é".repeat(32), "a".repeat(10_000)]);
    names
}

const RESERVED: [&str; 9] =
    ["pg_x", "pg_monitor", "PG_X", "public", "none", "current_user", "current_role", "session_user", "user"];

pub fn cases(scene: &Scene) -> Vec<Case> {
    let mut cases = Vec::new();
    let whole = [scene.devqa(), scene.reset(), scene.search_path()];
    for (name, job) in hostile().iter().chain(&RESERVED.map(str::to_owned)).chain(&[String::new()]).zip(
        // Every name meets an operation; which one does not matter to the rule.
        whole.iter().cycle(),
    ) {
        let request = scene.submit(&with(job, "username", name.as_str()));
        let case = Case::faulty(format!("username {name:.30?}"), request, &["username"]);
        cases.push(case.hides_texts_of(&json!(if RESERVED.contains(&name.as_str()) { "" } else { name })));
    }
    // A digit may begin neither a role nor, therefore, a part that begins one.
    for name in
        hostile().into_iter().chain([String::new(), "1abc".to_owned(), "pg_".to_owned(), "a".repeat(59)])
    {
        let request = scene.submit(&with(&scene.app(), "servername", name.as_str()));
        let case = Case::faulty(format!("servername {name:.30?}"), request, &["servername"]);
        cases.push(case.hides_texts_of(&json!(name)));
        if name != "1abc" && name != "pg_" && name != "-dash" && name != "--comment" && name.len() != 59 {
            let request = scene.submit(&with(&scene.k8s(), "farmname", name.as_str()));
            let field = if name.is_empty() { "farmname" } else { "env_prefix" };
            let case = Case::faulty(format!("farmname {name:.30?}"), request, &[field]);
            cases.push(case.hides_texts_of(&json!(name)));
        }
        let request = scene.submit(&with(&scene.k8s(), "env_prefix", name.as_str()));
        let case = Case::faulty(format!("env_prefix {name:.30?}"), request, &["env_prefix"]);
        cases.push(case.hides_texts_of(&json!(name)));
    }
    let pg = with(&with(&scene.k8s(), "env_prefix", "pg"), "farmname", "monitor");
    cases.push(Case::faulty("pg_monitor in two parts", scene.submit(&pg), &["env_prefix"]));
    cases.extend(schemas(scene));
    cases
}

fn schemas(scene: &Scene) -> Vec<Case> {
    let mut cases = Vec::new();
    let of = |schemas| scene.submit(&with(&scene.search_path(), "schemas", schemas));
    for list in [json!([]), json!(vec!["public"; 33]), json!("public"), json!("public, pg_catalog")] {
        cases.push(Case::faulty(format!("schemas {list:.30}"), of(list), &["schemas"]));
    }
    for name in
        hostile().into_iter().chain(["", "pg_toast", "a,b", "$USER", "\"$user\",public"].map(str::to_owned))
    {
        let case = Case::faulty(format!("schema {name:.30?}"), of(json!(["public", name])), &["schemas[1]"]);
        cases.push(case.hides_texts_of(&json!(name)));
    }
    let many = of(json!([1, "public", "A B", null]));
    cases.push(Case::faulty("each faulty schema", many, &["schemas[0]", "schemas[2]", "schemas[3]"]));
    cases
}
