//! What every implementation of the queue port must do. Each case gets a queue of its own names.
//!
//! # Panics
//! When the implementation does not do it; that is how a case fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rolecall_shared::domain::{HostKey, Job};
use rolecall_shared::queue::{
    BellDelay, Bells, DeadMessage, DeadQueue, Depth, LaneOpening, LaneQueue, Queue,
};

use super::jobs::{host, job_on};

const SOON: Duration = Duration::from_secs(10);

async fn publish(queue: &dyn Queue, host: &HostKey, count: usize) -> Vec<Job> {
    let mut jobs = Vec::with_capacity(count);
    for _ in 0..count {
        let job = job_on(host);
        queue.publish(&job).await.expect("published");
        jobs.push(job);
    }
    jobs
}

async fn lane(queue: &dyn Queue, host: &HostKey) -> Box<dyn LaneQueue> {
    match queue.open_lane(host, 64).await.expect("asked") {
        LaneOpening::Open(lane) => lane,
        LaneOpening::Held => panic!("the lane is held"),
        LaneOpening::Missing => panic!("the queue is missing"),
    }
}

async fn next(lane: &mut dyn LaneQueue) -> rolecall_shared::queue::Delivery {
    lane.next(SOON).await.expect("readable").expect("a message within the deadline")
}

fn moment() -> Timestamp {
    Timestamp::from_second(1_700_000_000).expect("a moment")
}

/// Submits so many jobs of a host and puts them all aside.
async fn bury(queue: &dyn Queue, host: &HostKey, count: usize) -> Vec<Job> {
    let jobs = publish(queue, host, count).await;
    let mut lane = lane(queue, host).await;
    for _ in &jobs {
        let delivery = next(&mut *lane).await;
        lane.bury(delivery.tag, "for a test", moment()).await.expect("put aside");
    }
    lane.release().await.expect("released");
    jobs
}

async fn dead(queue: &dyn Queue, limit: u16) -> Box<dyn DeadQueue> {
    queue.open_dead(limit).await.expect("asked").expect("nobody else reads it")
}

async fn next_dead(dead: &mut dyn DeadQueue) -> DeadMessage {
    dead.next().await.expect("readable").expect("a message")
}

async fn next_bell(bells: &mut dyn Bells) -> Box<dyn rolecall_shared::queue::Bell> {
    tokio::time::timeout(SOON, bells.next()).await.expect("a bell within the deadline").expect("heard")
}

/// A host nobody submitted for has no queue, and asking harms nothing.
pub async fn a_host_without_jobs_is_empty_and_missing(queue: Arc<dyn Queue>) {
    let host = host();
    for _ in 0..3 {
        assert_eq!(queue.depth(&host).await.expect("asked"), Depth::default());
        assert!(matches!(queue.open_lane(&host, 64).await.expect("asked"), LaneOpening::Missing));
    }
    publish(&*queue, &host, 1).await;
    assert_eq!(queue.depth(&host).await.expect("asked"), Depth { messages: 1, consumers: 0 });
}

/// Jobs come out as they went in, in order, and are gone once acknowledged.
pub async fn jobs_come_in_order_and_go_when_done(queue: Arc<dyn Queue>) {
    let host = host();
    let jobs = publish(&*queue, &host, 20).await;
    let mut lane = lane(&*queue, &host).await;
    for (position, job) in jobs.iter().enumerate() {
        let delivery = next(&mut *lane).await;
        assert_eq!(delivery.job.as_ref().expect("readable"), job);
        assert_eq!((delivery.ticket, delivery.redelivered), (Some(job.ticket), false));
        if position % 7 == 0 {
            lane.done_through(delivery.tag).await.expect("acknowledged");
        } else if position == 19 {
            lane.done_through(delivery.tag).await.expect("acknowledged with those before");
            lane.done_through(delivery.tag).await.expect("nothing left to acknowledge is no error");
        }
    }
    assert!(lane.next_ready().expect("readable").is_none());
    lane.release().await.expect("released");
    assert_eq!(queue.depth(&host).await.expect("asked"), Depth::default());
}

