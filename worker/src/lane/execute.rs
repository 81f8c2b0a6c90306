//! Step 3: one transaction on the host, and after its COMMIT the grants in other databases (3b).
//!
//! All answers to the DDL are read before COMMIT is sent: a COMMIT after an error would answer success and roll
//! back. At the first error everything is rolled back and the jobs run one by one, each under a savepoint, so that
//! the one at fault fails alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rolecall_shared::ddl::Statement;
use rolecall_shared::domain::ticket::{Ending, Outcome};
use rolecall_shared::domain::{Code, Failure, Job, Profile, RoleName, Target, TargetKey, TicketId};
use rolecall_shared::failpoints::{Failpoint, reach};
use rolecall_shared::retry::delay_after;
use rolecall_shared::target::{RoleProbe, Session, TargetError, Verdict};
use rolecall_shared::tickets::Touched;

use super::opening::HostSession;
use super::{Trouble, grants, secrets};
use crate::Worker;
use crate::jobs::{self, Decision, Done, Facts};
use secrets::Prepared;

/// How often a statement is tried again in place when the server asks for it.
const TRIES_IN_PLACE: u32 = 6;

/// A claimed job.
pub(super) struct Item {
    pub(super) tag: u64,
    pub(super) job: Job,
    /// Its last start had no outcome; how often it was started alone, this time included.
    pub(super) alone: Option<u32>,
}

/// A job and how it ended.
pub(super) struct Ended {
    pub(super) tag: u64,
    pub(super) job: Job,
    pub(super) ending: Ending,
    pub(super) attempts: u32,
    /// The sealed password as it was stored before the DDL, if the ending has one.
    pub(super) sealed: Option<Vec<u8>>,
}

/// The job was started too often: its message is kept for people to look at.
pub(super) fn is_spent(ending: &Ending) -> bool {
    matches!(ending, Ending::Failed { code: Code::AttemptsExhausted, .. })
}

/// Nothing ended.
pub(super) struct Stopped {
    pub(super) trouble: Trouble,
    /// How the tickets are given back. `None` after a COMMIT whose answer did not come: they stay as they are, and
    /// the next start counts as one after a start without outcome.
    pub(super) give_back: Option<Touched>,
}

impl<T: Into<Trouble>> From<T> for Stopped {
    fn from(trouble: T) -> Self {
        Self { trouble: trouble.into(), give_back: Some(Touched::No) }
    }
}

pub(super) struct Execution<'a> {
    pub(super) worker: &'a Worker,
    pub(super) targets: &'a BTreeMap<TargetKey, Target>,
}

/// A job that can run: everything it needs was found.
struct Ready<'a> {
    item: &'a Item,
    target: &'a Target,
    profile: Option<&'a Profile>,
    prepared: Option<&'a Prepared>,
}

/// What the transaction did, by position.
type Outcomes = Vec<Result<Done, Ending>>;

enum Together {
    Committed(Outcomes),
    /// A statement failed; nothing was changed.
    OneByOne,
}

