//! How many of the expensive requests run at once; over it is refused at once, or stands in line for a limited time where
//! the caller knows no second try.

use std::sync::Arc;

use rolecall_shared::config;
use rolecall_shared::domain::{Code, Failure};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// The limits of one process.
#[derive(Debug)]
pub(crate) struct Limits {
    target_reads: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    works: Semaphore,
}

/// How many synchronous calls ask our own servers at once; the others stand in line meanwhile, or wait for their jobs.
/// Hundreds that come at one moment would make each other's questions time out.
const AT_WORK: usize = 32;

const MANY_READS: &str = "Too many targets are being read at once.";

impl Limits {
    pub(crate) fn new(settings: &config::Api) -> Self {
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Self {
            target_reads: semaphore(settings.target_reads),
            streams: semaphore(settings.max_waiting_streams),
            works: Semaphore::new(AT_WORK),
        }
    }

    /// The right to open one session on a target (`api.target_reads`).
    pub(crate) fn target_read(&self) -> Result<OwnedSemaphorePermit, Failure> {
        take(&self.target_reads, MANY_READS)
    }

    /// The same for callers who know no second try: when it is their turn; not after `end`. Who has to stand in line
    /// takes a place among those who wait meanwhile. Nobody passes the line: what comes free is given to its first.
    pub(crate) async fn target_read_in_turn(&self, end: Instant) -> Result<OwnedSemaphorePermit, Failure> {
        if let Ok(free) = self.target_read() {
            return Ok(free);
        }
        let _place = self.stream()?;
        in_turn(end, Arc::clone(&self.target_reads).acquire_owned(), MANY_READS).await
    }

    /// The right to wait for a ticket or to watch one (`api.max_waiting_streams`).
    pub(crate) fn stream(&self) -> Result<OwnedSemaphorePermit, Failure> {
        take(&self.streams, "Too many requests wait for tickets at once.")
    }

    /// The right of a synchronous call to ask our own servers, when it is its turn; not after `end`.
    pub(crate) async fn work(&self, end: Instant) -> Result<SemaphorePermit<'_>, Failure> {
        in_turn(end, self.works.acquire(), "Too many calls at once.").await
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

async fn in_turn<T>(
    end: Instant,
    turn: impl Future<Output = Result<T, AcquireError>>,
    detail: &str,
) -> Result<T, Failure> {
    let turn = tokio::time::timeout_at(end, turn).await;
    turn.ok().and_then(Result::ok).ok_or_else(|| Failure::new(Code::TooManyRequests, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Limits { target_reads: semaphore(1), streams: semaphore(0), works: Semaphore::new(AT_WORK) }
    }

    #[tokio::test(start_paused = true)]
    async fn who_works_waits_for_his_turn_and_not_for_ever() {
        let limits = limits();
        let end = Instant::now() + std::time::Duration::from_secs(25);
        let mut held = Vec::new();
        for _ in 0..AT_WORK {
            held.push(limits.work(end).await.unwrap());
        }
        assert_eq!(limits.work(end).await.unwrap_err().code(), Code::TooManyRequests);
        assert_eq!(Instant::now(), end);
        held.pop();
        assert!(limits.work(end + std::time::Duration::from_secs(1)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_in_turn_waits_and_not_for_ever() {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        let end = Instant::now() + std::time::Duration::from_secs(25);
        assert!(limits().target_read_in_turn(end).await.is_ok(), "who need not wait takes no place");
        let limits = Limits { streams: semaphore(1), ..limits() };
        let held = limits.target_read().unwrap();
        let (first, second) = tokio::join!(limits.target_read_in_turn(end), limits.target_read_in_turn(end));
        assert_eq!(first.unwrap_err().code(), Code::TooManyRequests);
        assert_eq!(second.unwrap_err().code(), Code::TooManyRequests, "there is one place to wait");
        assert_eq!(Instant::now(), end);
        drop(held);
        assert!(limits.target_read_in_turn(end + std::time::Duration::from_secs(1)).await.is_ok());
        assert_eq!(limits.streams_taken(), 0);
    }

    #[test]
    fn the_limit_holds_and_a_place_comes_back() {
        let limits = limits();
        let held = limits.target_read().unwrap();
        assert_eq!(limits.target_read().unwrap_err().code(), Code::TooManyRequests);
        drop(held);
        assert!(limits.target_read().is_ok());
        assert_eq!(limits.stream().unwrap_err().code(), Code::TooManyRequests);
    }
}
