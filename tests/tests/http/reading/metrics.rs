//! `/metrics`: `OpenMetrics` as its specification has it, with the promised families, and counters that count.

use std::collections::BTreeMap;

use reqwest::Client;
use rolecall_tests::client::send;
use rolecall_tests::{Running, eventually};

use serde_json::json;

use crate::{PATIENCE, closed_port, create, dba, own_login};

/// The promised families and their types.
const FAMILIES: [(&str, &str); 15] = [
    ("rolecall_build", "info"),
    ("rolecall_http_requests", "counter"),
    ("rolecall_http_request_duration_seconds", "histogram"),
    ("rolecall_jobs_submitted", "counter"),
    ("rolecall_jobs_refused", "counter"),
    ("rolecall_secrets_taken", "counter"),
    ("rolecall_jobs_settled", "counter"),
    ("rolecall_job_duration_seconds", "histogram"),
    ("rolecall_audit_checkpoints", "counter"),
    ("rolecall_batches", "counter"),
    ("rolecall_batch_size", "histogram"),
    ("rolecall_lane_turns", "counter"),
    ("rolecall_host_failures", "counter"),
    ("rolecall_dependency_up", "gauge"),
    ("rolecall_webhooks_pending", "gauge"),
];

/// A scrape: the types of the families, and the value of each series.
struct Scrape {
    types: BTreeMap<String, String>,
    series: BTreeMap<String, f64>,
}

impl Scrape {
    async fn of(url: &str) -> Self {
        let http = Client::builder().no_proxy().build().unwrap();
        let answer = send(http.get(format!("{url}/metrics"))).await.expect(200);
        let kind = answer.header("content-type").unwrap();
        assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
        Self::parse(answer.body.as_str().unwrap())
    }

    /// The grammar, as far as we use it; panics at the first line that breaks it.
    fn parse(text: &str) -> Self {
        let (mut types, mut series) = (BTreeMap::new(), BTreeMap::new());
        let body = text.strip_suffix("# EOF\n").expect("it ends with # EOF and a line feed");
        for line in body.lines() {
            if let Some(rest) = line.strip_prefix("# ") {
                let mut words = rest.splitn(3, ' ');
                let (keyword, name, value) =
                    (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
                match keyword {
                    "HELP" => {}
                    "TYPE" => {
                        assert!(types.insert(name.to_owned(), value.to_owned()).is_none(), "{name} twice");
                    }
                    "UNIT" => assert!(name.ends_with(&format!("_{value}")), "{line}"),
                    _ => panic!("no keyword of OpenMetrics: {line}"),
                }
                continue;
            }
            let (id, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
            let name = id.split('{').next().unwrap();
            assert!(id == name || id.ends_with('}'), "{line}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{line}"
            );
            assert!(belongs(name, &types), "{name} belongs to no family that was declared before");
            assert!(series.insert(id.to_owned(), value).is_none(), "{id} twice");
        }
        Self { types, series }
    }

    /// Zero for a series that nobody has moved yet.
    fn value(&self, id: &str) -> f64 {
        self.series.get(id).copied().unwrap_or_default()
    }
}

/// Each type has its own endings.
fn belongs(name: &str, types: &BTreeMap<String, String>) -> bool {
    let endings = |kind: &str| match kind {
        "counter" => &["_total"][..],
        "histogram" => &["_bucket", "_sum", "_count"],
        "info" => &["_info"],
        "gauge" => &[""],
        other => panic!("no type of ours: {other}"),
    };
    types.iter().any(|(family, kind)| {
        name.strip_prefix(family.as_str()).is_some_and(|ending| endings(kind).contains(&ending))
    })
}

#[tokio::test]
async fn counters_count_what_was_done_and_nothing_else() {
    let rolecall = Running::start("metrics").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let urls = [rolecall.api.url(), rolecall.worker.url()];
    let [api, worker] = [Scrape::of(&urls[0]).await, Scrape::of(&urls[1]).await];
    for scrape in [&api, &worker] {
        for dependency in ["rabbitmq", "redis", "control"] {
            let id = format!("rolecall_dependency_up{{dependency=\"{dependency}\"}}");
            assert!((scrape.value(&id) - 1.0).abs() < f64::EPSILON, "{id}");
        }
    }

    a_host_is_in_trouble(&rolecall).await;
    let created = client.run(&create(target, &rolecall.role("ada"))).await.expect_outcome("created");
    client.run(&create(target, &rolecall.role("ada"))).await.expect_outcome("already_exists");
    client.take_secret(&created.id()).await.expect(200);
    client.take_secret(&created.id()).await.expect_problem(410, "secret_taken");
    client.submit(&create(target, "JSmith")).await.expect_problem(422, "invalid_request");
    for path in ["/no/such/path/1", "/no/such/path/2"] {
        client.get(path).await.expect(404);
    }

    // An answer may be read a moment before it is counted.
    let ticket =
        "rolecall_http_requests_total{method=\"POST\",route=\"/api/v2/tickets/{id}/secret\",status=\"410\"}";
    let after = eventually("the last requests to be counted", PATIENCE, async || {
        let after = Scrape::of(&urls[0]).await;
        let unknown = "rolecall_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"}";
        (after.value(unknown) - api.value(unknown) >= 2.0 && after.value(ticket) >= 1.0).then_some(after)
    })
    .await;
    for (id, more) in [
        ("rolecall_jobs_submitted_total{operation=\"create_role\"}", 2.0),
        ("rolecall_jobs_refused_total{code=\"invalid_request\"}", 1.0),
        ("rolecall_secrets_taken_total", 1.0),
        (ticket, 1.0),
        ("rolecall_http_requests_total{method=\"POST\",route=\"/api/v2/jobs\",status=\"422\"}", 1.0),
    ] {
        assert!((after.value(id) - api.value(id) - more).abs() < f64::EPSILON, "{id} is {}", after.value(id));
    }
    assert!(
        !after.series.keys().any(|id| id.contains("such") || id.contains(&created.id())),
        "paths are no labels"
    );

    let settled = eventually("the worker to have counted", PATIENCE, async || {
        let scrape = Scrape::of(&urls[1]).await;
        (scrape.value("rolecall_job_duration_seconds_count") >= 2.0).then_some(scrape)
    })
    .await;
    for outcome in ["created", "already_exists"] {
        let id = format!("rolecall_jobs_settled_total{{operation=\"create_role\",outcome=\"{outcome}\"}}");
        assert!((settled.value(&id) - worker.value(&id) - 1.0).abs() < f64::EPSILON, "{id}");
    }
    // A family shows with its first series.
    let types = |scrape: &Scrape| scrape.types.clone().into_iter().collect::<Vec<_>>();
    let families: BTreeMap<_, _> = types(&after).into_iter().chain(types(&settled)).collect();
    let promised = FAMILIES.map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    assert_eq!(families, BTreeMap::from(promised));
}

async fn a_host_is_in_trouble(rolecall: &Running) {
    let [user, password] = dba(rolecall);
    let dead = json!({ "hostname": "127.0.0.1", "port": closed_port(), "login": own_login(user, password) });
    rolecall.client.put_target("qa", "dead", &dead).await.expect(201);
    let job = json!({ "operation": "reset_password", "env": "qa", "database": "dead", "username": "ada" });
    rolecall.client.submit(&job).await.expect(202);
    eventually("the failure to be counted", PATIENCE, async || {
        let scrape = Scrape::of(&rolecall.worker.url()).await;
        let failures = scrape.value("rolecall_host_failures_total{code=\"target_unreachable\"}");
        (failures >= 1.0).then_some(())
    })
    .await;
}
