//! Hosts are kept apart: four of eight are sick, each in its own way, and the other four do not notice.
//!
//! How long the well hosts take for their jobs is measured while all eight are well, and again, by the same processes,
//! while one is a black hole, one refuses, one is paused and one has its table of roles locked. Then the sick ones
//! recover, and nobody tells Rolecall.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a suite tells what it has measured")]

use std::ops::{Deref, RangeInclusive};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rolecall_tests::process::{Process, Role};
use rolecall_tests::{Client, Gateway, Installation, PrivateStack, Settled, Target, eventually};

/// Runs with sick hosts, and runs without any before and after them: others use the machine, and not evenly.
const RUNS: usize = 5;
const RUNS_BEFORE_AND_AFTER: usize = 3;
/// What a well host gets in each run: 400 jobs in all.
const JOBS: usize = 100;
/// What each of the four others gets before each run, sick or not.
const SICK_JOBS: usize = 10;
/// What four sick hosts may cost the others.
const LIMIT: f64 = 1.5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// What a busy machine may add to a wait.
const SLACK: Duration = Duration::from_millis(750);
/// The longest back-off, and the work.
const RECOVERY: Duration = Duration::from_mins(1);

/// Hosts by number.
const WELL: RangeInclusive<usize> = 1..=4;
const BLACK_HOLE: usize = 5;
const REFUSING: usize = 6;
const PAUSED: usize = 7;
const LOCKED: usize = 8;
const SICK: RangeInclusive<usize> = BLACK_HOLE..=LOCKED;

#[tokio::test]
async fn four_sick_hosts_of_eight_delay_no_other_and_recover_by_themselves() {
    let stack = PrivateStack::with_targets("isolation", 8);
    let mut scene = Scene::new(&stack).await;
    // Opens what is opened once.
    scene.time(1).await;

    let mut when_well = Vec::new();
    for _ in 0..RUNS_BEFORE_AND_AFTER {
        when_well.push(scene.time(JOBS).await);
    }
    let lock = scene.fall_sick().await;
    let mut when_sick = Vec::new();
    for _ in 0..RUNS {
        when_sick.push(scene.time(JOBS).await);
    }
    scene.assert_sick().await;
    drop(lock);
    scene.recover().await;
    for _ in 0..RUNS_BEFORE_AND_AFTER {
        when_well.push(scene.time(JOBS).await);
    }

    let ratio = median(&when_sick).as_secs_f64() / median(&when_well).as_secs_f64();
    println!(
        "{} jobs on four hosts took {when_well:.2?} when all eight were well, {when_sick:.2?} when four were sick: \
         {ratio:.2} times the time",
        JOBS * WELL.count()
    );
    assert!(ratio <= LIMIT, "the sick hosts delay the others: {ratio:.2}");
}

struct Scene {
    client: Client,
    _api: Process,
    worker: Process,
    black_hole: Gateway,
    refusing: Gateway,
    /// The tickets of each host, from number 1, in the order of submission.
    submitted: Vec<Vec<String>>,
    installation: Installation,
}

impl Scene {
    /// All eight are well.
    async fn new(stack: &PrivateStack) -> Self {
        let timeout = CONNECT_TIMEOUT.as_millis().to_string();
        let mut installation = Installation::builder("isolation")
            .on(stack)
            .set("target.connect_timeout_milliseconds", timeout)
            .create()
            .await;
        let black_hole = Gateway::to(installation.target(BLACK_HOLE).port).await;
        let refusing = Gateway::to(installation.target(REFUSING).port).await;
        let port_of = |target: &Target| match target.number {
            BLACK_HOLE => black_hole.port(),
            REFUSING => refusing.port(),
            _ => target.port,
        };
        let registered: Vec<_> =
            installation.targets().iter().map(|target| target.behind(port_of(target))).collect();
        let hosts: Vec<_> = registered.iter().map(Target::host).collect();
        installation.set("default_login.hosts", hosts.join(","));
        let api = installation.start(Role::Api).await;
        let worker = installation.start(Role::Worker).await;
        let client = installation.client(&api);
        for target in &registered {
            client.put_target("dev", &target.database, &target.registration()).await.expect(201);
        }
        let submitted = vec![Vec::new(); registered.len()];
        Self { client, _api: api, worker, black_hole, refusing, submitted, installation }
    }

