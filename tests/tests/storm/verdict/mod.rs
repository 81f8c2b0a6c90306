//! What must be true when the storm is over, whatever happened in it. `servers`: what the targets themselves say.

mod servers;

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::stream;
use jiff::Timestamp;
use rolecall_tests::Installation;

use crate::callers::{Accepted, Operation, Password};
use crate::scene::{HOSTS, Place};

/// The jobs of each caller, in the order of its 202s.
pub(crate) type Callers = Vec<Vec<Accepted>>;

/// What was found wrong, and what was measured on the way.
#[derive(Default)]
pub(crate) struct Verdict {
    pub(crate) faults: Vec<String>,
    pub(crate) figures: Vec<String>,
}

/// A row of history.
struct Ended {
    submitted_at: Timestamp,
    finished_at: Timestamp,
}

/// The event of an ending and its place in the audit.
type Ending = (String, i64);

impl Verdict {
    pub(crate) async fn of(installation: &Installation, places: &[Place], callers: &Callers) -> Self {
        let mut verdict = Self::default();
        let jobs: BTreeMap<&str, &Accepted> =
            callers.iter().flatten().map(|job| (job.ticket.as_str(), job)).collect();
        verdict.expect(jobs.len() == callers.iter().map(Vec::len).sum::<usize>(), || {
            "a ticket stands twice".to_owned()
        });
        verdict.every_job_ended_as_it_should(&jobs);
        verdict.history(installation, &jobs).await;
        let endings = verdict.audit(installation, &jobs).await;
        verdict.order(callers, places, &endings);
        verdict.passwords(places, &jobs, &endings).await;
        for number in 1..=HOSTS {
            verdict.server(installation, number, places, &jobs).await;
        }
        verdict.nothing_is_left(installation);
        verdict
    }

    fn expect(&mut self, is_true: bool, otherwise: impl FnOnce() -> String) {
        if !is_true {
            self.faults.push(otherwise());
        }
    }

    fn every_job_ended_as_it_should(&mut self, jobs: &BTreeMap<&str, &Accepted>) {
        for job in jobs.values() {
            let end = job.end.as_ref().expect("a caller waits for all it submitted");
            // Reset and search path come after the create of the same caller, so the role is there.
            self.expect(end.outcome == job.operation.outcome(), || format!("{job:?}"));
        }
    }

    async fn history(&mut self, installation: &Installation, jobs: &BTreeMap<&str, &Accepted>) {
        let control = installation.control.superuser().await;
        let query = "SELECT ticket::text, submitted_at, finished_at, attempts FROM history";
        let rows = control.query(query, &[]).await.unwrap();
        let ended: BTreeMap<String, Ended> = rows
            .iter()
            .map(|row| (row.get(0), Ended { submitted_at: row.get(1), finished_at: row.get(2) }))
            .collect();
        let again = rows.iter().filter(|row| row.get::<_, i32>(3) > 0).count();
        self.figures
            .push(format!("{again} jobs were started again, alone, after a start without an outcome"));
        for ticket in jobs.keys() {
            self.expect(ended.contains_key(*ticket), || format!("history knows no {ticket}"));
        }
        for ticket in ended.keys() {
            self.expect(jobs.contains_key(ticket.as_str()), || format!("nobody was told of {ticket}"));
        }
        let took = |ended: &Ended| ended.finished_at.duration_since(ended.submitted_at).as_secs_f64();
        let longest = ended.values().map(took).fold(0.0, f64::max);
        self.figures.push(format!("the job that waited longest ended after {longest:.1} s"));
        self.figures
            .push(format!("the longest time in which jobs waited and none ended: {:.1} s", silence(&ended)));
    }

    async fn audit(
        &mut self,
        installation: &Installation,
        jobs: &BTreeMap<&str, &Accepted>,
    ) -> BTreeMap<String, Ending> {
        let control = installation.control.superuser().await;
        let query = "SELECT seq, event, ticket::text FROM audit_inbox WHERE ticket IS NOT NULL ORDER BY seq";
        let mut endings: BTreeMap<String, Ending> = BTreeMap::new();
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        for row in control.query(query, &[]).await.unwrap() {
            let (seq, event, ticket): (i64, String, String) = (row.get(0), row.get(1), row.get(2));
            self.expect(jobs.contains_key(ticket.as_str()), || {
                format!("{event} of {ticket}, which nobody knows")
            });
            if event.starts_with("ticket.") {
                let earlier = endings.insert(ticket.clone(), (event, seq));
                self.expect(earlier.is_none(), || format!("{ticket} ended twice"));
            } else {
                self.expect(event == "secret.taken", || format!("{event} of {ticket}"));
                *taken.entry(ticket).or_default() += 1;
            }
        }
        for (ticket, job) in jobs {
            let event = endings.get(*ticket).map(|(event, _)| event.as_str());
            self.expect(event == Some("ticket.succeeded"), || format!("the audit has {event:?} of {job:?}"));
            let has_password = job.end.as_ref().is_some_and(|end| end.password != Password::None);
            let taken = taken.get(*ticket).copied().unwrap_or_default();
            self.expect(taken == usize::from(has_password), || format!("taken {taken} times: {job:?}"));
        }
        endings
    }

