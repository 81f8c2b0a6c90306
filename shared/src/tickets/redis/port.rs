//! The port on Redis: each method is one round trip.

use std::time::Duration;

use async_trait::async_trait;
use redis::{Value, cmd, pipe};
use tokio::sync::broadcast;

use super::changes::{self, Finish};
use super::record::{self, Answer, Fields, id, millis};
use super::{RedisTickets, scripts};
use crate::domain::{
    ClaimId, Code, Failure, HostKey, Job, TicketId,
    ticket::{State, Ticket},
};
use crate::tickets::{
    Accepted, BELL_LIFETIME, CLOSING_GRACE, Claimed, Close, ClosingAs, Enqueued, HostState, Moved,
    REBUILDING_SILENCE, Settled, Tickets, Touched,
};

#[async_trait]
impl Tickets for RedisTickets {
    async fn ping(&self) -> Result<(), Failure> {
        self.link.query(&cmd("PING")).await
    }

    async fn accept(&self, job: &Job) -> Result<Accepted, Failure> {
        let mut call = self.call(&scripts::ACCEPT);
        call.key(self.keys.ticket(job.ticket));
        record::job_args(&mut call, job)?;
        call.arg(self.unpromised_lifetime);
        let answer = Answer::read(self.link.invoke(&call).await?)?;
        match answer.word.as_str() {
            "new" => Ok(Accepted::New),
            "known" => Ok(Accepted::Known(record::ticket(answer.rest()?)?)),
            "reused" => Ok(Accepted::Reused),
            _ => Err(answer.unexpected()),
        }
    }

    async fn enqueue(&self, ticket: TicketId, host: &HostKey) -> Result<Enqueued, Failure> {
        let mut call = self.call_on(&scripts::ENQUEUE, ticket);
        call.key(self.keys.bell(host)).key(self.keys.line(host));
        call.arg(millis(BELL_LIFETIME)).arg(self.unpromised_lifetime);
        match self.link.invoke::<(String, bool)>(&call).await? {
            (word, _) if word == "unknown" => {
                let detail = "The ticket store lost the ticket while the job was queued; it may run.";
                Err(Failure::new(Code::OutcomeUnknown, detail).about(ticket))
            }
            (word, ring) => Ok(Enqueued { state: changes::state(&word)?, ring }),
        }
    }

    async fn withdraw(&self, ticket: TicketId) -> Result<Option<State>, Failure> {
        let mut call = self.call_on(&scripts::WITHDRAW, ticket);
        call.arg(self.unpromised_lifetime);
        self.link.invoke::<Option<String>>(&call).await?.as_deref().map(changes::state).transpose()
    }

    async fn find(&self, ticket: TicketId) -> Result<Option<Ticket>, Failure> {
        let fields: Fields = self.link.query(cmd("HGETALL").arg(self.keys.ticket(ticket))).await?;
        (!fields.is_empty()).then(|| record::ticket(fields)).transpose()
    }

    async fn claim(&self, claim: ClaimId, jobs: &[Job]) -> Result<Vec<Claimed>, Failure> {
        let Some(first) = jobs.first() else { return Ok(Vec::new()) };
        let mut call = self.call(&scripts::CLAIM);
        call.key(self.keys.line(&first.host)).arg(claim.to_string());
        for job in jobs {
            call.key(self.keys.ticket(job.ticket)).arg(id(job.ticket)).arg(&job.fingerprint);
        }
        let answers: Vec<Vec<Value>> = self.link.invoke(&call).await?;
        jobs.iter().zip(answers).map(|(job, values)| changes::claimed(job, Answer::read(values)?)).collect()
    }

    async fn give_back(&self, claim: ClaimId, tickets: &[TicketId], touched: Touched) -> Result<(), Failure> {
        if tickets.is_empty() {
            return Ok(());
        }
        let mut call = self.call(&scripts::GIVE_BACK);
        call.arg(claim.to_string()).arg(match touched {
            Touched::No => "0",
            Touched::Perhaps => "1",
        });
        for &ticket in tickets {
            call.key(self.keys.ticket(ticket)).arg(id(ticket));
        }
        self.link.invoke(&call).await
    }

