//! A batch: what was there, in the order of the queue, taken through the steps in parts.
//!
//! A part is a run of jobs under one log-in that may share a transaction; a job whose last start had no outcome is
//! a part alone. Each part is settled and acknowledged before the next begins, so a crash repeats one part at most.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rolecall_shared::control::Settlement;
use rolecall_shared::domain::{ClaimId, Code, Failure, HostKey, Job, Target, TargetKey, TicketId};
use rolecall_shared::failpoints::{Failpoint, reach};
use rolecall_shared::queue::{Delivery, LaneQueue};
use rolecall_shared::tickets::{Claimed, Settled, Touched};

use super::execute::{Execution, Item, is_spent};
use super::opening::HostSession;
use super::{Trouble, settle};
use crate::{Worker, reaper, rebuilder};

/// How often a batch is claimed before it is given up: once, and once more for each thing found missing.
const CLAIMS: usize = 4;

pub(super) struct Batch<'a> {
    pub(super) worker: &'a Worker,
    pub(super) host: &'a HostKey,
    pub(super) targets: &'a BTreeMap<TargetKey, Target>,
}

/// A delivery whose job could be read.
struct InHand {
    tag: u64,
    redelivered: bool,
    job: Job,
}

impl Batch<'_> {
    pub(super) async fn run(
        &self,
        deliveries: Vec<Delivery>,
        queue: &mut dyn LaneQueue,
        mut session: Option<&mut HostSession>,
    ) -> Result<(), Trouble> {
        let last_tag = deliveries.last().map(|delivery| delivery.tag);
        let readable = self.put_aside_unreadable(deliveries, queue).await?;
        let mut waiting = self.without_copies_and_ended(readable, queue).await?;
        while !waiting.is_empty() {
            let part = self.next_part(&mut waiting).await?;
            self.run_part(part, queue, session.as_deref_mut()).await?;
            reach(Failpoint::BeforeAck);
            if let Some(next) = waiting.front() {
                // Everything before the next one is settled.
                queue.done_through(next.tag - 1).await?;
            }
        }
        if let Some(tag) = last_tag {
            queue.done_through(tag).await?;
        }
        reach(Failpoint::AfterAck);
        Ok(())
    }

    /// A message of an unknown version or form waits on the dead queue for a release that can read it.
    async fn put_aside_unreadable(
        &self,
        deliveries: Vec<Delivery>,
        queue: &mut dyn LaneQueue,
    ) -> Result<Vec<InHand>, Failure> {
        let mut readable = Vec::with_capacity(deliveries.len());
        for Delivery { tag, redelivered, ticket, job } in deliveries {
            match job {
                Ok(job) => readable.push(InHand { tag, redelivered, job }),
                Err(undecodable) => {
                    let reason = undecodable.to_string();
                    tracing::error!(host = %self.host, ticket = ticket.map(|t| t.to_string()), reason, "message put aside");
                    queue.bury(tag, &reason, self.worker.clock.now()).await?;
                    if let Some(ticket) = ticket {
                        self.worker.tickets.dead_letter(ticket, &reason).await?;
                    }
                }
            }
        }
        Ok(readable)
    }

    /// Drops second copies, and whatever ended before: a redelivered job may have been settled by a lane that died
    /// before it could acknowledge, and only history knows.
    async fn without_copies_and_ended(
        &self,
        jobs: Vec<InHand>,
        queue: &mut dyn LaneQueue,
    ) -> Result<VecDeque<InHand>, Failure> {
        let mut seen = BTreeSet::new();
        let jobs: Vec<InHand> = jobs.into_iter().filter(|item| seen.insert(item.job.ticket)).collect();
        let redelivered: Vec<TicketId> =
            jobs.iter().filter(|i| i.redelivered).map(|i| i.job.ticket).collect();
        let ended = self.end_from_history(&redelivered).await?;
        let now = self.worker.clock.now();
        let mut waiting = VecDeque::with_capacity(jobs.len());
        for item in jobs {
            if let Some(settlement) = ended.get(&item.job.ticket) {
                if is_spent(&settlement.ending) {
                    // That lane died before it could put the message aside. Aside twice does no harm.
                    self.put_aside_spent(item.tag, queue).await?;
                }
                continue;
            }
            // The reaper may be behind; a job is not begun after its deadline.
            if item.job.deadline_at <= now && reaper::expire(self.worker, item.job.ticket).await? {
                continue;
            }
            waiting.push_back(item);
        }
        Ok(waiting)
    }

    async fn put_aside_spent(&self, tag: u64, queue: &mut dyn LaneQueue) -> Result<(), Failure> {
        queue.bury(tag, Code::AttemptsExhausted.as_str(), self.worker.clock.now()).await
    }

    /// Finishes tickets that history already knows; answers which, and how they ended.
    async fn end_from_history(
        &self,
        tickets: &[TicketId],
    ) -> Result<BTreeMap<TicketId, Settlement>, Failure> {
        if tickets.is_empty() {
            return Ok(BTreeMap::new());
        }
        let known = self.worker.control.find_history(tickets).await?;
        for Settlement { job, ending, finished_at, .. } in known.values().cloned() {
            self.worker.tickets.restore_final(&Settled { job, ending, finished_at }).await?;
        }
        Ok(known)
    }

    /// Claims the next jobs that may share a transaction and takes them off `waiting`, together with those that
    /// turn out to need nothing.
    async fn next_part(&self, waiting: &mut VecDeque<InHand>) -> Result<Part, Failure> {
        let (tags, candidates): (Vec<u64>, Vec<Job>) =
            self.one_login(waiting).map(|item| (item.tag, item.job.clone())).unzip();
        let claim = ClaimId::new();
        reach(Failpoint::BeforeClaim);
        let claimed = match self.claim(claim, &candidates).await {
            Ok(claimed) => claimed,
            Err(failure) => {
                // Nothing was begun: whatever was claimed on the way is not to look as if it had been.
                let tickets: Vec<TicketId> = candidates.iter().map(|job| job.ticket).collect();
                self.worker.tickets.give_back(claim, &tickets, Touched::No).await?;
                return Err(failure);
            }
        };
        reach(Failpoint::AfterClaim);
        waiting.drain(..claimed.len());
        let items =
            tags.into_iter().zip(candidates).zip(claimed).filter_map(|((tag, job), claimed)| match claimed {
                Claimed::Started => Some(Item { tag, job, alone: None }),
                Claimed::Alone { attempts } => Some(Item { tag, job, alone: Some(attempts) }),
                Claimed::Final(_) | Claimed::Closing(..) | Claimed::Unknown => None,
            });
        Ok(Part { claim, items: items.collect() })
    }

    /// Claims, until no ticket is unknown to the store and none is on its way to an end.
    async fn claim(&self, claim: ClaimId, jobs: &[Job]) -> Result<Vec<Claimed>, Failure> {
        // Asked again with the same claim the store answers the same and counts nothing.
        for _ in 0..CLAIMS {
            let claimed = self.worker.tickets.claim(claim, jobs).await?;
            let mut unknown: Vec<Job> = Vec::new();
            let mut is_settled = true;
            for (job, claimed) in jobs.iter().zip(&claimed) {
                match claimed {
                    Claimed::Started | Claimed::Alone { .. } | Claimed::Final(_) => {}
                    Claimed::Closing(ticket, closing) => {
                        is_settled = false;
                        reaper::finish_closing(self.worker, ticket, *closing).await?;
                    }
                    Claimed::Unknown => unknown.push(job.clone()),
                }
            }
            if is_settled && unknown.is_empty() {
                return Ok(claimed);
            }
            rebuilder::from_messages(self.worker, &unknown).await?;
        }
        Err(Failure::internal("the ticket store forgets a ticket again and again"))
    }

    /// The leading jobs whose targets are logged in to alike; a job whose target is gone goes with any.
    fn one_login<'b>(&'b self, waiting: &'b VecDeque<InHand>) -> impl Iterator<Item = &'b InHand> {
        let login = |item: &InHand| self.target_of(&item.job).map(|target| &target.login);
        let first = waiting.iter().find_map(login);
        waiting.iter().take_while(move |item| login(item).is_none_or(|own| Some(own) == first))
    }

    /// The target of a job, if it still stands on the host for which the job was queued.
    fn target_of(&self, job: &Job) -> Option<&Target> {
        self.targets.get(&job.target)
    }

    async fn run_part(
        &self,
        part: Part,
        queue: &mut dyn LaneQueue,
        session: Option<&mut HostSession>,
    ) -> Result<(), Trouble> {
        let Part { claim, items } = part;
        if items.is_empty() {
            return Ok(());
        }
        let tickets: Vec<TicketId> = items.iter().map(|item| item.job.ticket).collect();
        let execution = Execution { worker: self.worker, targets: self.targets };
        match execution.run(items, session).await {
            Ok(ended) => {
                let spent: Vec<u64> =
                    ended.iter().filter(|ended| is_spent(&ended.ending)).map(|ended| ended.tag).collect();
                if let Err(failure) = settle::settle(self.worker, claim, ended).await {
                    // Done on the host, and not yet said. It is done again, which changes nothing, and no attempt
                    // is spent on our own servers' account.
                    self.worker.tickets.give_back(claim, &tickets, Touched::Perhaps).await?;
                    return Err(failure.into());
                }
                for tag in spent {
                    self.put_aside_spent(tag, queue).await?;
                }
                Ok(())
            }
            Err(stopped) => {
                if let Some(touched) = stopped.give_back {
                    self.worker.tickets.give_back(claim, &tickets, touched).await?;
                }
                Err(stopped.trouble)
            }
        }
    }
}

/// Jobs claimed together.
struct Part {
    claim: ClaimId,
    items: Vec<Item>,
}
