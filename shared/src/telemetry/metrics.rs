//! Every metric, on one page: name, labels, buckets, and the method that moves it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{
    Dependency, OfAttempt, OfCode, OfDependency, OfOperation, Request, Route, Settled, TurnEnded,
};
use crate::domain::{Code, Operation, ticket::Ending};

/// The media type of what [`Metrics::encode`] returns (`OpenMetrics` 1.0).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds; long polls last up to 50.
const REQUEST_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 20.0, 60.0];

/// Seconds; a job may wait for a host until its deadline, 15 minutes by default.
const JOB_BUCKETS: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0, 900.0, 3600.0];

/// Jobs; a batch has at most 64.
const BATCH_BUCKETS: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// The methods that are told apart (RFC 9110, section 9, and RFC 5789).
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The metrics of a process; clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    requests: Family<Request, Counter>,
    request_duration: Family<Route, Histogram, fn() -> Histogram>,
    submitted: Family<OfOperation, Counter>,
    refused: Family<OfCode, Counter>,
    settled: Family<Settled, Counter>,
    job_duration: Histogram,
    batches: Counter,
    batch_size: Histogram,
    turns: Family<TurnEnded, Counter>,
    host_failures: Family<OfCode, Counter>,
    dependency_up: Family<OfDependency, Gauge>,
    secrets_taken: Counter,
    audit_checkpoints: Counter,
    webhook_attempts: Family<OfAttempt, Counter>,
    webhooks_pending: Gauge,
}

impl Metrics {
    /// All at zero; `version` stands in `rolecall_build_info`.
    pub fn new(version: &str) -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("rolecall"),
            requests: Family::default(),
            request_duration: Family::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS)),
            submitted: Family::default(),
            refused: Family::default(),
            settled: Family::default(),
            job_duration: Histogram::new(JOB_BUCKETS),
            batches: Counter::default(),
            batch_size: Histogram::new(BATCH_BUCKETS),
            turns: Family::default(),
            host_failures: Family::default(),
            dependency_up: Family::default(),
            secrets_taken: Counter::default(),
            audit_checkpoints: Counter::default(),
            webhook_attempts: Family::default(),
            webhooks_pending: Gauge::default(),
        };
        inner.register_intake();
        inner.register_work();
        inner.register_webhooks();
        let version = Info::new(vec![("version", version.to_owned())]);
        inner.registry.register("build", "The version that runs", version);
        Self(Arc::new(inner))
    }

    /// An HTTP request was answered. `route` is the pattern of the mount, or a fixed word where none matched.
    pub fn request(&self, route: &str, method: &str, status: u16, took: Duration) {
        let inner = &self.0;
        // A client may send any token as the method.
        let method = METHODS.iter().find(|known| **known == method).copied().unwrap_or("other");
        inner.requests.get_or_create(&Request { method, route: route.to_owned(), status }).inc();
        inner.request_duration.get_or_create(&Route { route: route.to_owned() }).observe(took.as_secs_f64());
    }

    /// A job was accepted.
    pub fn job_submitted(&self, operation: &Operation) {
        self.0.submitted.get_or_create(&OfOperation { operation: operation.name() }).inc();
    }

    /// A job was refused at the door.
    pub fn job_refused(&self, code: Code) {
        self.0.refused.get_or_create(&OfCode { code: code.as_str() }).inc();
    }

    /// A job ended, so long after it was submitted.
    pub fn job_settled(&self, operation: &Operation, ending: &Ending, since_submit: Duration) {
        let labels = Settled { operation: operation.name(), outcome: ending.word() };
        self.0.settled.get_or_create(&labels).inc();
        self.0.job_duration.observe(since_submit.as_secs_f64());
    }

    /// A batch was run on a host.
    pub fn batch_run(&self, jobs: usize) {
        self.0.batches.inc();
        // A batch is at most 64 jobs; `u32` holds any and converts without loss.
        self.0.batch_size.observe(f64::from(u32::try_from(jobs).unwrap_or(u32::MAX)));
    }

    /// A lane let its host go, with the reason in one word of the code.
    pub fn turn_ended(&self, ended: &'static str) {
        self.0.turns.get_or_create(&TurnEnded { ended }).inc();
    }

    /// A host could not be worked on. Which one is in the log and on `/api/v2/hosts`: hosts come and go, and each
    /// would leave its time series behind.
    pub fn host_failed(&self, code: Code) {
        self.0.host_failures.get_or_create(&OfCode { code: code.as_str() }).inc();
    }

    /// One of our own servers was found up or down.
    pub fn dependency_found(&self, dependency: Dependency, is_up: bool) {
        let labels = OfDependency { dependency: dependency.as_str() };
        self.0.dependency_up.get_or_create(&labels).set(i64::from(is_up));
    }

    /// A secret left.
    pub fn secret_taken(&self) {
        self.0.secrets_taken.inc();
    }

    /// A checkpoint of the audit was signed.
    pub fn checkpoint_signed(&self) {
        self.0.audit_checkpoints.inc();
    }

    /// An attempt at telling a receiver is over, with what follows in one word of the code.
    pub fn webhook_attempted(&self, outcome: &'static str) {
        self.0.webhook_attempts.get_or_create(&OfAttempt { outcome }).inc();
    }

    /// So many events wait for their receivers.
    pub fn webhooks_pending(&self, count: u64) {
        self.0.webhooks_pending.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// All of them as `OpenMetrics` text, for [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let mut text = String::new();
        match encode(&mut text, &self.0.registry) {
            Ok(()) => text,
            // Writing to a `String` cannot fail; half a page would be read as metrics gone to zero.
            Err(fmt::Error) => String::new(),
        }
    }
}

