//! A notifier with a configuration of a test's own, in this process.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rolecall_shared::config::{self, Notify};
use rolecall_shared::domain::{Clock, Failure, SystemClock};
use rolecall_shared::notify::{Notifier, Told};
use rolecall_shared::outbound::{Attempt, Outbound, SystemLookup, TargetHosts};
use rolecall_shared::seal::MessageId;
use serde_json::{Value, json};

/// How long an attempt may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

struct NoTargets;

#[async_trait]
impl TargetHosts for NoTargets {
    async fn hostnames(&self) -> Result<Vec<String>, Failure> {
        Ok(Vec::new())
    }
}

/// From the text of `rolecall.toml`.
pub(crate) fn notifier(text: &str) -> Notifier {
    notifier_within(text, TIMEOUT)
}

pub(crate) fn notifier_within(text: &str, timeout: Duration) -> Notifier {
    // Another test of this process may have been faster.
    _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("rolecall.toml");
    std::fs::write(&file, text).expect("a file can be written");
    let notify = Notify::load(Some(file.as_path())).expect("a good configuration");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let rules = config::Outbound {
        allow_http: false,
        allowed_networks: Vec::new(),
        refused_networks: Vec::new(),
        ca_file: None,
    };
    let outbound = |rules: &config::Outbound| {
        Outbound::new(rules, Vec::new(), Arc::new(NoTargets), Arc::new(SystemLookup), Arc::clone(&clock))
            .expect("a client")
    };
    Notifier::new(&notify, outbound(&rules), outbound(&rules.opened()), Arc::clone(&clock), timeout)
}

/// A channel named `room` and a rule named `all` for it.
pub(crate) fn with_rule(channel: &str, rule: &str) -> String {
    format!(
        "[notify.channels.room]\n{channel}\n[notify.rules.all]\nevents = ['*']\nchannels = ['room']\n{rule}\n"
    )
}

pub(crate) fn id() -> MessageId {
    MessageId::parse("msg_0190b7a0").expect("an id")
}

/// A failed ticket of this role.
pub(crate) fn event(role: &str) -> String {
    body(
        "ticket.failed",
        &json!({
            "ticket": "0190b7a0-0000-7000-8000-000000000000",
            "ticket_url": "https://rolecall.example.com/api/v2/tickets/0190b7a0-0000-7000-8000-000000000000",
            "sequence": 1, "state": "failed", "code": "role_not_found", "operation": "reset_password", "kind": "app",
            "role": role, "env": "prod", "database": "orders", "host": "db1.example.com:5432", "account": "ada",
        }),
    )
}

pub(crate) fn body(event: &str, data: &Value) -> String {
    json!({ "type": event, "timestamp": "2026-11-28T10:00:00.000000Z", "data": data }).to_string()
}

/// Delivers a failed ticket of this role to the room.
pub(crate) async fn deliver(notifier: &Notifier, role: &str) -> Attempt {
    notifier.deliver("all/room", &id(), &event(role)).await
}

pub(crate) async fn test(notifier: &Notifier) -> Told {
    notifier.test("room", &id()).await.expect("a channel")
}
