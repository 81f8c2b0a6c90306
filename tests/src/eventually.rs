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
    let mut pauses = Pauses::new(deadline);
    loop {
        if let Some(answer) = probe().await {
            return Some(answer);
        }
        if !pauses.next().await {
            return None;
        }
    }
}

/// The pauses between one question and the next, for a loop of one's own.
#[derive(Debug)]
pub struct Pauses {
    until: Instant,
    next: Duration,
}

impl Pauses {
    /// From now until the deadline.
    pub fn new(deadline: Duration) -> Self {
        Self { until: Instant::now() + deadline, next: Duration::from_millis(5) }
    }

    /// Waits, longer each time; false, at once, when the deadline has passed.
    pub async fn next(&mut self) -> bool {
        if Instant::now() >= self.until {
            return false;
        }
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(Duration::from_millis(100));
        true
    }
}

/// Waits for a moment of the clock: where the pause itself is what is tested, such as a machine that stands still for
/// so long. For everything else there is a condition to wait for.
pub async fn moment(at: Instant) {
    tokio::time::sleep_until(at.into()).await;
}