    async fn settle(&self, claim: ClaimId, settled: &[Settled]) -> Result<Vec<bool>, Failure> {
        self.finish(Finish::Settle(claim), settled).await
    }

    async fn restore_queued(&self, job: &Job) -> Result<(), Failure> {
        let mut call = self.call(&scripts::RESTORE_QUEUED);
        call.key(self.keys.ticket(job.ticket)).key(self.keys.line(&job.host));
        record::job_args(&mut call, job)?;
        call.arg(self.unpromised_lifetime);
        self.link.invoke(&call).await
    }

    async fn restore_final(&self, settled: &Settled) -> Result<(), Failure> {
        self.finish(Finish::Restore, std::slice::from_ref(settled)).await.map(drop)
    }

    async fn close(&self, ticket: TicketId, closing: ClosingAs) -> Result<Close, Failure> {
        let mut call = self.call_on(&scripts::CLOSE, ticket);
        call.arg(closing.state().as_str()).arg(millis(CLOSING_GRACE));
        let answer = Answer::read(self.link.invoke(&call).await?)?;
        match answer.word.as_str() {
            "closing" => {
                let (ticket, closing) = record::closing_ticket(answer.rest()?)?;
                Ok(Close::Closing(ticket, closing))
            }
            "not" => Ok(Close::Not(record::ticket(answer.rest()?)?)),
            "unknown" => Ok(Close::Unknown),
            _ => Err(answer.unexpected()),
        }
    }

    async fn closed(&self, settled: &Settled) -> Result<(), Failure> {
        self.finish(Finish::Close, std::slice::from_ref(settled)).await.map(drop)
    }

    async fn due(&self, limit: usize) -> Result<Vec<TicketId>, Failure> {
        let mut call = self.call(&scripts::DUE);
        call.arg(limit).arg(self.keys.ticket_prefix());
        ids(&self.link.invoke::<Vec<String>>(&call).await?)
    }

    async fn unmoved(&self, limit: usize, since: Duration) -> Result<Vec<TicketId>, Failure> {
        let mut call = self.call(&scripts::UNMOVED);
        call.arg(limit).arg(self.keys.ticket_prefix()).arg(millis(since));
        ids(&self.link.invoke::<Vec<String>>(&call).await?)
    }

    async fn position(&self, ticket: TicketId, host: &HostKey) -> Result<Option<u64>, Failure> {
        let mut reads = pipe();
        reads.cmd("HGET").arg(self.keys.ticket(ticket)).arg("place");
        reads.cmd("HGET").arg(self.keys.line(host)).arg("served");
        let (place, served): (Option<u64>, Option<u64>) = self.link.pipeline(&reads).await?;
        // Given back by its lane it is first again, though those behind it may have been looked at.
        Ok(place.map(|place| place.saturating_sub(served.unwrap_or(0)).max(1)))
    }

    async fn is_whole(&self) -> Result<bool, Failure> {
        self.rebuilding("ask", "").await
    }

    async fn begin_rebuilding(&self, name: &str) -> Result<bool, Failure> {
        self.rebuilding("begin", name).await
    }

    async fn keep_rebuilding(&self, name: &str) -> Result<bool, Failure> {
        self.rebuilding("keep", name).await
    }

    async fn give_up_rebuilding(&self, name: &str) -> Result<(), Failure> {
        self.rebuilding("give_up", name).await.map(drop)
    }

    async fn end_rebuilding(&self, name: &str) -> Result<bool, Failure> {
        self.rebuilding("end", name).await
    }

    async fn dead_letter(&self, ticket: TicketId, reason: &str) -> Result<(), Failure> {
        let mut call = self.call_on(&scripts::DEAD_LETTER, ticket);
        call.arg(reason);
        self.link.invoke(&call).await
    }

    async fn keep_secrets(&self, secrets: &[(TicketId, Vec<u8>)]) -> Result<Vec<Vec<u8>>, Failure> {
        if secrets.is_empty() {
            return Ok(Vec::new());
        }
        let mut call = scripts::KEEP_SECRETS.prepare_invoke();
        for (ticket, sealed) in secrets {
            call.key(self.keys.secret(*ticket)).arg(sealed.as_slice());
        }
        self.link.invoke(&call).await
    }