    /// Of one caller and one host, jobs ended in the order of their 202s.
    fn order(&mut self, callers: &Callers, places: &[Place], endings: &BTreeMap<String, Ending>) {
        let mut compared = 0;
        for jobs in callers {
            for (number, place) in places.iter().enumerate() {
                let of_host: Vec<_> = jobs.iter().filter(|job| job.place == number).collect();
                for pair in of_host.windows(2) {
                    let seq = |job: &Accepted| endings.get(&job.ticket).map(|(_, seq)| *seq);
                    compared += 1;
                    self.expect(seq(pair[0]) < seq(pair[1]), || {
                        format!("on {} the second came first: {:?} {:?}", place.host, pair[0], pair[1])
                    });
                }
            }
        }
        self.figures.push(format!("{compared} pairs of jobs compared with the order of their 202s"));
    }

    /// Of each role the password that was settled last logs in.
    async fn passwords(
        &mut self,
        places: &[Place],
        jobs: &BTreeMap<&str, &Accepted>,
        endings: &BTreeMap<String, Ending>,
    ) {
        let mut last: BTreeMap<&str, (i64, &Accepted)> = BTreeMap::new();
        for job in jobs.values().filter(|job| job.operation != Operation::SearchPath) {
            let Some((_, seq)) = endings.get(&job.ticket) else { continue };
            let entry = last.entry(&job.role).or_insert((*seq, job));
            if entry.0 < *seq {
                *entry = (*seq, job);
            }
        }
        let tried: Vec<_> = stream::iter(last.values())
            .map(|(_, job)| async move {
                match job.end.as_ref().map(|end| &end.password) {
                    Some(Password::HandedOut(password)) => {
                        (*job, places[job.place].target.accepts(&job.role, password).await)
                    }
                    Some(Password::None | Password::Lost) | None => (*job, false),
                }
            })
            .buffer_unordered(8)
            .collect()
            .await;
        for (job, logs_in) in &tried {
            self.expect(*logs_in, || format!("the last password of {} does not log in: {job:?}", job.role));
        }
        self.figures.push(format!(
            "{} roles, each logged in to with the last password handed out for it",
            tried.len()
        ));
    }

    fn nothing_is_left(&mut self, installation: &Installation) {
        let prefix = installation.setting("rabbitmq.prefix").unwrap_or_default().to_owned();
        let list = installation.stack.run(&["rabbitmqctl", "-q", "list_queues", "name", "messages"]);
        for line in list.lines() {
            let Some((name, messages)) = line.split_once('\t') else { continue };
            let keeps = [format!("{prefix}.host."), format!("{prefix}.dead")];
            if keeps.iter().any(|kept| name.starts_with(kept)) {
                self.expect(messages == "0", || format!("{messages} messages are left in {name}"));
            }
        }
    }
}

/// The longest time between two ends, or a submit and an end, in which some job waited.
fn silence(ended: &BTreeMap<String, Ended>) -> f64 {
    let mut by_end: Vec<&Ended> = ended.values().collect();
    by_end.sort_by_key(|ended| ended.finished_at);
    // The first submit among those that end at this place or later.
    let mut waiting_since: Vec<Timestamp> = by_end.iter().map(|ended| ended.submitted_at).collect();
    for place in (1..waiting_since.len()).rev() {
        waiting_since[place - 1] = waiting_since[place - 1].min(waiting_since[place]);
    }
    let mut longest: f64 = 0.0;
    for (place, ended) in by_end.iter().enumerate() {
        let before = if place == 0 { waiting_since[0] } else { by_end[place - 1].finished_at };
        let since = before.max(waiting_since[place]);
        longest = longest.max(ended.finished_at.duration_since(since).as_secs_f64());
    }
    longest
}
