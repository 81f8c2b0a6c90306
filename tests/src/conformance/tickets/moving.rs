//! What moves is told.

use std::time::Duration;

use rolecall_shared::domain::{ClaimId, TicketId};
use rolecall_shared::tickets::{Moved, Tickets};
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

use super::{Subject, job, settled, succeeded};
use crate::conformance::eventually;

/// Waits until the subscription carries: a ticket written just now is told.
///
/// # Panics
/// When it does not carry within 20 s.
pub async fn carries(tickets: &dyn Tickets, moves: &mut Receiver<Moved>) {
    eventually("a move is told", Duration::from_secs(20), async || {
        let job = job();
        tickets.accept(&job).await.ok()?;
        let told = async { while next(moves).await != Moved::Ticket(job.ticket) {} };
        timeout(Duration::from_millis(200), told).await.ok()
    })
    .await;
}

/// The next that is told; what a slow receiver lost counts as missed.
pub async fn next(moves: &mut Receiver<Moved>) -> Moved {
    moves.recv().await.unwrap_or(Moved::Missed)
}

/// accept, enqueue, claim, settle: four changes, told in order, and a change that was refused is not told.
pub async fn every_change_is_told_once_in_order(subject: Subject) {
    let tickets = &subject.tickets;
    let mut moves = tickets.moved();
    carries(tickets.as_ref(), &mut moves).await;

    let (first, last, claim) = (job(), job(), ClaimId::new());
    subject.queue(&first).await;
    tickets.enqueue(first.ticket, &first.host).await.expect("an answer");
    subject.claim(claim, [&first]).await;
    subject.claim(claim, [&first]).await;
    tickets.withdraw(first.ticket).await.expect("an answer");
    for _ in 0..2 {
        tickets.settle(claim, &[settled(&first, succeeded())]).await.expect("settled");
    }
    tickets.accept(&last).await.expect("accepted");

    let told = async {
        let mut told: Vec<TicketId> = Vec::new();
        while told.last() != Some(&last.ticket) {
            match next(&mut moves).await {
                Moved::Ticket(ticket) => told.push(ticket),
                Moved::Missed => panic!("the subscription was interrupted after {told:?}"),
            }
        }
        told
    };
    let told = timeout(Duration::from_secs(20), told).await.expect("all are told");
    assert_eq!(told, [first.ticket, first.ticket, first.ticket, first.ticket, last.ticket]);
}
