//! Requests that are made again and again.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use rolecall_shared::domain::TicketId;

use super::{Subject, job};

async fn join(subject: &Subject, name: &str, fresh: TicketId, spent: Option<TicketId>) -> TicketId {
    subject.tickets.join(name, fresh, spent).await.expect("an answer")
}

/// The first one stays until it is spent, and only whoever knows that it is puts another in its place.
pub async fn the_first_ticket_stands_until_it_is_spent(subject: Subject) {
    let [a, b, c, d] = [(); 4].map(|()| job().ticket);
    assert_eq!(join(&subject, "x", a, None).await, a);
    assert_eq!(join(&subject, "x", b, None).await, a);
    assert_eq!(join(&subject, "y", b, None).await, b, "another request");
    assert_eq!(join(&subject, "x", c, Some(b)).await, a, "it was not that one");
    assert_eq!(join(&subject, "x", c, Some(a)).await, c);
    assert_eq!(join(&subject, "x", d, Some(a)).await, c, "somebody was faster");
}

/// What was not submitted after all stands for nothing, and nobody else's ticket goes with it.
pub async fn who_leaves_takes_nobody_along(subject: Subject) {
    let [a, b] = [(); 2].map(|()| job().ticket);
    assert_eq!(join(&subject, "x", a, None).await, a);
    subject.tickets.leave("x", b).await.expect("an answer");
    assert_eq!(join(&subject, "x", b, None).await, a);
    subject.tickets.leave("x", a).await.expect("an answer");
    subject.tickets.leave("x", a).await.expect("an answer");
    assert_eq!(join(&subject, "x", b, None).await, b);
}

/// Of many at once all are told the same.
pub async fn of_many_at_once_one_stands_for_all(subject: Subject) {
    let subject = Arc::new(subject);
    let spent = job().ticket;
    assert_eq!(join(&subject, "x", spent, None).await, spent);
    for known in [None, Some(spent)] {
        let asked = join_all((0..200).map(|_| {
            let subject = Arc::clone(&subject);
            async move { join(&subject, "x", job().ticket, known).await }
        }));
        let told: BTreeSet<_> = asked.await.into_iter().collect();
        assert_eq!(told.len(), 1, "{known:?}");
        assert_eq!(told.contains(&spent), known.is_none());
    }
}