impl Inner {
    fn register_intake(&mut self) {
        let registry = &mut self.registry;
        registry.register("http_requests", "HTTP requests answered", self.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "From a request's head to its answer's head",
            Unit::Seconds,
            self.request_duration.clone(),
        );
        registry.register("jobs_submitted", "Jobs accepted", self.submitted.clone());
        registry.register(
            "jobs_refused",
            "Jobs refused at the door, by the code of the answer",
            self.refused.clone(),
        );
        registry.register("secrets_taken", "Passwords handed out", self.secrets_taken.clone());
        registry.register(
            "dependency_up",
            "Whether one of our own servers answered when it was last asked",
            self.dependency_up.clone(),
        );
    }

    fn register_webhooks(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "webhook_attempts",
            "Attempts at telling a receiver, by what follows: delivered, again, given_up, postponed",
            self.webhook_attempts.clone(),
        );
        registry.register(
            "webhooks_pending",
            "Events that wait for receivers that are active, when it was last looked; every worker says the same",
            self.webhooks_pending.clone(),
        );
    }

    fn register_work(&mut self) {
        let registry = &mut self.registry;
        registry.register("jobs_settled", "Jobs ended, by outcome or code", self.settled.clone());
        registry.register_with_unit(
            "job_duration",
            "From submitting a job to its end, waiting included",
            Unit::Seconds,
            self.job_duration.clone(),
        );
        registry.register("batches", "Batches run on hosts", self.batches.clone());
        registry.register("batch_size", "Jobs in a batch", self.batch_size.clone());
        let help = "Checkpoints of the audit that were signed";
        registry.register("audit_checkpoints", help, self.audit_checkpoints.clone());
        registry.register("lane_turns", "Turns of lanes, by what ended them", self.turns.clone());
        registry.register(
            "host_failures",
            "Times a host could not be worked on, by code",
            self.host_failures.clone(),
        );
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::RoleName;

    #[test]
    fn every_family_is_there_under_its_promised_name() {
        let metrics = Metrics::new("1.2.3");
        let operation = Operation::ResetPassword { role: RoleName::from_stored("a").unwrap() };
        metrics.request("/api/v2/tickets/{id}", "GET", 200, Duration::from_millis(3));
        metrics.request("none", "BREW", 404, Duration::from_millis(3));
        metrics.job_submitted(&operation);
        metrics.job_refused(Code::UnknownKind);
        metrics.job_settled(&operation, &Ending::Expired, Duration::from_secs(2));
        metrics.batch_run(5);
        metrics.turn_ended("empty");
        metrics.host_failed(Code::TargetUnreachable);
        metrics.dependency_found(Dependency::Broker, true);
        metrics.dependency_found(Dependency::ControlDatabase, false);
        metrics.secret_taken();
        metrics.webhook_attempted("delivered");
        metrics.webhooks_pending(7);
        let text = metrics.encode();
        let expired = Ending::Expired.word();
        for line in [
            "rolecall_http_requests_total{method=\"GET\",route=\"/api/v2/tickets/{id}\",status=\"200\"} 1",
            "rolecall_http_requests_total{method=\"other\",route=\"none\",status=\"404\"} 1",
            "rolecall_http_request_duration_seconds_bucket{le=\"0.005\",route=\"/api/v2/tickets/{id}\"} 1",
            "rolecall_jobs_submitted_total{operation=\"reset_password\"} 1",
            "rolecall_jobs_refused_total{code=\"unknown_kind\"} 1",
            &format!("rolecall_jobs_settled_total{{operation=\"reset_password\",outcome=\"{expired}\"}} 1"),
            "rolecall_job_duration_seconds_sum 2.0",
            "rolecall_batches_total 1",
            "rolecall_batch_size_bucket{le=\"8.0\"} 1",
            "rolecall_lane_turns_total{ended=\"empty\"} 1",
            "rolecall_host_failures_total{code=\"target_unreachable\"} 1",
            "rolecall_dependency_up{dependency=\"rabbitmq\"} 1",
            "rolecall_dependency_up{dependency=\"control\"} 0",
            "rolecall_secrets_taken_total 1",
            "rolecall_webhook_attempts_total{outcome=\"delivered\"} 1",
            "rolecall_webhooks_pending 7",
            "rolecall_build_info{version=\"1.2.3\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn clones_share_their_counts() {
        let metrics = Metrics::new("0");
        metrics.clone().secret_taken();
        assert!(metrics.encode().contains("rolecall_secrets_taken_total 1"));
    }
}
