//! What the targets say: their roles, and their logs of every transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rolecall_tests::{Installation, Target};

use super::Verdict;
use crate::callers::{Accepted, Operation};
use crate::scene::Place;
use crate::server_log::{Fate, Transaction, transactions};

impl Verdict {
    pub(super) async fn server(
        &mut self,
        installation: &Installation,
        number: usize,
        places: &[Place],
        jobs: &BTreeMap<&str, &Accepted>,
    ) {
        let target = installation.target(number);
        let path = installation.stack.get(&format!("STACK_TARGET_{number}_LOG"));
        let all = transactions(Path::new(path));
        let mut committed: BTreeMap<&str, usize> = BTreeMap::new();
        for transaction in all.iter().filter(|transaction| transaction.fate == Fate::Committed) {
            for role in &transaction.created {
                *committed.entry(role).or_default() += 1;
            }
        }
        for (role, times) in committed {
            self.expect(times == 1, || format!("{role} was made {times} times"));
        }
        let made = jobs.iter().filter(|(_, job)| {
            job.operation == Operation::Create && places[job.place].target.port == target.port
        });
        let made = made.map(|(ticket, job)| (job.role.clone(), (*ticket).to_owned())).collect();
        self.roles(target, &installation.id, &made).await;
        self.overlaps(number, &all);
    }

    /// Every role stands there with the mark of its ticket, and none besides.
    async fn roles(&mut self, target: &Target, id: &str, made: &BTreeMap<String, String>) {
        let superuser = target.superuser("postgres").await;
        let query =
            "SELECT rolname::text, shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname LIKE $1";
        let mut there = BTreeSet::new();
        for row in superuser.query(query, &[&format!("%\\_{id}")]).await.unwrap() {
            let (role, mark): (String, Option<String>) = (row.get(0), row.get(1));
            let ticket = mark.as_deref().and_then(|mark| mark.split(':').nth(2));
            self.expect(ticket.is_some() && ticket == made.get(&role).map(String::as_str), || {
                format!("{role} has the mark {mark:?} and was made by {:?}", made.get(&role))
            });
            there.insert(role);
        }
        for role in made.keys() {
            self.expect(there.contains(role), || format!("{role} is not there"));
        }
    }

    fn overlaps(&mut self, number: usize, all: &[Transaction]) {
        let mut gaps = Vec::new();
        let mut last: Option<&Transaction> = None;
        for next in all {
            if let Some(before) = last {
                let follows = before.end.line < next.begin.line && before.end.at <= next.begin.at;
                self.expect(follows, || format!("on target {number} two at a time: {before:?} {next:?}"));
                if before.process != next.process {
                    gaps.push(next.begin.at.duration_since(before.end.at).as_millis());
                }
            }
            if last.is_none_or(|before| before.end.line < next.end.line) {
                last = Some(next);
            }
        }
        let count = |fate| all.iter().filter(|transaction| transaction.fate == fate).count();
        self.expect(count(Fate::Committed) > 0, || format!("the log of target {number} has no transaction"));
        self.figures.push(format!(
            "target {number}: {} transactions, one at a time ({} committed, {} rolled back, {} cut off in COMMIT); {} \
             times the next was another session's, at the soonest after {} ms",
            all.len(),
            count(Fate::Committed),
            count(Fate::RolledBack),
            count(Fate::Unknown),
            gaps.len(),
            gaps.iter().min().copied().unwrap_or_default(),
        ));
    }
}
