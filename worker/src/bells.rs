//! Answering the doorbell.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rolecall_shared::domain::{Failure, HostKey};
use rolecall_shared::failpoints::{Failpoint, reach};
use rolecall_shared::queue::{Bell, Bells};
use rolecall_shared::retry::Delays;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Worker;
use crate::lane::{self, Ended};

/// The hosts whose lanes are open in this process: one lane per host.
#[derive(Debug, Default)]
pub(crate) struct OpenLanes(Mutex<HashSet<HostKey>>);

impl OpenLanes {
    /// A host's place in the set; `None` if its lane is open already.
    fn enter(&self, host: &HostKey) -> Option<Place<'_>> {
        let is_new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(host.clone());
        is_new.then(|| Place { lanes: self, host: host.clone() })
    }
}

/// A host's place among the open lanes; given up when dropped, however the lane ends.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    lanes: &'a OpenLanes,
    host: HostKey,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.lanes.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.host);
    }
}

/// Takes bells while our own servers are well, and opens a lane for each.
pub(crate) async fn answer(worker: Arc<Worker>, tasks: TaskTracker, stop: CancellationToken) {
    let mut delays = Delays::full_jitter(Duration::from_millis(100), Duration::from_secs(5));
    let answering = Arc::new(Answering {
        lanes: Semaphore::new(worker.settings.worker.lanes.into()),
        worker,
        open: OpenLanes::default(),
        unwell: Notify::new(),
        stop: stop.clone(),
    });
    while !stop.is_cancelled() {
        let well = stop.run_until_cancelled(answering.listen()).await;
        match well {
            None => return,
            Some(Ok(bells)) => {
                delays.reset();
                answering.take(bells, &tasks).await;
            }
            Some(Err(failure)) => {
                tracing::warn!(%failure, cause = failure.cause_chain(), "no bells are taken");
            }
        }
        stop.run_until_cancelled(tokio::time::sleep(delays.next_delay())).await;
    }
}

struct Answering {
    worker: Arc<Worker>,
    /// `worker.lanes` permits. The prefetch of bells alone does not bound them: a listener that is opened anew gets
    /// a whole prefetch while lanes of the one before are still at work.
    lanes: Semaphore,
    open: OpenLanes,
    /// A lane found one of our own servers away.
    unwell: Notify,
    stop: CancellationToken,
}

impl Answering {
    /// No lane is opened that could not settle what it runs.
    async fn listen(&self) -> Result<Box<dyn Bells>, Failure> {
        self.worker.control.ping().await?;
        self.worker.tickets.ping().await?;
        self.worker.queue.bells(self.worker.settings.worker.lanes).await
    }

    async fn take(self: &Arc<Self>, mut bells: Box<dyn Bells>, tasks: &TaskTracker) {
        loop {
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = self.unwell.notified() => {
                    tracing::warn!("one of our own servers is away: no bells are taken until all are well");
                    break;
                }
                bell = bells.next() => match bell {
                    Ok(bell) => {
                        tasks.spawn(Arc::clone(self).open_lane(bell));
                    }
                    Err(failure) => {
                        tracing::warn!(%failure, cause = failure.cause_chain(), "the doorbell is silent");
                        break;
                    }
                }
            }
        }
        bells.close().await;
    }

    async fn open_lane(self: Arc<Self>, bell: Box<dyn Bell>) {
        let host = bell.host().clone();
        let Ok(_permit) = self.lanes.acquire().await else { return };
        if let Some(place) = self.open.enter(&host) {
            let ended = lane::turn(&self.worker, &host, place, &self.stop).await;
            self.worker.metrics.turn_ended(ended.as_str());
            tracing::debug!(%host, ended = ended.as_str(), "turn over");
            if ended == Ended::OurServers {
                // Unanswered: it rings again when we listen again.
                self.unwell.notify_one();
                return;
            }
        }
        reach(Failpoint::BeforeBell);
        // A host that is worked on here sees its new jobs by itself: the lane looks at the depth once more after
        // it has left the set.
        if let Err(failure) = bell.answered().await {
            tracing::debug!(%host, %failure, "the bell will ring again");
        }
    }
}