impl Execution<'_> {
    /// Takes a part through steps 2 and 3. `Ok` has an ending for every item.
    ///
    /// Without a session, on a host that has lost its last target, every job ends as `target_changed`.
    pub(super) async fn run(
        &self,
        items: Vec<Item>,
        host: Option<&mut HostSession>,
    ) -> Result<Vec<Ended>, Stopped> {
        let jobs: Vec<&Job> = items.iter().map(|item| &item.job).collect();
        let prepared = secrets::prepare(self.worker, &jobs).await?;
        let mut endings: BTreeMap<TicketId, Ending> = BTreeMap::new();
        let mut ready = Vec::with_capacity(items.len());
        for item in &items {
            match self.ready(item, &prepared, host.is_some()) {
                Ok(found) => ready.push(found),
                Err(ending) => drop(endings.insert(item.job.ticket, ending)),
            }
        }
        if let (Some(first), Some(host)) = (ready.first(), host) {
            match host.log_in_for(self.worker, first.target).await {
                Ok(()) => endings.extend(self.run_on(&ready, host.session()).await?),
                // A fault of this log-in that time does not heal; the host's other targets go on.
                Err(Trouble::Host(TargetError { verdict: Verdict::Permanent { code, detail }, .. })) => {
                    endings.extend(ready.iter().map(|ready| (ready.item.job.ticket, failed(code, &detail))));
                }
                Err(trouble) => return Err(trouble.into()),
            }
        }
        Ok(items
            .into_iter()
            .filter_map(|Item { tag, job, alone }| {
                let ending = endings.remove(&job.ticket)?;
                let sealed = prepared.get(&job.ticket).filter(|_| ending.has_secret());
                let sealed = sealed.map(|prepared| prepared.sealed.clone());
                Some(Ended { tag, job, ending, attempts: alone.unwrap_or(0), sealed })
            })
            .collect())
    }

    /// The transaction, and what follows its COMMIT.
    async fn run_on(
        &self,
        ready: &[Ready<'_>],
        session: &Session,
    ) -> Result<Vec<(TicketId, Ending)>, Stopped> {
        let outcomes = match self.together(ready, session).await? {
            Together::Committed(outcomes) => outcomes,
            Together::OneByOne => self.one_by_one(ready, session).await?,
        };
        let mut endings = Vec::with_capacity(ready.len());
        for (ready, outcome) in ready.iter().zip(outcomes) {
            let ending = match outcome {
                // It is committed: what is not said now is found done when the jobs run again.
                Ok(done) => self.succeeded(ready, done, session).await.map_err(|trouble| Stopped {
                    trouble: Trouble::Host(trouble),
                    give_back: Some(Touched::Perhaps),
                })?,
                Err(ending) => ending,
            };
            endings.push((ready.item.job.ticket, ending));
        }
        Ok(endings)
    }

    fn ready<'b>(
        &'b self,
        item: &'b Item,
        prepared: &'b BTreeMap<TicketId, Prepared>,
        has_session: bool,
    ) -> Result<Ready<'b>, Ending> {
        let target = self.targets.get(&item.job.target).filter(|_| has_session).ok_or_else(|| {
            failed(
                Code::TargetChanged,
                "The target was removed, or moved to another host, after the job was accepted.",
            )
        })?;
        let profile = match item.job.operation.kind() {
            Some(kind) => Some(self.worker.settings.profiles.find(kind).ok_or_else(|| {
                failed(
                    Code::UnknownKind,
                    "The kind was removed from the configuration after the job was accepted.",
                )
            })?),
            None => None,
        };
        Ok(Ready { item, target, profile, prepared: prepared.get(&item.job.ticket) })
    }

    /// All jobs in one transaction, their DDL in one round trip.
    async fn together(&self, ready: &[Ready<'_>], session: &Session) -> Result<Together, Stopped> {
        session.execute(&[Statement::Begin]).await?;
        reach(Failpoint::AfterBegin);
        let roles: Vec<RoleName> = ready
            .iter()
            .map(|r| r.item.job.operation.role().clone())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let mut known = match session.probe(&roles).await {
            Ok(known) => known,
            Err(error) => return not_the_hosts(error, session).await,
        };
        let facts = self.facts(ready, ready, &known).await?;
        let mut statements = Vec::new();
        let mut outcomes = Vec::with_capacity(ready.len());
        for ready in ready {
            // What an earlier job of this transaction does to a role, the next one finds.
            outcomes.push(match self.decide(ready, &known, &facts) {
                Decision::Apply { statements: more, done, leaves } => {
                    statements.extend(more);
                    if let Some((role, probe)) = leaves {
                        known.insert(role, probe);
                    }
                    Ok(done)
                }
                Decision::End(ending) => Err(ending),
                Decision::Already(done) => Ok(done),
            });
        }
        if !statements.is_empty()
            && let Err(error) = session.execute(&statements).await
        {
            return not_the_hosts(error, session).await;
        }
        commit(session).await?;
        Ok(Together::Committed(outcomes))
    }

    /// The second run: one transaction again, but a savepoint for each job.
    async fn one_by_one(&self, ready: &[Ready<'_>], session: &Session) -> Result<Outcomes, Stopped> {
        session.execute(&[Statement::Begin]).await?;
        let mut outcomes = Vec::with_capacity(ready.len());
        for one in ready {
            outcomes.push(self.alone(one, ready, session).await?);
        }
        commit(session).await?;
        Ok(outcomes)
    }

    async fn alone(
        &self,
        ready: &Ready<'_>,
        part: &[Ready<'_>],
        session: &Session,
    ) -> Result<Result<Done, Ending>, Stopped> {
        let role = ready.item.job.operation.role().clone();
        for tries in 0..TRIES_IN_PLACE {
            // Around the look as well: whatever is refused is refused to this job alone.
            session.execute(&[Statement::Savepoint(1)]).await?;
            let error = match self.try_alone(ready, part, session, &role).await? {
                Ok(ended) => {
                    session.execute(&[Statement::ReleaseSavepoint(1)]).await?;
                    return Ok(ended);
                }
                Err(error) => error,
            };
            if let Verdict::Host { .. } | Verdict::Login { .. } = error.verdict {
                return Err(error.into());
            }
            session.execute(&[Statement::RollbackToSavepoint(1), Statement::ReleaseSavepoint(1)]).await?;
            if let Verdict::Permanent { code, detail } = error.verdict {
                return Ok(Err(failed(code, &detail)));
            }
            // Somebody made the role meanwhile, or changes it just now: look again.
            tokio::time::sleep(delay_after(tries, Duration::from_millis(20), Duration::from_millis(500)))
                .await;
        }
        Ok(Err(failed(Code::StatementRefused, "The role is being changed by somebody else again and again.")))
    }

    /// Looks at the role, decides and does it; inside, what the target says to that.
    async fn try_alone(
        &self,
        ready: &Ready<'_>,
        part: &[Ready<'_>],
        session: &Session,
        role: &RoleName,
    ) -> Result<Result<Result<Done, Ending>, TargetError>, Stopped> {
        let known = match session.probe(std::slice::from_ref(role)).await {
            Ok(known) => known,
            Err(error) => return Ok(Err(error)),
        };
        let facts = self.facts(std::slice::from_ref(ready), part, &known).await?;
        Ok(match self.decide(ready, &known, &facts) {
            Decision::Apply { statements, done, .. } => session.execute(&statements).await.map(|()| Ok(done)),
            Decision::End(ending) => Ok(Err(ending)),
            Decision::Already(done) => Ok(Ok(done)),
        })
    }

    /// What decisions need beyond the target itself. `part` is everything in the transaction: the role of one job may
    /// have been made by another, which history does not know yet.
    async fn facts(
        &self,
        ready: &[Ready<'_>],
        part: &[Ready<'_>],
        known: &BTreeMap<RoleName, RoleProbe>,
    ) -> Result<Facts, Failure> {
        let jobs = part.iter().map(|ready| &ready.item.job);
        let made_through = jobs.map(|job| (job.ticket, job.target.clone())).collect();
        let mut facts = Facts { made_through, ..Facts::default() };
        let mut makers = BTreeSet::new();
        for ready in ready {
            let job = &ready.item.job;
            let Some(mark) = known.get(job.operation.role()).and_then(|probe| probe.mark.as_ref()) else {
                continue;
            };
            if mark.ticket != job.ticket {
                makers.insert(mark.ticket);
            } else if ready.prepared.is_some_and(|prepared| prepared.fresh)
                && self.worker.control.find_taken(job.ticket).await?.is_some()
            {
                facts.taken.insert(job.ticket);
            }
        }
        let unknown: Vec<TicketId> =
            makers.into_iter().filter(|ticket| !facts.made_through.contains_key(ticket)).collect();
        if !unknown.is_empty() {
            facts.made_through.extend(self.worker.control.find_made_through(&unknown).await?);
        }
        Ok(facts)
    }

    fn decide(&self, ready: &Ready<'_>, known: &BTreeMap<RoleName, RoleProbe>, facts: &Facts) -> Decision {
        let job = &ready.item.job;
        if self.worker.settings.target.protected_roles.contains(job.operation.role()) {
            return Decision::End(failed(
                Code::RoleProtected,
                "The role is on the operator's list of protected roles.",
            ));
        }
        let found = known.get(job.operation.role());
        let decision = jobs::decide(job, found, ready.profile, ready.prepared, facts);
        let spent = ready.item.alone.is_some_and(|attempts| attempts > self.worker.settings.worker.attempts);
        if spent && matches!(decision, Decision::Apply { .. }) {
            // The mark was read: nothing it would do is done yet, and starting it has gone wrong too often.
            return Decision::End(failed(
                Code::AttemptsExhausted,
                "The job was started alone several times and never came to an end; it was put aside.",
            ));
        }
        decision
    }

    /// Step 3b, and the words of success.
    async fn succeeded(
        &self,
        ready: &Ready<'_>,
        Done { outcome, kind }: Done,
        lock: &Session,
    ) -> Result<Ending, TargetError> {
        let missing = match ready.profile {
            Some(profile) if outcome == Outcome::Created && profile.is_read_only() => {
                let role = ready.item.job.operation.role();
                grants::grant_reading(&self.worker.connector, ready.target, role, profile, lock).await?
            }
            Some(_) | None => Vec::new(),
        };
        let lifetime = self.worker.settings.tickets.secret_ttl;
        let secret_expires_at = outcome.has_secret().then(|| self.worker.clock.now() + lifetime);
        Ok(Ending::Succeeded { outcome, missing, secret_expires_at, kind })
    }
}

/// The transaction failed. If that is not the host's trouble, each of its jobs is tried for itself.
async fn not_the_hosts(error: TargetError, session: &Session) -> Result<Together, Stopped> {
    match error.verdict {
        Verdict::Permanent { .. } | Verdict::Exists | Verdict::TryAgain => {
            session.execute(&[Statement::Rollback]).await?;
            Ok(Together::OneByOne)
        }
        Verdict::Host { .. } | Verdict::Login { .. } => Err(error.into()),
    }
}

/// COMMIT, sent when every statement before it has answered.
async fn commit(session: &Session) -> Result<(), Stopped> {
    reach(Failpoint::BeforeCommit);
    session.commit().await.map_err(|error| Stopped {
        give_back: (!error.commit_unknown).then_some(Touched::No),
        trouble: Trouble::Host(error),
    })?;
    reach(Failpoint::AfterCommit);
    Ok(())
}

pub(crate) fn failed(code: Code, detail: &str) -> Ending {
    Ending::Failed { code, detail: detail.to_owned() }
}
