//! The queue port's conformance suite on RabbitMQ, and what is RabbitMQ's alone.

#![allow(clippy::expect_used, reason = "a test fails by panicking, at its own line")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use rolecall_shared::config;
use rolecall_shared::domain::Code;
use rolecall_shared::queue::{Queue, RabbitQueue};
use rolecall_tests::conformance::{jobs, queue as suite};
use rolecall_tests::stack::Stack;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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
    rolecall_tests::eventually("RabbitMQ to be connected", Duration::from_secs(10), || async {
        queue.ping().await.ok()
    })
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
