//! What a call in pg-user-api's form costs, beside the three calls of the native API that do the same: interleaved, one after
//! the other, so that both meet the same machine.

use std::fmt;
use std::time::{Duration, Instant};

use rolecall_tests::{Client, Running, Target};
use serde_json::json;

/// Calls of each sort, as they were made.
#[derive(Debug)]
pub struct Both {
    native: Vec<Duration>,
    legacy: Vec<Duration>,
}

/// Makes so many roles in each way and takes their passwords.
///
/// # Panics
/// When one is not made.
pub async fn run(rolecall: &Running, count: u32) -> Both {
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let mut both = Both { native: Vec::new(), legacy: Vec::new() };
    for number in 0..count {
        let [first, second] = ["first", "second"].map(|name| rolecall.role(&format!("{name}{number}")));
        // Whoever comes second meets a lane that has just worked: each is that as often.
        if number % 2 == 0 {
            both.native.push(native(client, target, &first).await);
            both.legacy.push(legacy(client, target, &second).await);
        } else {
            both.legacy.push(legacy(client, target, &first).await);
            both.native.push(native(client, target, &second).await);
        }
    }
    both
}

/// Submit, wait, take.
async fn native(client: &Client, target: &Target, role: &str) -> Duration {
    let job = json!({ "operation": "create_role", "kind": "devqa", "username": role,
                      "env": "dev", "database": target.database });
    let start = Instant::now();
    let id = client.submit(&job).await.expect(202).id();
    client.wait(&id).await.expect_outcome("created");
    client.take_secret(&id).await.expect(200);
    start.elapsed()
}

async fn legacy(client: &Client, target: &Target, role: &str) -> Duration {
    let path = format!("/api/v1/users/devqa?env=dev&database={}&username={role}", target.database);
    let start = Instant::now();
    let answer = client.get(&path).await.expect(200);
    let took = start.elapsed();
    assert_eq!((answer.text("status"), answer.text("password").len()), ("user created", 22));
    took
}

fn milliseconds(took: &[Duration], hundredths: usize) -> f64 {
    let mut sorted = took.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() - 1) * hundredths / 100].as_secs_f64() * 1e3
}

impl fmt::Display for Both {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [native, legacy] = [&self.native, &self.legacy].map(|took| milliseconds(took, 50));
        write!(
            f,
            "submit, wait, take: {native:.1} ms (median), {:.1} ms (p95); one call: {legacy:.1} ms, {:.1} ms; {:+.0} %",
            milliseconds(&self.native, 95),
            milliseconds(&self.legacy, 95),
            (legacy / native - 1.0) * 100.0,
        )
    }
}
