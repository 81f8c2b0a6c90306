//! Deadlines and labels, at their limits and beyond; names at theirs.

use rolecall_tests::Answer;
use serde_json::{Map, Value, json};

use super::Scene;
use crate::case::Case;
use crate::{host, with};

pub fn cases(scene: &Scene) -> Vec<Case> {
    let mut cases = deadlines(scene);
    cases.extend(labels(scene));
    cases
}

fn deadlines(scene: &Scene) -> Vec<Case> {
    let long = "1".repeat(65);
    let values = [
        json!(0),
        json!(-1),
        json!(86_401),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e30),
        json!(1.5),
        json!(true),
        json!([]),
        json!({}),
        json!(""),
        json!("0s"),
        json!("0"),
        json!("-15m"),
        json!("-1s"),
        json!("24h1s"),
        json!("86400001ms"),
        json!("garbage"),
        json!("15"),
        json!("15 bananas"),
        json!("15m\0"),
        json!("1d"),
        json!("9999999999999h"),
        json!("1 year"),
        json!("P1Y"),
        json!(long),
    ];
    let of = |value: &Value| scene.submit(&with(&scene.devqa(), "deadline", value.clone()));
    let case = |value: &Value| {
        Case::faulty(format!("deadline {value}"), of(value), &["deadline"]).hides_texts_of(value)
    };
    values.iter().map(case).collect()
}

fn many_labels(count: usize, key_bytes: usize, value_bytes: usize) -> Value {
    let label = |n: usize| (format!("{n:0>key_bytes$}"), Value::from("v".repeat(value_bytes)));
    Value::Object((0..count).map(label).collect::<Map<_, _>>())
}

fn labels(scene: &Scene) -> Vec<Case> {
    let of = |labels: Value| scene.submit(&with(&scene.devqa(), "metadata", labels));
    let mut cases = Vec::new();
    for labels in [json!([]), json!("pipeline"), json!(5), json!(true), many_labels(17, 2, 1)] {
        cases.push(Case::faulty(format!("metadata {labels:.30}"), of(labels), &["metadata"]));
    }
    let long = "k".repeat(65);
    for key in ["", "key\0key", "new\nline", "\u{85}next-line", &long] {
        let case = Case::faulty(format!("the label {key:?}"), of(json!({ key: "v" })), &["metadata"]);
        cases.push(if key.is_empty() { case } else { case.hides(key) });
        cases.push(Case::faulty(format!("{key:?} and 5"), of(json!({ key: 5 })), &["metadata"]));
    }
    for value in [
        json!("v".repeat(257)),
        json!("a\0bcdef"),
        json!("new\nline"),
        json!(5),
        json!([]),
        json!({}),
        json!(null),
        json!("é".repeat(129)),
    ] {
        let case = Case::faulty(
            format!("a label of {value}"),
            of(json!({ "pipeline": value })),
            &["metadata.pipeline"],
        );
        cases.push(case.hides_texts_of(&value));
    }
    let hostile = "x'; DROP ROLE ada; --";
    let case = Case::faulty("a hostile key", of(json!({ hostile: 5 })), &["metadata.(a name of 21 bytes)"]);
    cases.push(case.hides(hostile));
    cases
}

/// What is just within each limit is accepted, and comes back as it was sent.
pub async fn what_is_within_is_accepted(scene: &Scene) {
    let accept = async |job: Value| -> Answer { scene.client.submit(&job).await.expect(202) };
    let devqa = scene.devqa();
    let before = waiting(scene).await;

    let full = "a".repeat(63);
    for (job, role) in [
        (with(&devqa, "username", full.as_str()), full.clone()),
        (with(&devqa, "username", "_"), "_".to_owned()),
        (with(&devqa, "username", "web-01.eu_8080"), "web-01.eu_8080".to_owned()),
        (with(&devqa, "username", "select"), "select".to_owned()),
        (with(&devqa, "username", "a$b@c"), "a$b@c".to_owned()),
        (with(&scene.app(), "servername", "a".repeat(58)), format!("{}_8080", "a".repeat(58))),
        (with(&scene.app(), "port", 65_535), "web01_65535".to_owned()),
        (with(&scene.app(), "port", 1), "web01_1".to_owned()),
        (with(&scene.k8s(), "farmname", "f".repeat(60)), format!("dv_{}", "f".repeat(60))),
    ] {
        assert_eq!(accept(job).await.text("role"), role);
    }
    let schemas: Vec<_> = std::iter::repeat_n("a".repeat(63), 32).collect();
    accept(with(&scene.search_path(), "schemas", json!(schemas))).await;
    accept(with(&scene.search_path(), "schemas", json!(["$user", "\"$user\"", "public", "pg_catalog"])))
        .await;

    let labels = many_labels(16, 64, 256);
    assert_eq!(*accept(with(&devqa, "metadata", labels.clone())).await.at("metadata"), labels);
    let labels = json!({ "ключ": "значение 🦀", "x'; --": "\"quotes\" and \\ and ;" });
    assert_eq!(*accept(with(&devqa, "metadata", labels.clone())).await.at("metadata"), labels);

    for (deadline, seconds) in
        [(json!("24h"), 86_400), (json!(86_400), 86_400), (json!("900s"), 900), (json!("1h 30m"), 5400)]
    {
        let answer = accept(with(&devqa, "deadline", deadline)).await;
        let [from, to] =
            ["submitted_at", "deadline_at"].map(|at| answer.text(at).parse::<jiff::Timestamp>().unwrap());
        assert_eq!(from.duration_until(to).as_secs(), seconds);
    }
    assert_eq!(waiting(scene).await, before + 17);
}

/// How many jobs wait for the paused host.
pub async fn waiting(scene: &Scene) -> u64 {
    host(&scene.client, &scene.target.host()).await["backlog"].as_u64().unwrap()
}
