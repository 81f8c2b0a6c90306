//! Brings the notification rules of the configuration to where the events are told.

use std::sync::Arc;
use std::time::Duration;

use rolecall_shared::control::RuleEndpoint;
use rolecall_shared::retry::Delays;

use super::actor;
use crate::Worker;

/// Once, when the control database answers.
pub(super) async fn run(worker: Arc<Worker>) {
    let rules: Vec<_> = worker
        .notifier
        .keys()
        .map(|(key, rule)| RuleEndpoint {
            key: key.to_string(),
            channel: key.channel,
            events: rule.events.iter().map(|event| event.as_str()).collect(),
            envs: rule.envs.iter().map(ToString::to_string).collect(),
            kinds: rule.kinds.iter().map(ToString::to_string).collect(),
        })
        .collect();
    let mut delays = Delays::full_jitter(Duration::from_millis(100), Duration::from_secs(5));
    while let Err(failure) = worker.control.set_rules(&rules, &actor(), worker.clock.now()).await {
        tracing::debug!(%failure, cause = failure.cause_chain(), "the rules of notifications are not known yet");
        tokio::time::sleep(delays.next_delay()).await;
    }
    if !rules.is_empty() {
        tracing::info!(rules = rules.len(), "notifications are told by these rules and channels");
    }
}
