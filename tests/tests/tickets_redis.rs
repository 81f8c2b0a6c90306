//! The port `tickets` on Redis: every case of its conformance suite, and what is Redis' own: outages, restarts, lost
//! scripts, corrupt data.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use rolecall_shared::config;
use rolecall_shared::domain::ticket::State;
use rolecall_shared::domain::{ClaimId, Code, TicketId};
use rolecall_shared::tickets::{Accepted, Claimed, Moved, RedisTickets, Tickets};
use rolecall_tests::conformance::eventually;
use rolecall_tests::conformance::tickets::{self as suite, Kept, Lifetime, Store, Subject};
use rolecall_tests::redis_server::RedisServer;
use rolecall_tests::stack::Stack;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// For the cases of the suite: long, because the machine may be busy and these are not about outages.
const PATIENT: Duration = Duration::from_secs(20);
/// For outages.
const BRIEF: Duration = Duration::from_millis(500);

fn connect(url: &str, prefix: &str, timeout: Duration) -> Arc<RedisTickets> {
    let settings = config::Redis { url: url.into(), prefix: prefix.to_owned(), timeout };
    RedisTickets::connect(&settings, &suite::settings(), &TaskTracker::new(), CancellationToken::new())
        .expect("it starts whether the server is there or not")
}

/// The server behind the implementation.
struct RedisStore {
    connection: MultiplexedConnection,
    prefix: String,
}

impl RedisStore {
    async fn open(url: &str, prefix: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        let connection = client.get_multiplexed_async_connection().await.unwrap();
        Self { connection, prefix: prefix.to_owned() }
    }

    async fn query<T: redis::FromRedisValue>(&self, command: &mut redis::Cmd) -> T {
        command.query_async(&mut self.connection.clone()).await.unwrap()
    }
}

impl Store for RedisStore {
    fn lose(&self, ticket: TicketId) -> BoxFuture<'_, ()> {
        // The index of deadlines keeps it, as it does when Redis evicts a key.
        let key = format!("{}:ticket:{ticket}", self.prefix);
        Box::pin(async move { self.query::<()>(redis::cmd("DEL").arg(key)).await })
    }

    fn lifetime(&self, kept: Kept) -> BoxFuture<'_, Lifetime> {
        let key = match kept {
            Kept::Ticket(ticket) => format!("{}:ticket:{ticket}", self.prefix),
            Kept::Secret(ticket) => format!("{}:secret:{ticket}", self.prefix),
        };
        Box::pin(async move {
            match self.query::<i64>(redis::cmd("PTTL").arg(key)).await {
                -2 => Lifetime::Gone,
                -1 => Lifetime::Endless,
                left => Lifetime::Left(Duration::from_millis(left.try_into().unwrap())),
            }
        })
    }
}

async fn on_the_stack() -> Subject {
    let url = Stack::shared().get("STACK_REDIS_URL");
    let prefix = format!("t{}", uuid::Uuid::new_v4().simple());
    Subject { tickets: connect(url, &prefix, PATIENT), store: Arc::new(RedisStore::open(url, &prefix).await) }
}

rolecall_tests::tickets_conformance!(on_the_stack);

async fn answers(tickets: &RedisTickets) {
    eventually("the store answers", PATIENT, async || tickets.ping().await.ok()).await;
}