/// What was not acknowledged goes back to its place, before what was never looked at.
pub async fn a_released_lane_gives_back_in_order(queue: Arc<dyn Queue>) {
    let host = host();
    let jobs = publish(&*queue, &host, 10).await;
    let mut first = lane(&*queue, &host).await;
    let head = next(&mut *first).await;
    next(&mut *first).await;
    first.done_through(head.tag).await.expect("acknowledged");
    first.release().await.expect("released");
    let mut second = lane(&*queue, &host).await;
    for job in &jobs[1..] {
        let delivery = next(&mut *second).await;
        assert_eq!(delivery.job.as_ref().expect("readable"), job);
        assert!(delivery.redelivered || *job != jobs[1], "what was in hands before says so");
    }
    second.release().await.expect("released");
}

/// One lane at a time; the next may have it as soon as `release` has returned.
pub async fn a_lane_is_exclusive(queue: Arc<dyn Queue>) {
    let host = host();
    publish(&*queue, &host, 1).await;
    for _ in 0..5 {
        let held = lane(&*queue, &host).await;
        assert!(matches!(queue.open_lane(&host, 64).await.expect("asked"), LaneOpening::Held));
        held.release().await.expect("released");
    }
}

/// A message that is put aside leaves the queue; its neighbours stay.
pub async fn a_buried_message_is_gone_and_its_neighbours_are_not(queue: Arc<dyn Queue>) {
    let host = host();
    let jobs = publish(&*queue, &host, 3).await;
    let mut taken = lane(&*queue, &host).await;
    next(&mut *taken).await;
    let poison = next(&mut *taken).await;
    next(&mut *taken).await;
    taken.bury(poison.tag, "cannot be read", moment()).await.expect("put aside");
    taken.release().await.expect("released");
    assert_eq!(queue.depth(&host).await.expect("asked").messages, 2);
    let mut again = lane(&*queue, &host).await;
    for job in [&jobs[0], &jobs[2]] {
        assert_eq!(next(&mut *again).await.job.as_ref().expect("readable"), job);
    }
    again.release().await.expect("released");
}

/// What was put aside is found as it was, in order, and looking takes nothing; no more is in hand than was asked for.
pub async fn what_is_put_aside_is_kept_as_it_was(queue: Arc<dyn Queue>) {
    let host = host();
    let jobs = bury(&*queue, &host, 3).await;
    for _ in 0..2 {
        let mut reader = dead(&*queue, 2).await;
        for job in &jobs[..2] {
            let message = next_dead(&mut *reader).await;
            assert_eq!(message.job().as_ref(), Ok(job));
            assert_eq!((message.id.as_str(), message.ticket()), (&*job.ticket.to_string(), Some(job.ticket)));
            assert_eq!((message.host.as_ref(), message.put_aside_at), (Some(&host), Some(moment())));
            assert_eq!(message.reason, "for a test");
        }
        assert!(reader.next().await.expect("readable").is_none(), "more than was asked for");
        assert_eq!(reader.left().await.expect("asked"), 1);
        reader.release().await.expect("released");
    }
}

/// One reader at a time; the next may have it as soon as `release` has returned.
pub async fn the_dead_queue_has_one_reader(queue: Arc<dyn Queue>) {
    for _ in 0..3 {
        let held = dead(&*queue, 10).await;
        assert!(queue.open_dead(10).await.expect("asked").is_none());
        held.release().await.expect("released");
    }
}

