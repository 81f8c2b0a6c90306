//! A storm: a thousand jobs, and all the while one server or process after another ends, restarts or stands still.
//! Afterwards every promise is checked against what callers were told, the audit, the servers and their logs.
//!
//! * `chance`: what the seed decides: the jobs, the order of the faults, their victims. It does not decide what runs when.
//! * `scene`: three servers, one of them under two names; two apis, three workers. `faults`: what goes wrong.
//! * `callers`: submit, wait, take passwords; `town`: what they share. `verdict`, with `server_log`: what must be true at the end.
//!
//! `STORM_SEED` repeats the decisions of a storm. With `STORM_LONG` each fault strikes twenty times instead of three, and
//! there are as many more jobs; `make storm` does that.
//!
//! On a stack of its own, since it ends servers. No process is told to fail: what happens at each single step is in
//! `tests/tests/crashes`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it is surprised")]
#![expect(clippy::print_stdout, reason = "a storm tells what it did")]

mod callers;
mod chance;
mod faults;
mod scene;
mod server_log;
mod town;
mod verdict;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rolecall_tests::eventually::moment;
use rolecall_tests::{Installation, PrivateStack, eventually};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::callers::Caller;
use crate::chance::Chance;
use crate::faults::Kind;
use crate::scene::Fleet;
use crate::town::{Counts, PATIENCE, Town};
use crate::verdict::Verdict;

const CALLERS: usize = 12;
/// From one server's being ready to the next one's fault.
const REST: Duration = Duration::from_secs(1);

/// How often each kind of fault strikes, and how many jobs there are.
struct Size {
    times: usize,
    jobs: usize,
}

impl Size {
    fn wanted() -> Self {
        let times = if std::env::var_os("STORM_LONG").is_some() { 20 } else { 3 };
        Self { times, jobs: 1_000 * times / 3 }
    }
}

/// A fault that is over.
struct Strike {
    /// From the fault until what had ended was ready again.
    outage: Duration,
    /// Jobs that a caller had in hand when it came.
    on_their_way: usize,
}

/// Says how to have the same storm again, if the test fails by whatever.
struct Seed(u64);

impl Seed {
    fn wanted() -> Self {
        Self(match std::env::var("STORM_SEED") {
            Ok(seed) => seed.parse().expect("STORM_SEED is a number"),
            Err(_) => u64::from_str_radix(&rolecall_tests::control::unique(), 16).unwrap(),
        })
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("this was the storm of STORM_SEED={}", self.0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_done_twice() {
    let (seed, size) = (Seed::wanted(), Size::wanted());
    println!(
        "STORM_SEED={}: {} jobs, each of {} faults {} times",
        seed.0,
        size.jobs,
        Kind::ALL.len(),
        size.times
    );
    let mut chance = Chance::new(seed.0);
    let stack = PrivateStack::with_targets("storm", scene::HOSTS);
    let installation = scene::install(&stack).await;
    let mut fleet = Fleet::start(&installation).await;
    let doors = fleet.doors(&installation);
    let places = scene::register(&installation, &doors.at(0)).await;
    let (budget, counts) = (Semaphore::new(0), Counts::default());
    let town = Arc::new(Town { doors, places, budget, counts, id: installation.id.clone() });

    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        let caller = Caller::new(Arc::clone(&town), number, chance.split());
        callers.spawn(async move { (number, caller.run().await) });
    }
    let begun = Instant::now();
    let strikes = rage(&size, &town, &mut fleet, &installation, &mut chance).await;
    let raged = begun.elapsed();
    let mut submitted: Vec<_> = callers.join_all().await;
    submitted.sort_by_key(|(number, _)| *number);
    let submitted = submitted.into_iter().map(|(_, jobs)| jobs).collect();
    let lasted = begun.elapsed();

    let verdict = Verdict::of(&installation, &town.places, &submitted).await;
    for (kind, strikes) in &strikes {
        let longest = strikes.iter().map(|strike| strike.outage).max().unwrap_or_default();
        let met: Vec<_> = strikes.iter().map(|strike| strike.on_their_way).collect();
        println!(
            "{:3} x {kind}, ready again after {:.1} s at most, jobs on their way: {met:?}",
            met.len(),
            longest.as_secs_f32()
        );
        assert!(met.iter().any(|jobs| *jobs > 0), "STORM_SEED={}: {kind} met no job", seed.0);
    }
    let [accepted, retries, lost] = [&town.counts.accepted, &town.counts.retries, &town.counts.lost]
        .map(|count| count.load(Ordering::Relaxed));
    println!("{accepted} jobs accepted and ended, {retries} requests retried");
    println!("{lost} passwords lost with the answer that carried them, and reset");
    verdict.figures.iter().for_each(|figure| println!("{figure}"));
    println!(
        "the storm lasted {:.0} s, all had ended after {:.0} s",
        raged.as_secs_f32(),
        lasted.as_secs_f32()
    );
    let (faults, seed) = (&verdict.faults, seed.0);
    assert!(faults.is_empty(), "STORM_SEED={seed}: {} faults:\n{}", faults.len(), faults.join("\n"));
}

/// One fault after the other, each in the middle of its share of the jobs.
async fn rage(
    size: &Size,
    town: &Town,
    fleet: &mut Fleet,
    installation: &Installation,
    chance: &mut Chance,
) -> BTreeMap<Kind, Vec<Strike>> {
    let plan = faults::plan(size.times, chance);
    let mut strikes: BTreeMap<Kind, Vec<Strike>> = BTreeMap::new();
    let (mut ready, mut released) = (Instant::now(), 0);
    for (place, kind) in plan.iter().enumerate() {
        let share = size.jobs * (place + 1) / plan.len() - released;
        released += share;
        // Some of the jobs are submitted just before, so that they are everywhere on their way; the others into it.
        let before = Duration::from_millis(u64::try_from(10 + chance.below(600)).unwrap());
        moment(ready + REST.saturating_sub(before)).await;
        let first = share * 3 / 4;
        town.budget.add_permits(first);
        moment(ready + REST).await;
        let on_their_way = town.counts.on_their_way(released - (share - first));

        let struck_at = Instant::now();
        let struck = faults::strike(*kind, fleet, installation, chance);
        town.budget.add_permits(share - first);
        faults::mend(struck, fleet, installation, &town.doors).await;
        ready = Instant::now();
        strikes.entry(*kind).or_default().push(Strike { outage: ready - struck_at, on_their_way });
    }
    eventually("all jobs to be submitted", PATIENCE, async || {
        (town.budget.available_permits() == 0).then_some(())
    })
    .await;
    town.budget.close();
    strikes
}