async fn is_away(tickets: &RedisTickets) {
    let start = Instant::now();
    let failure = tickets.accept(&suite::job()).await.expect_err("the store is away");
    assert_eq!(failure.code(), Code::TicketStoreUnavailable);
    assert!(start.elapsed() < BRIEF * 3, "after {:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_starts_without_the_server_and_finds_it_when_it_comes() {
    let mut server = RedisServer::down();
    let tickets = connect(&server.url(), "t", BRIEF);
    is_away(&tickets).await;
    assert_eq!(tickets.ping().await.unwrap_err().code(), Code::TicketStoreUnavailable);
    server.start();
    answers(&tickets).await;
    assert!(matches!(tickets.accept(&suite::job()).await.unwrap(), Accepted::New));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_the_tickets_and_is_told_to_who_waits() {
    let mut server = RedisServer::up();
    let tickets = connect(&server.url(), "t", BRIEF);
    answers(&tickets).await;
    let mut moves = tickets.moved();
    suite::moving::carries(tickets.as_ref(), &mut moves).await;
    let job = suite::job();
    tickets.accept(&job).await.unwrap();

    server.kill();
    is_away(&tickets).await;
    server.start();
    let missed = async { while suite::moving::next(&mut moves).await != Moved::Missed {} };
    tokio::time::timeout(PATIENT, missed).await.expect("told");
    suite::moving::carries(tickets.as_ref(), &mut moves).await;
    assert_eq!(tickets.enqueue(job.ticket, &job.host).await.unwrap().state, State::Queued);
}

/// What a rebuilding has found counts for this start of the server and for what was in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_started_again_or_emptied_is_not_whole() {
    let mut server = RedisServer::up();
    let tickets = connect(&server.url(), "t", BRIEF);
    answers(&tickets).await;
    let whole = async || tickets.is_whole().await.unwrap();
    let rebuild = async |name| {
        assert!(!whole().await);
        assert!(tickets.begin_rebuilding(name).await.unwrap());
        assert!(tickets.end_rebuilding(name).await.unwrap());
        assert!(whole().await);
    };
    rebuild("first").await;
    server.kill();
    server.start();
    answers(&tickets).await;
    rebuild("after the restart").await;

    let store = RedisStore::open(&server.url(), "t").await;
    store.query::<()>(&mut redis::cmd("FLUSHALL")).await;
    assert!(!whole().await);
    assert!(tickets.begin_rebuilding("emptied in the middle").await.unwrap());
    store.query::<()>(&mut redis::cmd("FLUSHALL")).await;
    assert!(!tickets.keep_rebuilding("emptied in the middle").await.unwrap());
    assert!(!tickets.end_rebuilding("emptied in the middle").await.unwrap());
    rebuild("afterwards").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_broke_while_idle_is_made_again_before_it_is_needed() {
    let server = RedisServer::up();
    let tickets = connect(&server.url(), "t", BRIEF);
    answers(&tickets).await;
    let job = suite::job();
    tickets.accept(&job).await.unwrap();

    // The subscription stands: from here on the only connection that is new is the one that was made again.
    suite::moving::carries(tickets.as_ref(), &mut tickets.moved()).await;
    let store = RedisStore::open(&server.url(), "t").await;
    let newest = async || {
        let list: String = store.query(redis::cmd("CLIENT").arg("LIST").arg("TYPE").arg("normal")).await;
        let id = |line: &str| line.split_once("id=")?.1.split_once(' ')?.0.parse::<u64>().ok();
        list.lines().filter_map(id).max().expect("our own at least")
    };
    let before = newest().await;
    store
        .query::<()>(redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes"))
        .await;
    eventually("it connects", PATIENT, async || (newest().await > before).then_some(())).await;
    // The very first call after it.
    let claimed = tickets.claim(ClaimId::new(), std::slice::from_ref(&job)).await.unwrap();
    assert!(matches!(claimed.as_slice(), [Claimed::Started]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_scripts_are_loaded_again() {
    let server = RedisServer::up();
    let tickets = connect(&server.url(), "t", BRIEF);
    answers(&tickets).await;
    let store = RedisStore::open(&server.url(), "t").await;
    for _ in 0..2 {
        store.query::<()>(redis::cmd("SCRIPT").arg("FLUSH")).await;
        assert!(matches!(tickets.accept(&suite::job()).await.unwrap(), Accepted::New));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_costs_no_more_than_the_timeout() {
    let server = RedisServer::up();
    let tickets = connect(&server.url(), "t", BRIEF);
    answers(&tickets).await;
    server.signal("STOP");
    is_away(&tickets).await;
    server.signal("CONT");
    answers(&tickets).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_refuses_tickets_and_is_not_our_fault() {
    let server = RedisServer::up();
    let tickets = connect(&server.url(), "t", BRIEF);
    answers(&tickets).await;
    let store = RedisStore::open(&server.url(), "t").await;
    store.query::<()>(redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("1")).await;
    is_away(&tickets).await;
    store.query::<()>(redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg("0")).await;
    assert!(matches!(tickets.accept(&suite::job()).await.unwrap(), Accepted::New));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrupt_data_is_a_failure_of_ours() {
    let server = RedisServer::up();
    let tickets = connect(&server.url(), "t", BRIEF);
    answers(&tickets).await;
    let store = RedisStore::open(&server.url(), "t").await;
    let job = suite::job();
    tickets.accept(&job).await.unwrap();
    let key = format!("t:ticket:{}", job.ticket);
    for (field, bad) in [("job", "{"), ("state", "done"), ("rev", "x")] {
        let good: String = store.query(redis::cmd("HGET").arg(&key).arg(field)).await;
        store.query::<()>(redis::cmd("HSET").arg(&key).arg(field).arg(bad)).await;
        assert_eq!(tickets.find(job.ticket).await.unwrap_err().code(), Code::Internal, "{field}");
        store.query::<()>(redis::cmd("HSET").arg(&key).arg(field).arg(good)).await;
    }
    let other = suite::job().ticket;
    store.query::<()>(redis::cmd("SET").arg(format!("t:ticket:{other}")).arg("not a hash")).await;
    assert_eq!(tickets.find(other).await.unwrap_err().code(), Code::Internal);
    assert_eq!(tickets.withdraw(other).await.unwrap_err().code(), Code::Internal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_subscription_ends_when_it_is_told_to() {
    let server = RedisServer::up();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let settings = config::Redis { url: server.url().into(), prefix: "t".into(), timeout: BRIEF };
    let _tickets = RedisTickets::connect(&settings, &suite::settings(), &tasks, stop.clone()).unwrap();
    assert_eq!(tasks.len(), 1);
    tasks.close();
    stop.cancel();
    tokio::time::timeout(PATIENT, tasks.wait()).await.expect("it ends");
}
