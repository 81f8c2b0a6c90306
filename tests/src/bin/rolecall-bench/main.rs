//! Measures a running Rolecall and prints what it found; judges nothing but correctness.
//!
//! Run it with `make bench`, which builds for release first. The figures are those of one machine at one moment:
//! compare ratios within a run, and quote medians.

mod burst;
mod memory;

use rolecall_tests::{Installation, PrivateStack, Running};

/// How often each measurement is taken.
const RUNS: usize = 3;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "figures on a terminal are what it is for")]
async fn main() {
    // Servers that nobody else loads.
    let stack = PrivateStack::up("bench");
    let jobs = 500;
    println!("{jobs} distinct creates submitted at once, one host, {RUNS} runs on one api and one worker:\n");
    let rolecall = Installation::builder("bench")
        .on(&stack)
        .set("log.filter", "info,lapin=off")
        .set("target.scram_iterations", "4096")
        .start()
        .await;
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

fn memory_of(rolecall: &Running) -> (memory::Peak, memory::Peak) {
    (memory::Peak::of(rolecall.api.pid()), memory::Peak::of(rolecall.worker.pid()))
}
