//! How many jobs may wait for one host.
//!
//! The broker's own net (`x-max-length`) cannot be changed on a living queue, so the configured limit is the
//! intake's, on a passive count. The count is kept for 200 ms per host and what this process accepts meanwhile is
//! added to it, so that a burst costs one question and overshoots by little: other processes of the intake each
//! have a window of their own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rolecall_shared::domain::{Code, Failure, HostKey};
use rolecall_shared::queue::Queue;
use tokio::time::Instant;

const FRESH: Duration = Duration::from_millis(200);
/// Above this many hosts, those whose count is stale are forgotten.
const KEPT_HOSTS: usize = 4096;

/// The last count of each host.
#[derive(Debug)]
pub(crate) struct Backlog {
    limit: u64,
    timeout: Duration,
    hosts: Mutex<HashMap<HostKey, Arc<tokio::sync::Mutex<Count>>>>,
}

#[derive(Debug, Default)]
struct Count {
    at: Option<Instant>,
    /// What the queue held, and what was let in since; none when the broker did not answer.
    waiting: Option<u64>,
}

impl Backlog {
    pub(crate) fn new(limit: u64, timeout: Duration) -> Self {
        Self { limit, timeout, hosts: Mutex::default() }
    }

    /// Lets one more job in, or fails with [`Code::HostBacklogFull`] (naming the host) or
    /// [`Code::BrokerUnavailable`].
    pub(crate) async fn admit(&self, queue: &dyn Queue, host: &HostKey) -> Result<(), Failure> {
        let count = self.count_of(host);
        // Held over the question: whoever comes meanwhile shares its answer, also a broker's silence.
        let mut count = count.lock().await;
        if count.at.is_none_or(|at| at.elapsed() >= FRESH) {
            let depth = tokio::time::timeout(self.timeout, queue.depth(host)).await;
            count.at = Some(Instant::now());
            count.waiting = match &depth {
                Ok(Ok(depth)) => Some(depth.messages),
                Ok(Err(_)) | Err(_) => None,
            };
            if let Ok(Err(failure)) = depth {
                return Err(failure);
            }
        }
        let Some(waiting) = count.waiting else {
            return Err(Failure::new(Code::BrokerUnavailable, "The message broker does not answer."));
        };
        if waiting >= self.limit {
            return Err(full(host, self.limit));
        }
        count.waiting = Some(waiting.saturating_add(1));
        Ok(())
    }

    fn count_of(&self, host: &HostKey) -> Arc<tokio::sync::Mutex<Count>> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if hosts.len() >= KEPT_HOSTS && !hosts.contains_key(host) {
            // Those in somebody's hands stay: forgetting one would let a second question go out beside the first.
            hosts.retain(|_, count| Arc::strong_count(count) > 1);
        }
        Arc::clone(hosts.entry(host.clone()).or_default())
    }
}

fn full(host: &HostKey, limit: u64) -> Failure {
    Failure::new(
        Code::HostBacklogFull,
        format!("{limit} jobs wait for the host {host} already; try again when some have run."),
    )
    .with_context(serde_json::json!({ "host": host, "limit": limit }))
    .retry_after(Duration::from_secs(5))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::fakes::FakeQueue;

    fn host(name: &str) -> HostKey {
        HostKey::new(name, 5432).unwrap()
    }

    #[tokio::test]
    async fn the_limit_counts_what_was_let_in_since_the_question() {
        let (backlog, queue) = (Backlog::new(5, Duration::from_secs(10)), FakeQueue::default());
        queue.set_depth(3);
        assert!(backlog.admit(&queue, &host("a")).await.is_ok());
        assert!(backlog.admit(&queue, &host("a")).await.is_ok());
        let failure = backlog.admit(&queue, &host("a")).await.unwrap_err();
        assert_eq!(failure.code(), Code::HostBacklogFull);
        assert!(failure.detail().contains("a:5432"));
        assert!(failure.retry_delay().is_some());
        assert_eq!(queue.asked(), 1);
        assert!(backlog.admit(&queue, &host("b")).await.is_ok(), "other hosts are not touched");
    }

    #[tokio::test]
    async fn a_silent_broker_is_asked_once_for_everybody() {
        let (backlog, queue) = (Backlog::new(5, Duration::from_secs(10)), FakeQueue::default());
        queue.break_down();
        for _ in 0..3 {
            let failure = backlog.admit(&queue, &host("a")).await.unwrap_err();
            assert_eq!(failure.code(), Code::BrokerUnavailable);
        }
        assert_eq!(queue.asked(), 1);
    }
}
