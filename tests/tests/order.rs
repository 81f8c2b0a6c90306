//! The order of a host's jobs is the order in which they were accepted, whatever happens to the workers.
//!
//! The danger is a hand-over: the host lock of a dead worker and the messages it held come free independently, and
//! whoever gets the lock first must not overtake what the broker has not yet taken back. So the broker learns of each
//! kill later than the target, and right after it a bell rings for the host: the successor has the host lock while the
//! broker still counts the dead one's jobs as taken, and must wait.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use rolecall_tests::process::{Process, Role};
use rolecall_tests::{Client, Gateway, Installation, Settled, eventually};

/// Installations that are at it side by side, because most of the time is waited for.
const SIDE_BY_SIDE: usize = 2;
/// Kills in each.
const KILLS: usize = 40;
/// What a lane has in hand when its worker is killed: `worker.batch`, which is also the prefetch.
const IN_HAND: usize = 64;
/// Jobs are submitted so many at a time, always before the lane could run short.
const TOP_UP: usize = 4 * IN_HAND;
/// How much later. Longer than opening a lane takes.
const LATE: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn eighty_kills_of_a_lane_with_64_jobs_in_hand_never_change_the_order() {
    let begun = Instant::now();
    let done = join_all((0..SIDE_BY_SIDE).map(|_| kill_again_and_again())).await;
    let (jobs, waits) = done.into_iter().fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    // On a busy machine many a successor comes after the broker has learnt of the kill.
    assert!(waits >= KILLS / 4, "a successor had to wait for the broker {waits} times only");
    println!(
        "{} kills of a lane with {IN_HAND} jobs in hand, {jobs} jobs, all of them once and in order; a successor had to \
         wait for the broker {waits} times; {:.1} s",
        SIDE_BY_SIDE * KILLS,
        begun.elapsed().as_secs_f32()
    );
}

/// Returns how many jobs there were, and how often a lane found the host taken.
async fn kill_again_and_again() -> (usize, usize) {
    let mut scene = Scene::new().await;
    let (mut seen, mut waits) = (0, 0);
    for _ in 0..KILLS {
        scene.top_up(seen).await;
        // The lane has gone on since the last kill, so it has its hands full again.
        let holder = eventually("the jobs to go on", PATIENCE, async || {
            let has_gone_on = Settled::count(&scene.installation.control).await > seen;
            scene.holder().filter(|_| has_gone_on)
        })
        .await;
        scene.workers[holder].kill();
        // One for each: until it learns of the kill the broker gives bells to the dead one, too.
        scene.ring().await;
        scene.ring().await;
        // Callers go on.
        scene.submit(1).await;
        waits += waits_of(&scene.workers[holder]);
        scene.workers[holder] = scene.installation.spawn(Role::Worker);
        seen = Settled::count(&scene.installation.control).await;
        assert!(scene.submitted.len() - seen >= IN_HAND, "the lane has run short");
    }

    for ticket in &scene.submitted {
        scene.client.wait(ticket).await.expect_outcome("created");
    }
    let settled = Settled::read(&scene.installation.control).await;
    settled.assert_once_and_in_order(&scene.installation.target(1).host(), &scene.submitted);
    waits += scene.workers.iter().map(waits_of).sum::<usize>();
    (scene.submitted.len(), waits)
}

/// How often this worker opened a lane and found it held.
fn waits_of(worker: &Process) -> usize {
    worker.log_text().matches("ended=\"held\"").count()
}

struct Scene {
    client: Client,
    _api: Process,
    /// One has the lane, the other is there to take over at once.
    workers: Vec<Process>,
    _late: Gateway,
    /// To the broker itself, for the test.
    broker: Connection,
    submitted: Vec<String>,
    installation: Installation,
}

impl Scene {
    async fn new() -> Self {
        let mut installation = Installation::builder("order")
            .set("worker.batch", IN_HAND.to_string())
            .set("api.confirm_timeout_milliseconds", "10000")
            .create()
            .await;
        let api = installation.start(Role::Api).await;
        let client = installation.client(&api);
        let target = installation.target(1);
        client.put_target("dev", &target.database, &target.registration()).await.expect(201);
        let url = installation.setting("rabbitmq.url").expect("a setting of every installation").to_owned();
        let broker = Connection::connect(&url, ConnectionProperties::default()).await.expect("the broker");
        let late = late_broker(&mut installation, &url).await;
        let workers = join_all([(); 2].map(|()| installation.start(Role::Worker))).await;
        Self { client, _api: api, workers, _late: late, broker, submitted: Vec::new(), installation }
    }

    /// Sees to it that much is left to do.
    async fn top_up(&mut self, settled: usize) {
        while self.submitted.len() < settled + 2 * TOP_UP {
            self.submit(TOP_UP).await;
        }
    }

    async fn submit(&mut self, count: usize) {
        let names = (self.submitted.len()..).take(count).map(|n| self.installation.role(&format!("ada{n}")));
        let target = self.installation.target(1);
        let jobs: Vec<_> = names.map(|name| target.create_role(&name)).collect();
        self.submitted.extend(self.client.submit_all(&jobs).await);
    }

    /// Rings for the host, as the intake does for the first job after a while.
    async fn ring(&self) {
        let channel = self.broker.create_channel().await.expect("a channel");
        let bell = format!("{}.bell", self.installation.setting("rabbitmq.prefix").expect("a setting"));
        let host = self.installation.target(1).host();
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default();
        let sent = channel.basic_publish("".into(), bell.into(), options, host.as_bytes(), properties).await;
        sent.expect("it rings");
        channel.close(200, "rung".into()).await.expect("the channel closes");
    }

    /// The worker that has settled a job last; a new one has settled none.
    fn holder(&self) -> Option<usize> {
        let last = |worker: &Process| {
            let log = worker.log_text();
            let line = log.lines().rfind(|line| line.contains(": settled ticket="))?;
            line.split(' ').next().map(str::to_owned)
        };
        let seen =
            self.workers.iter().enumerate().filter_map(|(number, worker)| Some((last(worker)?, number)));
        seen.max().map(|(_, number)| number)
    }
}

/// Puts a gateway between the broker and the processes that are started from now on.
async fn late_broker(installation: &mut Installation, url: &str) -> Gateway {
    let (login, rest) = url.rsplit_once('@').expect("a URL with a log-in");
    let (address, vhost) = rest.split_once('/').expect("a URL with a virtual host");
    let (hostname, port) = address.rsplit_once(':').expect("a URL with a port");
    let mut gateway = Gateway::to(port.parse().expect("a port is a number")).await;
    gateway.pass_on_but_end_late(LATE).await;
    installation.set("rabbitmq.url", format!("{login}@{hostname}:{}/{vhost}", gateway.port()));
    gateway
}
