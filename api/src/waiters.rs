//! One subscription that wakes whoever waits for a ticket.
//!
//! Owns the map from ticket to waiting requests. It never reads a ticket itself: a wake-up means "look again", and
//! a waiter subscribes *before* it looks, so that a change between the look and the wait is not missed.
//! Tested below.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rolecall_shared::domain::TicketId;
use rolecall_shared::tickets::Moved;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

type Map = Arc<Mutex<HashMap<TicketId, watch::Sender<u64>>>>;

/// Whoever waits for tickets in this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiters {
    map: Map,
}

/// A place in the line for one ticket; dropping it leaves the line.
#[derive(Debug)]
pub(crate) struct Waiter {
    ticket: TicketId,
    /// Empty only while it is dropped.
    receiver: Option<watch::Receiver<u64>>,
    map: Map,
}

impl Waiters {
    /// Starts the one task that passes on what the ticket store tells; it ends with `stop`.
    pub(crate) fn start(&self, tasks: &TaskTracker, mut moved: Receiver<Moved>, stop: CancellationToken) {
        let waiters = self.clone();
        tasks.spawn(async move {
            loop {
                let told = tokio::select! {
                    () = stop.cancelled() => return,
                    told = moved.recv() => told,
                };
                match told {
                    Ok(Moved::Ticket(ticket)) => waiters.wake(ticket),
                    Ok(Moved::Missed) | Err(RecvError::Lagged(_)) => waiters.wake_all(),
                    Err(RecvError::Closed) => {
                        tracing::error!("the ticket store stopped telling of changes");
                        waiters.wake_all();
                        return;
                    }
                }
            }
        });
    }

    /// Joins the line for a ticket. Look at the ticket after this, not before.
    pub(crate) fn subscribe(&self, ticket: TicketId) -> Waiter {
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = map.entry(ticket).or_insert_with(|| watch::Sender::new(0)).subscribe();
        Waiter { ticket, receiver: Some(receiver), map: Arc::clone(&self.map) }
    }

    fn wake(&self, ticket: TicketId) {
        let map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = map.get(&ticket) {
            sender.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    fn wake_all(&self) {
        let map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        for sender in map.values() {
            sender.send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}

impl Waiter {
    /// Returns when the ticket may have moved since the line was joined or this last returned.
    pub(crate) async fn moved(&mut self) {
        // The sender lives in the map as long as this waiter does, so there is always somebody to wait for.
        if let Some(receiver) = &mut self.receiver {
            let _ = receiver.changed().await;
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        // All of it under the lock: nobody joins between the count and the removal, and of two that leave at once
        // the second counts nobody.
        drop(self.receiver.take());
        if map.get(&self.ticket).is_some_and(|sender| sender.receiver_count() == 0) {
            map.remove(&self.ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::sync::broadcast;

    use super::*;

    fn id(key: &str) -> TicketId {
        TicketId::derived("tests", key)
    }

    struct Line {
        waiters: Waiters,
        store: broadcast::Sender<Moved>,
        stop: CancellationToken,
        tasks: TaskTracker,
    }

    fn line(capacity: usize) -> Line {
        let (store, moved) = broadcast::channel(capacity);
        let (waiters, stop, tasks) = (Waiters::default(), CancellationToken::new(), TaskTracker::new());
        waiters.start(&tasks, moved, stop.clone());
        Line { waiters, store, stop, tasks }
    }

    async fn soon(waiter: &mut Waiter) {
        tokio::time::timeout(Duration::from_secs(10), waiter.moved()).await.expect("a wake-up");
    }

    #[tokio::test]
    async fn a_ticket_wakes_its_own_waiters_only() {
        let line = line(8);
        let (mut first, mut second, mut other) = (
            line.waiters.subscribe(id("a")),
            line.waiters.subscribe(id("a")),
            line.waiters.subscribe(id("b")),
        );
        line.store.send(Moved::Ticket(id("a"))).unwrap();
        soon(&mut first).await;
        soon(&mut second).await;
        assert!(other.moved().now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_wake_up_between_the_look_and_the_wait_is_kept() {
        let line = line(8);
        let (mut early, mut witness) = (line.waiters.subscribe(id("a")), line.waiters.subscribe(id("a")));
        line.store.send(Moved::Ticket(id("a"))).unwrap();
        soon(&mut witness).await;
        assert!(early.moved().now_or_never().is_some());
        assert!(early.moved().now_or_never().is_none());
    }

    #[tokio::test]
    async fn an_interrupted_subscription_wakes_everybody() {
        let line = line(8);
        let (mut one, mut two) = (line.waiters.subscribe(id("a")), line.waiters.subscribe(id("b")));
        line.store.send(Moved::Missed).unwrap();
        soon(&mut one).await;
        soon(&mut two).await;
    }

    #[test]
    fn the_line_is_empty_when_the_last_two_leave_at_once() {
        let (waiters, rounds) = (Waiters::default(), 5_000);
        let turn = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        let waiter = waiters.subscribe(id("a"));
                        turn.wait();
                        drop(waiter);
                        turn.wait();
                        let is_empty = waiters.map.lock().unwrap().is_empty();
                        turn.wait();
                        assert!(is_empty);
                    }
                });
            }
        });
    }

    #[tokio::test]
    async fn the_line_is_empty_when_everybody_left() {
        let line = line(8);
        let (one, two) = (line.waiters.subscribe(id("a")), line.waiters.subscribe(id("a")));
        drop(one);
        assert_eq!(line.waiters.map.lock().unwrap().len(), 1);
        drop(two);
        assert!(line.waiters.map.lock().unwrap().is_empty());
        line.stop.cancel();
        line.tasks.close();
        tokio::time::timeout(Duration::from_secs(10), line.tasks.wait()).await.expect("the task ends");
    }
}