/// A message goes back to its host as it was, and away for good when that is said; the others stay.
pub async fn a_message_put_back_is_its_hosts_again(queue: Arc<dyn Queue>) {
    let host = host();
    let jobs = bury(&*queue, &host, 4).await;
    let mut reader = dead(&*queue, 10).await;
    let (first, second) = (next_dead(&mut *reader).await, next_dead(&mut *reader).await);
    next_dead(&mut *reader).await;
    reader.discard(first.tag).await.expect("discarded");
    reader.put_back(second.tag, &host).await.expect("put back");
    reader.discard(second.tag).await.expect("and discarded");
    reader.put_back(second.tag, &host).await.expect_err("it is not in hand any more");
    reader.discard(first.tag).await.expect_err("nor is this one");
    reader.release().await.expect("released");
    let mut lane = lane(&*queue, &host).await;
    let delivery = next(&mut *lane).await;
    assert_eq!((delivery.job.as_ref(), delivery.ticket), (Ok(&jobs[1]), Some(jobs[1].ticket)));
    assert!(lane.next_ready().expect("readable").is_none());
    lane.release().await.expect("released");
    let mut reader = dead(&*queue, 10).await;
    for job in &jobs[2..] {
        assert_eq!(next_dead(&mut *reader).await.job().as_ref(), Ok(job));
    }
    assert!(reader.next().await.expect("readable").is_none());
    reader.release().await.expect("released");
}

/// A bell names its host, and rings until it is answered.
pub async fn a_bell_rings_until_answered(queue: Arc<dyn Queue>) {
    let host = host();
    queue.ring(&host, BellDelay::Now).await.expect("rung");
    let mut bells = queue.bells(4).await.expect("listening");
    assert_eq!(*next_bell(&mut *bells).await.host(), host);
    bells.close().await;
    let mut bells = queue.bells(4).await.expect("listening again");
    next_bell(&mut *bells).await.answered().await.expect("answered");
    bells.close().await;
    queue.ring(&host, BellDelay::Ms200).await.expect("rung");
    let mut bells = queue.bells(4).await.expect("listening once more");
    // The next one is the delayed one: the answered one is gone.
    let began = Instant::now();
    next_bell(&mut *bells).await.answered().await.expect("answered");
    assert!(
        began.elapsed() >= Duration::from_millis(100),
        "a delayed bell is delayed: {:?}",
        began.elapsed()
    );
    bells.close().await;
}

/// No more bells than the prefetch are in unanswered hands.
pub async fn bells_in_hand_are_bounded(queue: Arc<dyn Queue>) {
    for _ in 0..3 {
        queue.ring(&host(), BellDelay::Now).await.expect("rung");
    }
    let mut bells = queue.bells(2).await.expect("listening");
    let first = next_bell(&mut *bells).await;
    let _second = next_bell(&mut *bells).await;
    let third = tokio::time::timeout(Duration::from_millis(300), bells.next()).await;
    assert!(third.is_err(), "a third bell came although two are in hand");
    first.answered().await.expect("answered");
    next_bell(&mut *bells).await;
    bells.close().await;
}

/// A burst larger than the publishing window is confirmed whole.
pub async fn a_burst_is_confirmed_whole(queue: Arc<dyn Queue>) {
    let host = host();
    let burst = (0..500).map(|_| {
        let (queue, job) = (Arc::clone(&queue), job_on(&host));
        async move { queue.publish(&job).await }
    });
    for published in futures_util::future::join_all(burst).await {
        published.expect("published");
    }
    assert_eq!(queue.depth(&host).await.expect("asked").messages, 500);
}

/// A burst that goes to a busy host and to hosts nobody submitted for before: every job is on its own host's queue,
/// once. What the broker says of one message must not be taken for the word on another.
pub async fn a_burst_over_old_and_new_hosts_is_kept_whole(queue: Arc<dyn Queue>) {
    let busy = host();
    publish(&*queue, &busy, 1).await;
    let new: Vec<HostKey> = (0..100).map(|_| host()).collect();
    let burst = new.iter().flat_map(|host| [host, &busy, &busy]).map(|host| {
        let (queue, job) = (Arc::clone(&queue), job_on(host));
        async move { queue.publish(&job).await }
    });
    for published in futures_util::future::join_all(burst).await {
        published.expect("published");
    }
    for host in &new {
        assert_eq!(queue.depth(host).await.expect("asked").messages, 1, "{host}");
    }
    assert_eq!(queue.depth(&busy).await.expect("asked").messages, 201);
}
