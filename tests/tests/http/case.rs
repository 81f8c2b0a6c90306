//! One request that has to be refused, and how.

use std::collections::BTreeSet;

use reqwest::RequestBuilder;
use rolecall_tests::client::send;
use rolecall_tests::{Answer, Client};
use serde_json::Value;

/// Words that only a library of ours, the driver or the language would say.
const FOREIGN_WORDS: [&str; 14] = [
    "tokio",
    "serde",
    "axum",
    "hyper",
    "lapin",
    "deserialize",
    "panicked",
    "db error",
    "SqlState",
    "RUST_",
    ".rs:",
    "INSERT INTO",
    "SELECT ",
    "os error",
];

/// A request, the problem it must meet, and what must not be in the answer.
pub struct Case {
    name: String,
    request: RequestBuilder,
    status: u16,
    code: &'static str,
    fields: Option<Vec<String>>,
    hidden: Vec<String>,
}

impl Case {
    /// Expects a problem with this status and code, and no word about fields.
    pub fn new(name: impl Into<String>, request: RequestBuilder, status: u16, code: &'static str) -> Self {
        let (name, fields, hidden) = (name.into(), Some(Vec::new()), Vec::new());
        Self { name, request, status, code, fields, hidden }
    }

    /// Expects `invalid_request` with exactly these fields, in any order.
    pub fn faulty(name: impl Into<String>, request: RequestBuilder, fields: &[&str]) -> Self {
        let fields = fields.iter().map(ToString::to_string).collect();
        Self { fields: Some(fields), ..Self::new(name, request, 422, "invalid_request") }
    }

    /// The answer must not repeat this.
    pub fn hides(mut self, text: impl Into<String>) -> Self {
        self.hidden.push(text.into());
        self
    }

    /// The answer must not repeat any longer text in this value.
    pub fn hides_texts_of(self, value: &Value) -> Self {
        match value {
            // Shorter ones stand in ordinary English by chance.
            Value::String(text) if text.len() >= 6 => self.hides(text),
            Value::Array(items) => items.iter().fold(self, Self::hides_texts_of),
            Value::Object(map) => map.values().fold(self, Self::hides_texts_of),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => self,
        }
    }

    /// Sends it and tells what is wrong with the answer.
    async fn judge(self, documented: &BTreeSet<String>) -> Result<(), String> {
        let answer = send(self.request).await;
        let faults = judge_problem(&answer, self.status, self.code, documented);
        let mut faults: Vec<String> = faults.into_iter().collect();
        if let Some(mut expected) = self.fields {
            let mut found = answer.faulty_fields();
            found.sort_unstable();
            expected.sort_unstable();
            if found != expected {
                faults.push(format!("the faulty fields are {found:?} and not {expected:?}"));
            }
        }
        let text = answer.body.to_string();
        for hidden in self.hidden {
            // As it would stand within a text of JSON.
            let quoted = Value::String(hidden).to_string();
            if text.contains(&quoted[1..quoted.len() - 1]) {
                faults.push(format!("the answer repeats {quoted}"));
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(format!("{}: {}\n{answer}", self.name, faults.join("; ")))
        }
    }
}

/// What is wrong with a problem as such: status, code, form, headers, foreign words.
pub fn judge_problem(answer: &Answer, status: u16, code: &str, documented: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    if !answer.is_problem(status, code) {
        faults.push(format!("it is not the problem {status} {code}"));
    }
    if !documented.contains(answer.find("code").unwrap_or_default()) {
        faults.push("its code is not in the OpenAPI document".to_owned());
    }
    let has = |name: &str| answer.headers.contains_key(name);
    for (header, expected) in [
        ("www-authenticate", answer.status == 401),
        ("allow", answer.status == 405),
        ("retry-after", answer.body["retry"] == true),
        ("x-request-id", true),
    ] {
        if has(header) != expected {
            faults.push(format!("the header {header} {}", if expected { "is missing" } else { "is there" }));
        }
    }
    if answer.header("cache-control") != Some("no-store") {
        faults.push("it may be cached".to_owned());
    }
    let text = answer.body.to_string();
    faults.extend(
        FOREIGN_WORDS.iter().filter(|word| text.contains(**word)).map(|word| format!("it says {word:?}")),
    );
    faults
}

/// Sends all of them and panics with everything that is wrong.
pub async fn judge_all(cases: Vec<Case>, documented: &BTreeSet<String>) {
    let count = cases.len();
    let mut faults = Vec::new();
    for case in cases {
        faults.extend(case.judge(documented).await.err());
    }
    assert!(faults.is_empty(), "{} of {count} cases:\n\n{}", faults.len(), faults.join("\n\n"));
}

/// The codes of problems that the OpenAPI document promises.
pub async fn documented_codes(client: &Client) -> BTreeSet<String> {
    let document = client.get("/openapi.json").await.expect(200);
    let codes = document.list("components.schemas.ProblemCode.enum");
    codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}
