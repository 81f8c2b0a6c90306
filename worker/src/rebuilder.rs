//! Tickets of waiting messages, after the ticket store was lost or came back older than it was.
//!
//! A message carries all of its ticket, and a lane that meets one without a ticket rebuilds it. But a queue may be long,
//! or its host paused, and until a lane is there nobody could tell a ticket that waits from one that never was. So
//! after every start of the store one worker reads every queue to its end, as its only consumer, acknowledges nothing,
//! and gives everything back in its place.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use rolecall_shared::control::Settlement;
use rolecall_shared::domain::{ClaimId, Failure, HostKey, Job};
use rolecall_shared::queue::{Depth, LaneOpening, LaneQueue};
use rolecall_shared::tickets::{REBUILDING_SILENCE, Settled};

use crate::{Worker, reaper};

/// Queues that are read at once.
const HOSTS: usize = 4;
/// Tickets that are rebuilt at once.
const WINDOW: usize = 64;
/// Jobs that are looked up in history together.
const TOGETHER: usize = 256;
/// How often the store is asked whether it is whole. Until it is, callers with an `Idempotency-Key` wait.
const LOOK: Duration = Duration::from_millis(250);
/// How long a message is waited for that the broker has counted, and how long one that it has not.
const COUNTED: Duration = Duration::from_secs(2);
const UNCOUNTED: Duration = Duration::from_millis(50);
/// How long until a queue that a lane holds is asked for again: lanes take turns with whoever asks.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Looks for as long as the worker runs.
pub(crate) async fn run(worker: Arc<Worker>) {
    loop {
        if let Err(failure) = rebuild(&worker).await {
            tracing::debug!(%failure, cause = failure.cause_chain(), "whether tickets are missing is not known");
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn rebuild(worker: &Worker) -> Result<(), Failure> {
    let name = ClaimId::new().to_string();
    if worker.tickets.is_whole().await? || !worker.tickets.begin_rebuilding(&name).await? {
        return Ok(());
    }
    let rebuilt = read_queues(worker, &name).await;
    if rebuilt.is_err() {
        worker.tickets.give_up_rebuilding(&name).await?;
    }
    if let Some(messages) = rebuilt?
        && worker.tickets.end_rebuilding(&name).await?
    {
        tracing::info!(messages, "the ticket store was started anew and holds every waiting ticket again");
    }
    Ok(())
}

/// Answers how many messages wait; none if this rebuilding does not count any more.
async fn read_queues(worker: &Worker, name: &str) -> Result<Option<u64>, Failure> {
    let hosts = worker.control.list_hosts().await?;
    let read = stream::iter(hosts).map(|host| async move { read_queue(worker, &host.key).await });
    let read = read.buffer_unordered(HOSTS).try_fold(0, async |all, one| Ok(all + one));
    tokio::select! {
        messages = read => messages.map(Some),
        lost = keep(worker, name) => lost.map(|()| None),
    }
}

/// Says that this rebuilding goes on; returns when it does not count any more.
async fn keep(worker: &Worker, name: &str) -> Result<(), Failure> {
    loop {
        tokio::time::sleep(REBUILDING_SILENCE / 4).await;
        if !worker.tickets.keep_rebuilding(name).await? {
            return Ok(());
        }
    }
}

/// Rebuilds the tickets of all messages of a host; answers how many there were.
async fn read_queue(worker: &Worker, host: &HostKey) -> Result<u64, Failure> {
    loop {
        let depth = worker.queue.depth(host).await?;
        if depth == Depth::default() {
            return Ok(0);
        }
        // No limit to what is in hand: the end of the queue is what is looked for.
        match worker.queue.open_lane(host, 0).await? {
            LaneOpening::Missing => return Ok(0),
            LaneOpening::Held => tokio::time::sleep(ASK_AGAIN).await,
            LaneOpening::Open(mut queue) => {
                let read = read_all(worker, queue.as_mut(), depth.messages).await;
                queue.release().await?;
                return read;
            }
        }
    }
}

async fn read_all(worker: &Worker, queue: &mut dyn LaneQueue, counted: u64) -> Result<u64, Failure> {
    let mut messages = 0;
    let mut jobs = Vec::with_capacity(TOGETHER);
    let wait = |messages| if messages < counted { COUNTED } else { UNCOUNTED };
    while let Some(delivery) = queue.next(wait(messages)).await? {
        messages += 1;
        // One that cannot be read has no ticket to rebuild; its lane puts it aside.
        jobs.extend(delivery.job.ok());
        if jobs.len() == TOGETHER {
            from_messages(worker, &std::mem::take(&mut jobs)).await?;
        }
    }
    from_messages(worker, &jobs).await?;
    Ok(messages)
}

/// Writes down the tickets that the store has lost: what ended stays ended, the rest is rebuilt from its message, which
/// changes nothing for a ticket that is there. Not to run after its deadline: it may be one that was withdrawn, so long
/// ago that this is forgotten too.
pub(crate) async fn from_messages(worker: &Worker, jobs: &[Job]) -> Result<(), Failure> {
    if jobs.is_empty() {
        return Ok(());
    }
    let tickets: Vec<_> = jobs.iter().map(|job| job.ticket).collect();
    let ended = worker.control.find_history(&tickets).await?;
    for some in jobs.chunks(WINDOW) {
        try_join_all(some.iter().map(|job| from_message(worker, job, ended.get(&job.ticket)))).await?;
    }
    Ok(())
}

async fn from_message(worker: &Worker, job: &Job, ended: Option<&Settlement>) -> Result<(), Failure> {
    if let Some(Settlement { job, ending, finished_at, .. }) = ended.cloned() {
        return worker.tickets.restore_final(&Settled { job, ending, finished_at }).await;
    }
    worker.tickets.restore_queued(job).await?;
    if job.deadline_at <= worker.clock.now() {
        reaper::expire(worker, job.ticket).await?;
    }
    Ok(())
}
