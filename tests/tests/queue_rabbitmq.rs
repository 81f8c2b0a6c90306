//! The queue port's conformance suite on RabbitMQ, and what is RabbitMQ's alone.

#![allow(clippy::expect_used, reason = "a test fails by panicking, at its own line")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use rolecall_shared::config;
use rolecall_shared::domain::Code;
use rolecall_shared::queue::{BellDelay, LaneOpening, Queue, RabbitQueue};
use rolecall_tests::conformance::{jobs, queue as suite};
use rolecall_tests::eventually;
use rolecall_tests::stack::Stack;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

const SOON: Duration = Duration::from_secs(20);

fn settings(url: &str) -> config::RabbitMq {
    config::RabbitMq {
        url: url.to_owned().into(),
        prefix: format!("t{}", uuid::Uuid::new_v4().simple()).chars().take(24).collect(),
        timeout: Duration::from_secs(5),
        publish_window: 128,
    }
}

async fn rabbit() -> Arc<dyn Queue> {
    let settings = settings(Stack::shared().get("STACK_AMQP_URL"));
    let queue =
        RabbitQueue::start(&settings, &TaskTracker::new(), &CancellationToken::new()).expect("a good URL");
    eventually("RabbitMQ to be connected", Duration::from_secs(10), || async { queue.ping().await.ok() })
        .await;
    queue
}

macro_rules! conformance {
    ($($case:ident),+ $(,)?) => {
        $(#[tokio::test]
        async fn $case() {
            suite::$case(rabbit().await).await;
        })+
    };
}

conformance!(
    a_host_without_jobs_is_empty_and_missing,
    jobs_come_in_order_and_go_when_done,
    a_released_lane_gives_back_in_order,
    a_lane_is_exclusive,
    a_buried_message_is_gone_and_its_neighbours_are_not,
    what_is_put_aside_is_kept_as_it_was,
    the_dead_queue_has_one_reader,
    a_message_put_back_is_its_hosts_again,
    a_bell_rings_until_answered,
    bells_in_hand_are_bounded,
    a_burst_is_confirmed_whole,
    a_burst_over_old_and_new_hosts_is_kept_whole,
);

#[tokio::test]
async fn a_broker_that_is_away_is_said_at_once() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = nobody.local_addr().expect("bound");
    drop(nobody);
    let settings = settings(&format!("amqp://u:hunter2@{address}/%2f"));
    let queue =
        RabbitQueue::start(&settings, &TaskTracker::new(), &CancellationToken::new()).expect("a good URL");
    let began = Instant::now();
    let failure = queue.publish(&jobs::job_on(&jobs::host())).await.expect_err("nobody confirms");
    assert_eq!(failure.code(), Code::BrokerUnavailable);
    assert!(failure.retry_delay().is_some());
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(!format!("{failure:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_url_that_cannot_be_read_is_refused_without_repeating_it() {
    let settings = settings("http://u:hunter2@nowhere");
    let failure =
        RabbitQueue::start(&settings, &TaskTracker::new(), &CancellationToken::new()).expect_err("refused");
    assert!(!format!("{failure:?}").contains("hunter2"));
}

/// Stands between the product and the broker, so that its connections can be cut and nobody else's.
struct Proxy {
    url: String,
    cut: watch::Sender<()>,
    _task: AbortOnDropHandle<()>,
}

impl Proxy {
    async fn start(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let (login, rest) = url.rsplit_once('@').expect("a URL with a user");
        let (broker, vhost) = rest.split_once('/').unwrap_or((rest, "%2f"));
        let (broker, cut) = (broker.to_owned(), watch::Sender::new(()));
        let cuts = cut.clone();
        #[expect(clippy::disallowed_methods, reason = "ends with the proxy")]
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let mut server = TcpStream::connect(&broker).await.expect("the broker listens");
                let mut cut = cuts.subscribe();
                connections.spawn(async move {
                    tokio::select! {
                        _ = cut.changed() => {}
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                    }
                });
            }
        });
        Self { url: format!("{login}@127.0.0.1:{port}/{vhost}"), cut, _task: AbortOnDropHandle::new(task) }
    }

    /// Ends the connections there are; new ones are served.
    fn cut(&self) {
        self.cut.send_replace(());
    }
}

#[tokio::test]
async fn what_is_left_of_a_lost_connection_does_not_end_the_next_one() {
    let proxy = Proxy::start(Stack::shared().get("STACK_AMQP_URL")).await;
    let (host, other) = (jobs::host(), jobs::host());
    let queue = RabbitQueue::start(&settings(&proxy.url), &TaskTracker::new(), &CancellationToken::new())
        .expect("a good URL");
    let job = jobs::job_on(&host);
    eventually("the job to be published", SOON, || async { queue.publish(&job).await.ok() }).await;
    let mut bells = eventually("the doorbell", SOON, || async { queue.bells(4).await.ok() }).await;
    let LaneOpening::Open(mut lane) = queue.open_lane(&host, 4).await.expect("asked") else {
        panic!("nobody else has this host");
    };
    let tag = lane.next(SOON).await.expect("readable").expect("the job").tag;

    proxy.cut();
    let lost = tokio::time::timeout(SOON, bells.next()).await.expect("the loss is noticed");
    assert!(lost.is_err());
    let mut bells = eventually("the next connection", SOON, || async { queue.bells(4).await.ok() }).await;
    lane.done_through(tag).await.expect_err("it was delivered on a connection that is gone");
    lane.release().await.expect_err("there is nothing to release");

    // It takes a second to ring: time enough for a supervisor that was told something wrong.
    eventually("the bell", SOON, || async { queue.ring(&other, BellDelay::S1).await.ok() }).await;
    let bell = tokio::time::timeout(SOON, bells.next()).await.expect("it rings").expect("still listening");
    assert_eq!(bell.host(), &other);
}
