//! Waiting for a condition.

use std::time::{Duration, Instant};

/// Asks until the answer is there, and returns it. `what` ends the sentence "waited for" when it never is.
#[track_caller]
pub fn eventually<T>(
    what: &str,
    deadline: Duration,
    probe: impl AsyncFnMut() -> Option<T>,
) -> impl Future<Output = T> {
    // Not an `async fn`, so that a panic names the line of the test.
    let caller = std::panic::Location::caller();
    async move {
        let found = within(deadline, probe).await;
        found.unwrap_or_else(|| panic!("{caller}: waited {deadline:?} in vain for {what}"))
    }
}

/// Asks until the answer is there; none when the deadline passed first. Asks at least once.
pub async fn within<T>(deadline: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(answer) = probe().await {
            return Some(answer);
        }
        if start.elapsed() >= deadline {
            return None;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}