    /// So many jobs for a host.
    async fn submit(&mut self, host: usize, count: usize) {
        let tickets = &mut self.submitted[host - 1];
        let names = (tickets.len()..).take(count).map(|n| self.installation.role(&format!("ada{n}")));
        let jobs: Vec<_> = names.map(|name| self.installation.target(host).create_role(&name)).collect();
        tickets.extend(self.client.submit_all(&jobs).await);
    }

    /// How long the well hosts take for so many jobs each, from the first submit to the last end. The others are given
    /// some just before.
    async fn time(&mut self, jobs: usize) -> Duration {
        for host in SICK {
            self.submit(host, SICK_JOBS).await;
        }
        let begun = Instant::now();
        for host in WELL {
            self.submit(host, jobs).await;
        }
        // The last one submitted is the last one done.
        join_all(WELL.map(async |host| self.last_ends(host).await)).await;
        begun.elapsed()
    }

    async fn last_ends(&self, host: usize) {
        let last = self.submitted[host - 1].last().expect("jobs were submitted");
        self.client.wait(last).await.expect_outcome("created");
    }

    /// Returns the session that holds the lock; the lock ends with it.
    async fn fall_sick(&mut self) -> tokio_postgres::Client {
        // What they have is done before: all that comes now has to wait.
        join_all(SICK.map(async |host| self.last_ends(host).await)).await;
        self.black_hole.swallow().await;
        self.refusing.refuse().await;
        self.client.target_act("dev", &self.target(PAUSED).database, "pause").await.expect(200);
        self.target(LOCKED).lock_roles().await
    }

    /// They were sick all the time, and the black hole kept a lane no longer than a connection may take.
    async fn assert_sick(&self) {
        let settled = Settled::read(&self.control).await;
        for host in SICK {
            let tickets = &self.submitted[host - 1];
            let waiting = &tickets[tickets.len() - RUNS * SICK_JOBS..];
            assert!(settled.among(waiting).is_empty(), "host {host} is not sick");
            let reason = if host == PAUSED { "host_paused" } else { "target_unreachable" };
            // Not while a try is under way.
            eventually("the reason of the wait", RECOVERY, async || {
                let waiting = self.client.ticket(&waiting[0]).await.expect(200);
                (waiting.find("waiting_reason") == Some(reason)).then_some(())
            })
            .await;
        }
        eventually("the black hole to be tried again", RECOVERY, async || {
            (self.black_hole.waits().len() >= 3).then_some(())
        })
        .await;
        let waits = self.black_hole.waits();
        println!("the black hole kept a lane {} times, for {waits:.2?}", waits.len());
        let longest = waits.iter().max().expect("there are some");
        assert!(*longest <= CONNECT_TIMEOUT + SLACK, "a lane was kept for {longest:?}");
    }

    /// The hosts recover; who asks for their jobs finds them done, in order.
    async fn recover(&mut self) {
        let begun = Instant::now();
        self.black_hole.pass_on().await;
        self.refusing.pass_on().await;
        self.client.target_act("dev", &self.target(PAUSED).database, "resume").await.expect(200);
        let took = join_all(SICK.map(async |host| {
            self.last_ends(host).await;
            begun.elapsed()
        }))
        .await;
        println!("black hole, refusing, paused and locked host had done their jobs after {took:.1?}");
        assert!(took.iter().all(|took| *took < RECOVERY), "recovery took {took:?}");

        let settled = Settled::read(&self.control).await;
        for (tickets, target) in self.submitted.iter().zip(self.targets()) {
            settled.assert_once_and_in_order(&format!("host {}", target.number), tickets);
        }
        assert!(self.worker.has_ended().is_none());
    }
}

impl Deref for Scene {
    type Target = Installation;

    fn deref(&self) -> &Installation {
        &self.installation
    }
}

fn median(runs: &[Duration]) -> Duration {
    let mut runs = runs.to_vec();
    runs.sort();
    runs[runs.len() / 2]
}
