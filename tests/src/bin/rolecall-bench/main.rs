//! Measures a running Rolecall and prints what it found; judges nothing but correctness.
//!
//! Run it with `make bench`, which builds for release first. `rolecall-bench NAME …` runs these measurements alone. The
//! figures are those of one machine at one moment: compare ratios within a run, and quote medians.

#![allow(clippy::expect_used, reason = "a failure here ends the measurement, with its message")]

mod audit;
mod authentication;
mod burst;
mod figures;
mod flood;
mod legacy;
mod memory;
mod webhooks;

use rolecall_tests::installation::Builder;
use rolecall_tests::{Installation, PrivateStack, Running};

/// How often each measurement is taken.
const RUNS: usize = 3;

/// What can be measured.
const NAMES: [&str; 6] = ["bursts", "authentication", "flood", "audit", "legacy", "webhooks"];

#[tokio::main]
#[expect(clippy::print_stdout, reason = "figures on a terminal are what it is for")]
async fn main() -> std::process::ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = wanted.iter().find(|name| !NAMES.contains(&name.as_str())) {
        println!("there is no measurement {unknown}; there are {}", NAMES.join(", "));
        return std::process::ExitCode::from(2);
    }
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
    // Servers that nobody else loads.
    let stack = PrivateStack::up("bench");
    if wants("bursts") {
        bursts(&stack).await;
    }
    if wants("authentication") || wants("flood") {
        callers(&stack, &wants).await;
    }
    if wants("audit") {
        audit::run(&bench(&stack, "bench-audit").start().await).await;
    }
    if wants("legacy") {
        legacy_calls(&stack).await;
    }
    if wants("webhooks") {
        println!("\nbursts of creates on one host, without receivers and with four of which one is well:\n");
        webhooks::run(&stack).await;
    }
    std::process::ExitCode::SUCCESS
}

#[expect(clippy::print_stdout, reason = "figures on a terminal are what it is for")]
async fn bursts(stack: &PrivateStack) {
    let jobs = 500;
    println!("{jobs} distinct creates submitted at once, one host, {RUNS} runs on one api and one worker:\n");
    let rolecall = bench(stack, "bench").start().await;
    println!("  idle: api {}, worker {}", memory_of(&rolecall).0, memory_of(&rolecall).1);
    let mut bursts = Vec::with_capacity(RUNS);
    for run in 0..RUNS {
        let burst = burst::run(&rolecall, &format!("b{run}_"), jobs).await;
        println!("  {burst}");
        bursts.push(burst);
    }
    println!("  median: {}", burst::median(bursts));
    println!("  peak resident: api {}, worker {}", memory_of(&rolecall).0, memory_of(&rolecall).1);
}

#[expect(clippy::print_stdout, reason = "figures on a terminal are what it is for")]
async fn callers(stack: &PrivateStack, wants: &impl Fn(&str) -> bool) {
    // Nothing takes the jobs away: no limit may be met.
    let rolecall = bench(stack, "bench-callers")
        .set("api.backlog_per_host", "90000")
        .set("auth.account_requests_per_second", "1000000")
        .set("auth.address_requests_per_second", "1000000")
        .create()
        .await;
    let scene = authentication::Scene::start(rolecall).await;
    if wants("authentication") {
        println!("\nsubmits by how the caller is known, one api, no worker:\n");
        scene.compare().await;
    }
    if wants("flood") {
        println!("\nwrong passwords from many addresses, and right ones from another:\n");
        flood::run(&scene).await;
    }
}

#[expect(clippy::print_stdout, reason = "figures on a terminal are what it is for")]
async fn legacy_calls(stack: &PrivateStack) {
    println!(
        "\na role and its password by one call in pg-user-api's form, beside the native calls, 200 of each:\n"
    );
    let rolecall = bench(stack, "bench-legacy").start().await;
    println!("  {}", legacy::run(&rolecall, 200).await);
}

/// An installation as one that ships: few words in the log, passwords stretched as usual.
fn bench(stack: &PrivateStack, name: &str) -> Builder {
    Installation::builder(name)
        .on(stack)
        .set("log.filter", "info,lapin=off")
        .set("target.scram_iterations", "4096")
}

fn memory_of(rolecall: &Running) -> (memory::Peak, memory::Peak) {
    (memory::Peak::of(rolecall.api.pid()), memory::Peak::of(rolecall.worker.pid()))
}
