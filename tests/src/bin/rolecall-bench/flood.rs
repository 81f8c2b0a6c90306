//! Wrong passwords by the thousand, from everywhere, while others go on with their work.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use futures_util::future::join;
use futures_util::stream::{self, StreamExt as _};
use rolecall_tests::client::send;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;

use crate::authentication::{Scene, median};

/// Wrong passwords in a second, and the addresses from which they come.
const WRONG_PER_SECOND: u32 = 1_000;
const ATTACKERS: u8 = 50;
/// Submits in a second of the caller with the right password, who has an address of its own.
const RIGHT_PER_SECOND: u32 = 100;
/// How long a round takes, and how many there are of each sort.
const ROUND: Duration = Duration::from_secs(5);
const ROUNDS: u32 = 5;

/// Whose passwords are guessed.
#[derive(Clone, Copy)]
enum Guesses {
    /// One account's that exists.
    OfOne,
    /// A new name each time, which nothing closes to an address.
    OfMany,
}

/// Prints what a flood does to the slowest of those who have the right password.
#[expect(clippy::print_stdout, reason = "figures on a terminal are what it is for")]
pub async fn run(scene: &Scene) {
    for (name, guesses) in [("of one account", Guesses::OfOne), ("of a new name each time", Guesses::OfMany)]
    {
        let (mut quiet, mut flooded) = (Vec::new(), Vec::new());
        let mut sent = 0;
        for round in 0..ROUNDS {
            quiet.push(right(scene, &format!("{name}q{round}")).await);
            let flood = wrong(scene, guesses);
            let (p99, count) = join(right(scene, &format!("{name}f{round}")), flood).await;
            flooded.push(p99);
            sent += count;
        }
        let (quiet, flooded) = (median(quiet), median(flooded));
        println!(
            "  passwords {name}: {:.0} wrong ones a second; p99 of a submit {quiet:.1} ms before, {flooded:.1} ms \
             under it: {:.2} times",
            f64::from(sent) / (ROUND * ROUNDS).as_secs_f64(),
            flooded / quiet,
        );
    }
}

/// Submits at a steady rate; the 99th percentile of their answers, in milliseconds.
async fn right(scene: &Scene, name: &str) -> f64 {
    let http = client(Ipv4Addr::new(127, 0, 0, 2));
    let (url, name) = (scene.api.url(), name.replace(' ', "_"));
    let every = Duration::from_secs(1) / RIGHT_PER_SECOND;
    let count = RIGHT_PER_SECOND * u32::try_from(ROUND.as_secs()).expect("seconds");
    let start = Instant::now();
    let submits = (0..count).map(async |number| {
        let due = start + every * number;
        tokio::time::sleep_until(due.into()).await;
        send(scene.submit(&http, &url, Some(scene.basic()), &format!("{name}_{number}"))).await.expect(202);
        // From the moment at which it was due: a late start is part of what somebody waits.
        due.elapsed().as_secs_f64() * 1e3
    });
    let mut took: Vec<f64> = stream::iter(submits).buffer_unordered(usize::MAX).collect().await;
    took.sort_unstable_by(f64::total_cmp);
    took[(took.len() - 1) * 99 / 100]
}

/// Sends wrong passwords at a steady rate, waits for their answers, and counts those that were refused.
async fn wrong(scene: &Scene, guesses: Guesses) -> u32 {
    let clients: Vec<_> = (0..ATTACKERS).map(|number| client(Ipv4Addr::new(127, 0, 1, 1 + number))).collect();
    let url = format!("{}/api/v2/targets", scene.api.url());
    let mut ticks = interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let attempts = TaskTracker::new();
    let start = Instant::now();
    let mut number = 0;
    while start.elapsed() < ROUND {
        ticks.tick().await;
        for _ in 0..WRONG_PER_SECOND / 100 {
            number += 1;
            let http = &clients[number as usize % clients.len()];
            let user = match guesses {
                Guesses::OfOne => "ci".to_owned(),
                Guesses::OfMany => format!("nobody{number}"),
            };
            let attempt = http.get(&url).basic_auth(user, Some(format!("wrong{number}")));
            attempts.spawn(async move {
                let status = attempt.send().await.expect("an answer").status().as_u16();
                assert!(status == 401 || status == 429, "a wrong password was answered {status}");
            });
        }
    }
    attempts.close();
    attempts.wait().await;
    number
}

fn client(address: Ipv4Addr) -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().local_address(IpAddr::V4(address));
    builder.build().expect("a plain client")
}
