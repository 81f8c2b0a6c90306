//! Wrong passwords by the thousand, from everywhere, while others go on with their work.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use rolecall_tests::client::send;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::TaskTracker;

use crate::authentication::Scene;
use crate::figures::Times;

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
    // Made before anything is measured: each reads the system's certificates.
    let owner = client(Ipv4Addr::new(127, 0, 0, 2));
    let attackers: Vec<_> = (1..=ATTACKERS).map(|number| client(Ipv4Addr::new(127, 0, 1, number))).collect();
    for (name, guesses) in [("of one account", Guesses::OfOne), ("of a new name each time", Guesses::OfMany)]
    {
        let (mut quiet, mut flooded) = (Vec::new(), Vec::new());
        let mut sent = 0;
        for round in 0..ROUNDS {
            quiet.extend(right(scene, &owner, &format!("{name}q{round}")).await);
            let flood = TaskTracker::new().spawn(wrong(scene.api.url(), attackers.clone(), guesses));
            flooded.extend(right(scene, &owner, &format!("{name}f{round}")).await);
            sent += flood.await.expect("the flood");
        }
        let [quiet, flooded] = [quiet, flooded].map(|took| Times::of(took).at(99));
        println!(
            "  passwords {name}: {:.0} wrong ones a second; p99 of a submit {quiet:.1} ms before, {flooded:.1} ms \
             under it: {:.2} times",
            f64::from(sent) / (ROUND * ROUNDS).as_secs_f64(),
            flooded / quiet,
        );
    }
}

/// Submits at a steady rate; how long each answer took.
async fn right(scene: &Scene, http: &reqwest::Client, name: &str) -> Vec<Duration> {
    let (url, name) = (scene.api.url(), name.replace(' ', "_"));
    let every = Duration::from_secs(1) / RIGHT_PER_SECOND;
    let count = RIGHT_PER_SECOND * u32::try_from(ROUND.as_secs()).expect("seconds");
    let start = Instant::now();
    let submits = (0..count).map(async |number| {
        let due = start + every * number;
        tokio::time::sleep_until(due.into()).await;
        send(scene.submit(http, &url, Some(scene.basic()), &format!("{name}_{number}"))).await.expect(202);
        // From the moment at which it was due: a late start is part of what somebody waits.
        due.elapsed()
    });
    stream::iter(submits).buffer_unordered(usize::MAX).collect().await
}

/// Sends wrong passwords at a steady rate, waits for their answers, and counts those that were refused.
async fn wrong(api: String, attackers: Vec<reqwest::Client>, guesses: Guesses) -> u32 {
    let url = format!("{api}/api/v2/targets");
    let mut ticks = interval(Duration::from_secs(1) / WRONG_PER_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let attempts = TaskTracker::new();
    let start = Instant::now();
    let mut number = 0;
    while start.elapsed() < ROUND {
        ticks.tick().await;
        number += 1;
        let http = &attackers[number as usize % attackers.len()];
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
    attempts.close();
    attempts.wait().await;
    number
}

fn client(address: Ipv4Addr) -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().local_address(IpAddr::V4(address));
    builder.build().expect("a plain client")
}