    async fn find_secrets(&self, tickets: &[TicketId]) -> Result<Vec<Option<Vec<u8>>>, Failure> {
        if tickets.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<_> = tickets.iter().map(|&ticket| self.keys.secret(ticket)).collect();
        self.link.query(cmd("MGET").arg(keys)).await
    }

    async fn drop_secret(&self, ticket: TicketId) -> Result<(), Failure> {
        self.link.query(cmd("DEL").arg(self.keys.secret(ticket))).await
    }

    async fn join(&self, name: &str, fresh: TicketId, spent: Option<TicketId>) -> Result<TicketId, Failure> {
        let mut call = scripts::JOIN.key(self.keys.joined(name));
        call.arg(id(fresh)).arg(spent.map(id).unwrap_or_default());
        // The longest a job can wait, and then its password.
        call.arg(self.unpromised_lifetime.saturating_add(self.secret_lifetime));
        self.link.invoke::<String>(&call).await?.parse().map_err(Failure::internal)
    }

    async fn leave(&self, name: &str, ticket: TicketId) -> Result<(), Failure> {
        self.link.invoke(scripts::LEAVE.key(self.keys.joined(name)).arg(id(ticket))).await
    }

    fn moved(&self) -> broadcast::Receiver<Moved> {
        self.moved.subscribe()
    }

    async fn clear_bell(&self, host: &HostKey) -> Result<(), Failure> {
        self.link.query(cmd("DEL").arg(self.keys.bell(host))).await
    }

    async fn want_bell(&self, host: &HostKey) -> Result<bool, Failure> {
        let mut set = cmd("SET");
        set.arg(self.keys.bell(host)).arg("1").arg("NX").arg("PX").arg(millis(BELL_LIFETIME));
        self.link.query(&set).await
    }

    async fn lease(&self, name: &str, lifetime: Duration) -> Result<bool, Failure> {
        let mut set = cmd("SET");
        set.arg(self.keys.lease(name)).arg("1").arg("NX").arg("PX").arg(millis(lifetime));
        self.link.query(&set).await
    }

    async fn host_state(&self, host: &HostKey) -> Result<HostState, Failure> {
        let fields: Fields = self.link.query(cmd("HGETALL").arg(self.keys.host(host))).await?;
        record::host_state(fields)
    }

    async fn host_states(&self, hosts: &[HostKey]) -> Result<Vec<HostState>, Failure> {
        if hosts.is_empty() {
            return Ok(Vec::new());
        }
        let mut reads = pipe();
        for host in hosts {
            reads.cmd("HGETALL").arg(self.keys.host(host));
        }
        let hosts: Vec<Fields> = self.link.pipeline(&reads).await?;
        hosts.into_iter().map(record::host_state).collect()
    }

    async fn block_host(
        &self,
        host: &HostKey,
        code: Code,
        cause: &str,
        delays: (Duration, Duration),
    ) -> Result<Duration, Failure> {
        let mut call = scripts::BLOCK_HOST.key(self.keys.host(host));
        call.arg(code.as_str()).arg(cause);
        call.arg(changes::host_delays(delays.0, delays.1));
        self.link.invoke(&call).await.map(Duration::from_millis)
    }

    async fn clear_host(&self, host: &HostKey) -> Result<(), Failure> {
        self.link.query(cmd("DEL").arg(self.keys.host(host))).await
    }

    async fn blocked_for(&self, host: &HostKey) -> Result<Option<Duration>, Failure> {
        let left: i64 = self.link.invoke(&scripts::BLOCKED_FOR.key(self.keys.host(host))).await?;
        Ok(u64::try_from(left).ok().filter(|left| *left > 0).map(Duration::from_millis))
    }
}

impl RedisTickets {
    /// One step of a rebuilding, or the question whether one is needed.
    async fn rebuilding(&self, step: &str, name: &str) -> Result<bool, Failure> {
        let mut call = scripts::REBUILDING.key(self.keys.whole());
        call.arg(step).arg(name).arg(millis(REBUILDING_SILENCE));
        self.link.invoke(&call).await
    }
}

fn ids(texts: &[String]) -> Result<Vec<TicketId>, Failure> {
    texts.iter().map(|text| text.parse().map_err(Failure::internal)).collect()
}
