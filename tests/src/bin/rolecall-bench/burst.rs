//! Many creates at once on one host.

use std::fmt;
use std::time::{Duration, Instant};

use rolecall_tests::Running;
use serde_json::json;

use crate::figures::Times;

/// What one burst came to.
#[derive(Debug, Clone)]
pub struct Burst {
    jobs: u32,
    /// Answers to the submits.
    answers: Times,
    accepted: Duration,
    ended: Duration,
}

impl Burst {
    /// From the first submit to the last end.
    pub fn jobs_per_second(&self) -> f64 {
        f64::from(self.jobs) / self.ended.as_secs_f64()
    }
}

/// Submits the jobs all at once, waits for each to end, and insists that each made its role.
///
/// # Panics
/// When one is refused, or does not end as `created`.
pub async fn run(rolecall: &Running, name: &str, jobs: u32) -> Burst {
    let target = rolecall.target(1);
    let start = Instant::now();
    let submits = (0..jobs).map(|number| {
        let job = json!({ "operation": "create_role", "kind": "devqa", "username": rolecall.role(&format!("{name}{number}")),
                          "env": "dev", "database": target.database });
        async move {
            let sent = Instant::now();
            let accepted = rolecall.client.submit(&job).await.expect(202);
            (accepted.id(), sent.elapsed())
        }
    });
    let submitted = futures_util::future::join_all(submits).await;
    let accepted = start.elapsed();
    for (id, _) in &submitted {
        rolecall.client.wait(id).await.expect_outcome("created");
    }
    let ended = start.elapsed();
    let answers = Times::of(submitted.into_iter().map(|(_, took)| took).collect());
    Burst { jobs, answers, accepted, ended }
}

/// The burst whose end came neither first nor last.
///
/// # Panics
/// When there is none.
pub fn median(mut bursts: Vec<Burst>) -> Burst {
    bursts.sort_by_key(|burst| burst.ended);
    bursts.swap_remove(bursts.len() / 2)
}

impl fmt::Display for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_second = |count: u32, took: Duration| f64::from(count) / took.as_secs_f64();
        write!(
            f,
            "none refused; 202 after {:.0} ms (median), {:.0} ms (p99); all accepted in {:.2} s ({:.0}/s); all ended \
             in {:.2} s ({:.0} jobs/s)",
            self.answers.at(50),
            self.answers.at(99),
            self.accepted.as_secs_f64(),
            per_second(self.jobs, self.accepted),
            self.ended.as_secs_f64(),
            per_second(self.jobs, self.ended),
        )
    }
}
