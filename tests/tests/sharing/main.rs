//! Forty busy hosts and three workers: the work is shared, and what one worker had is taken over by the others when
//! it is killed or frozen. One that wakes up again does no harm.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a suite tells what it has measured")]

mod fleet;

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use rolecall_tests::PrivateStack;
use rolecall_tests::process::Process;

use crate::fleet::Fleet;

const HOSTS: usize = 40;
/// What each host gets for each part of the test.
const JOBS: usize = 50;
/// What one of three workers does, in percent.
const SHARE: RangeInclusive<usize> = 20..=47;
const AFTER_A_KILL: Duration = Duration::from_secs(10);
const AFTER_A_FREEZE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn three_workers_share_forty_hosts_and_take_over_from_one_that_fails() {
    let begun = Instant::now();
    let stack = PrivateStack::with_targets("sharing", HOSTS);
    let mut fleet = Fleet::new(&stack).await;
    println!("{HOSTS} clusters, an api and three workers were ready after {:.1?}", begun.elapsed());

    share(&mut fleet).await;
    fail(&mut fleet, "killed", Process::kill, AFTER_A_KILL).await;
    fleet.replace_dead().await;
    let frozen = fail(&mut fleet, "frozen", Process::freeze, AFTER_A_FREEZE).await;

    // It wakes up with everything it had in hand, which others have done meanwhile.
    fleet.workers[frozen].thaw();
    fleet.workers[frozen].ready().await;
    fleet.submit(JOBS / 5).await;
    fleet.all_end().await;
    fleet.assert_once_and_in_order().await;
    println!("all is over after {:.1?}", begun.elapsed());
}

/// All hosts are busy at once, since none gets on before every one has its jobs. With fewer of them busy at a time it
/// is chance who is free when one has work: a worker takes up to `worker.lanes` hosts.
async fn share(fleet: &mut Fleet) {
    let locks = fleet.lock_roles().await;
    fleet.submit(JOBS).await;
    fleet.at_work().await;
    let begun = Instant::now();
    drop(locks);
    fleet.all_end().await;
    let settled = fleet.settled_by_workers().await;
    let all: usize = settled.iter().sum();
    assert_eq!(all, HOSTS * JOBS, "{settled:?}");
    let shares: Vec<_> = settled.iter().map(|count| count * 100 / all).collect();
    println!("{all} jobs in {:.1?}: the workers did {shares:?} % of them", begun.elapsed());
    assert!(shares.iter().all(|share| SHARE.contains(share)), "{shares:?}");
}

/// The worker that is amid transactions on the most hosts fails; its number.
async fn fail(fleet: &mut Fleet, how: &str, failure: impl Fn(&Process), limit: Duration) -> usize {
    let locks = fleet.lock_roles().await;
    fleet.submit(JOBS).await;
    let at_work = fleet.at_work().await;
    let (victim, hosts) =
        at_work.iter().enumerate().max_by_key(|(_, hosts)| hosts.len()).expect("three workers");
    failure(&fleet.workers[victim]);
    let since = fleet.now().await;
    drop(locks);
    fleet.all_end().await;

    let went_on = fleet.went_on_after(since, hosts).await;
    let slowest = went_on.iter().max().expect("there are hosts");
    println!(
        "a worker was {how} amid transactions on {} hosts; the last of them went on after {slowest:.1?}",
        hosts.len()
    );
    assert!(*slowest <= limit, "{how}: {went_on:.1?}");
    fleet.assert_once_and_in_order().await;
    victim
}
