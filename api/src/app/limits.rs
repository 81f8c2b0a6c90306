//! How many of the expensive requests run at once; over it is refused at once and never queued.

use std::sync::Arc;

use rolecall_shared::config;
use rolecall_shared::domain::{Code, Failure};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The limits of one process.
#[derive(Debug)]
pub(crate) struct Limits {
    target_reads: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Limits {
    pub(crate) fn new(settings: &config::Api) -> Self {
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Self {
            target_reads: semaphore(settings.target_reads),
            streams: semaphore(settings.max_waiting_streams),
        }
    }

    /// The right to open one session on a target (`api.target_reads`).
    pub(crate) fn target_read(&self) -> Result<OwnedSemaphorePermit, Failure> {
        take(&self.target_reads, "Too many targets are being read at once.")
    }

    /// The right to wait for a ticket or to watch one (`api.max_waiting_streams`).
    pub(crate) fn stream(&self) -> Result<OwnedSemaphorePermit, Failure> {
        take(&self.streams, "Too many requests wait for tickets at once.")
    }

    /// How many wait now, where one may.
    #[cfg(test)]
    pub(crate) fn streams_taken(&self) -> usize {
        1 - self.streams.available_permits()
    }
}

fn take(semaphore: &Arc<Semaphore>, detail: &str) -> Result<OwnedSemaphorePermit, Failure> {
    Arc::clone(semaphore).try_acquire_owned().map_err(|_| Failure::new(Code::TooManyRequests, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_and_a_place_comes_back() {
        let limits =
            Limits { target_reads: Arc::new(Semaphore::new(1)), streams: Arc::new(Semaphore::new(0)) };
        let held = limits.target_read().unwrap();
        assert_eq!(limits.target_read().unwrap_err().code(), Code::TooManyRequests);
        drop(held);
        assert!(limits.target_read().is_ok());
        assert_eq!(limits.stream().unwrap_err().code(), Code::TooManyRequests);
    }
}
