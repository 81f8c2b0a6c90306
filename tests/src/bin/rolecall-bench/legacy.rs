//! What a call in pg-user-api's form costs, beside the three calls of the native API that do the same: interleaved, one after
//! the other, so that both meet the same machine.

use std::fmt;
use std::time::{Duration, Instant};

use rolecall_tests::{Client, Running, Target};
use serde_json::json;

use crate::figures::Times;

/// Calls of each sort, as they were made.
#[derive(Debug)]
pub struct Both {
    native: Times,
    legacy: Times,
}

/// Makes so many roles in each way and takes their passwords.
///
/// # Panics
/// When one is not made.
pub async fn run(rolecall: &Running, count: u32) -> Both {
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let (mut natively, mut by_legacy) = (Vec::new(), Vec::new());
    for number in 0..count {
        let [first, second] = ["first", "second"].map(|name| rolecall.role(&format!("{name}{number}")));
        // Whoever comes second meets a lane that has just worked: each is that as often.
        if number % 2 == 0 {
            natively.push(native(client, target, &first).await);
            by_legacy.push(legacy(client, target, &second).await);
        } else {
            by_legacy.push(legacy(client, target, &first).await);
            natively.push(native(client, target, &second).await);
        }
    }
    Both { native: Times::of(natively), legacy: Times::of(by_legacy) }
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

impl fmt::Display for Both {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [native, legacy] = [&self.native, &self.legacy].map(|took| took.at(50));
        write!(
            f,
            "submit, wait, take: {native:.1} ms (median), {:.1} ms (p95); one call: {legacy:.1} ms, {:.1} ms; {:+.0} %",
            self.native.at(95),
            self.legacy.at(95),
            (legacy / native - 1.0) * 100.0,
        )
    }
}
