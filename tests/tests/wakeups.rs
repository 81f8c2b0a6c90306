//! Lost bells: a bell only says "this host has work", and whoever loses one loses time, not jobs.
//!
//! The bells are lost on purpose: a consumer of the test's own sits at the doorbell, takes bells and drops them. What
//! is left to find the work is the sweeper, and the lane that rings at the end of its turn.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a suite tells how much it has taken away")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use rolecall_tests::{Installation, Running, Settled, Target, eventually};
use tokio_util::task::AbortOnDropHandle;

/// Within which every job has to end, whatever happened to its bells.
const PROMISED: Duration = Duration::from_mins(1);

/// How many jobs each host gets.
const JOBS: usize = 40;

/// Nobody hears a bell, of the intake or of a sweep, until both are lost for each host. The sweep is at its default.
#[tokio::test]
async fn a_host_whose_bells_are_all_lost_is_found_by_the_next_sweep() {
    let rolecall = Installation::builder("all-bells").set("worker.sweep_seconds", "15").start().await;
    let thief = BellThief::at(&rolecall, Rank::First).await;
    let begun = Instant::now();
    let tickets = submit(&rolecall).await;
    eventually("each host to have been rung for in vain, twice", PROMISED, async || {
        let (log, taken) = (rolecall.worker.log_text(), thief.taken());
        let is_in_vain = |target: &Target| {
            log.contains(&format!("ringing for a host nobody works on host={}", target.host()))
                && taken.get(&target.host()).is_some_and(|bells| *bells >= 2)
        };
        rolecall.targets().iter().all(is_in_vain).then_some(())
    })
    .await;
    assert_eq!(Settled::count(&rolecall.control).await, 0, "a job was done without a bell");
    let taken = thief.leave().await;
    all_end(&rolecall, &tickets, begun, &taken).await;
}

/// About every second bell is lost all the time, of the intake, the lanes and the sweeper. Turns are short, so that
/// many bells are needed.
#[tokio::test]
async fn where_every_second_bell_is_lost_all_jobs_end() {
    let rolecall = Installation::builder("some-bells")
        .set("worker.sweep_seconds", "2")
        .set("worker.turn_jobs", "8")
        .set("worker.batch", "8")
        .start()
        .await;
    let thief = BellThief::at(&rolecall, Rank::Equal).await;
    let begun = Instant::now();
    let tickets = submit(&rolecall).await;
    eventually("all jobs to end", PROMISED, async || {
        (Settled::count(&rolecall.control).await == JOBS * rolecall.targets().len()).then_some(())
    })
    .await;
    let taken = thief.leave().await;
    all_end(&rolecall, &tickets, begun, &taken).await;
}

/// Jobs for every host; their tickets, host by host, in the order of submission.
async fn submit(rolecall: &Running) -> Vec<Vec<String>> {
    let job = |target: &Target, n| target.create_role(&rolecall.role(&format!("ada{n}")));
    let per_host = rolecall.targets().iter().map(async |target| {
        let jobs: Vec<_> = (0..JOBS).map(|n| job(target, n)).collect();
        rolecall.client.submit_all(&jobs).await
    });
    futures_util::future::join_all(per_host).await
}

async fn all_end(
    rolecall: &Running,
    tickets: &[Vec<String>],
    begun: Instant,
    taken: &BTreeMap<String, usize>,
) {
    for ticket in tickets.iter().flatten() {
        rolecall.client.wait(ticket).await.expect_outcome("created");
    }
    let took = begun.elapsed();
    let settled = Settled::read(&rolecall.control).await;
    for (target, tickets) in rolecall.targets().iter().zip(tickets) {
        settled.assert_once_and_in_order(&target.host(), tickets);
    }
    println!(
        "bells thrown away: {taken:?}; {JOBS} jobs on each host ended within {:.1} s",
        took.as_secs_f32()
    );
    assert!(taken.values().sum::<usize>() > 0, "no bell was thrown away");
    assert!(took < PROMISED, "the last job ended after {took:?}");
}

/// Whom the broker gives a bell.
#[derive(Clone, Copy)]
enum Rank {
    /// The thief, always.
    First,
    /// The thief and the worker in turns.
    Equal,
}

/// Takes bells and drops them, until it leaves.
struct BellThief {
    connection: Connection,
    taken: Arc<Mutex<BTreeMap<String, usize>>>,
    _task: AbortOnDropHandle<()>,
}

impl BellThief {
    async fn at(rolecall: &Running, rank: Rank) -> Self {
        let url = rolecall.setting("rabbitmq.url").expect("a setting of every installation");
        let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("a broker");
        let channel = connection.create_channel().await.expect("a channel");
        let mut arguments = FieldTable::default();
        if matches!(rank, Rank::First) {
            arguments.insert("x-priority".into(), AMQPValue::LongInt(1));
        }
        let doorbell = format!("{}.bell", rolecall.setting("rabbitmq.prefix").expect("a setting"));
        let options = BasicConsumeOptions::default();
        let consume = channel.basic_consume(doorbell.into(), "".into(), options, arguments);
        let mut bells = consume.await.expect("the doorbell is there");
        let taken = Arc::new(Mutex::new(BTreeMap::new()));
        let counter = Arc::clone(&taken);
        #[expect(clippy::disallowed_methods, reason = "ends with the thief")]
        let task = tokio::spawn(async move {
            // A channel that is dropped is closed.
            let _channel = channel;
            while let Some(Ok(bell)) = bells.next().await {
                let host = String::from_utf8_lossy(&bell.data).into_owned();
                if bell.ack(BasicAckOptions::default()).await.is_ok() {
                    *counter.lock().unwrap_or_else(PoisonError::into_inner).entry(host).or_default() += 1;
                }
            }
        });
        Self { connection, taken, _task: AbortOnDropHandle::new(task) }
    }

    /// How many bells of each host it threw away so far.
    fn taken(&self) -> BTreeMap<String, usize> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn leave(self) -> BTreeMap<String, usize> {
        self.connection.close(200, "enough".into()).await.expect("the broker answers");
        self.taken()
    }
}
