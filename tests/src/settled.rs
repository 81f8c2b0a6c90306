//! What the audit says about the endings of jobs, in the order in which it was written down.
//!
//! Asks the control database itself: a suite that ends processes needs no api for it.

use std::collections::BTreeSet;

use crate::control::ControlDatabase;

/// The tickets whose jobs succeeded, one entry for each row of the audit, oldest first.
///
/// Rows of one host are written by one lane after the other, so their order is the order in which its jobs were
/// done. Rows of several hosts are mixed.
#[derive(Debug)]
pub struct Settled(Vec<String>);

impl Settled {
    /// As it is now.
    pub async fn read(control: &ControlDatabase) -> Self {
        let query = "SELECT ticket::text FROM audit_inbox WHERE event = 'ticket.succeeded' ORDER BY seq";
        let rows = control.superuser().await.query(query, &[]).await.expect("a migrated database");
        Self(rows.iter().map(|row| row.get(0)).collect())
    }

    /// How many there are.
    pub async fn count(control: &ControlDatabase) -> usize {
        let query = "SELECT count(*) FROM audit_inbox WHERE event = 'ticket.succeeded'";
        let row = control.superuser().await.query_one(query, &[]).await.expect("a migrated database");
        usize::try_from(row.get::<_, i64>(0)).expect("a count")
    }

    /// Those of these tickets, in the order in which they were settled.
    pub fn among(&self, tickets: &[String]) -> Vec<&String> {
        let wanted: BTreeSet<_> = tickets.iter().collect();
        self.0.iter().filter(|ticket| wanted.contains(ticket)).collect()
    }

    /// Panics unless the jobs of one host, in the order of their submission, were settled once each and in that order.
    #[track_caller]
    pub fn assert_once_and_in_order(&self, host: &str, submitted: &[String]) {
        let settled = self.among(submitted);
        for (place, ticket) in submitted.iter().enumerate() {
            let rows = settled.iter().filter(|settled| **settled == ticket).count();
            assert_eq!(rows, 1, "{host}: rows for the job {ticket}, submitted as number {place}");
        }
        let wrong = settled.iter().zip(submitted).position(|(settled, submitted)| *settled != submitted);
        if let Some(place) = wrong {
            let overtook = submitted.iter().position(|ticket| ticket == settled[place]);
            panic!("{host}: the job submitted as number {overtook:?} was settled as number {place}");
        }
    }
}
