//! Fakes in memory, as small as the tests of this crate allow. The real stores have their own suites.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rolecall_shared::config::{self, Settings};
use rolecall_shared::domain::ticket::{State, Ticket};
use rolecall_shared::domain::{
    ClaimId, Code, DatabaseName, Env, Failure, HostKey, Job, KindName, Login, NameRules, Operation, Profiles,
    Rights, RoleName, SslMode, Target, TargetKey, TicketId,
};
use rolecall_shared::queue::{BellDelay, Bells, DeadQueue, Depth, LaneOpening, Queue};
use rolecall_shared::tickets::{
    Accepted, Claimed, Close, ClosingAs, Enqueued, HostState, Moved, Settled, Tickets, Touched,
};

use tokio::sync::broadcast;

use super::submission::Submission;
use crate::auth::{Caller, Identity, Via};

/// Made once: the name rules compile a regular expression.
static SETTINGS: LazyLock<Settings> = LazyLock::new(make_settings);

pub(crate) fn settings() -> Settings {
    SETTINGS.clone()
}

fn api() -> config::Api {
    let seconds = Duration::from_secs;
    config::Api {
        listen: ([127, 0, 0, 1], 0).into(),
        tls: None,
        unix_socket: None,
        max_connections: 64,
        idle: seconds(75),
        max_body_bytes: 1 << 20,
        max_batch_items: 1000,
        max_wait: seconds(50),
        backlog_per_host: 10_000,
        confirm_timeout: seconds(10),
        grace: seconds(10),
        target_reads: 16,
        max_waiting_streams: 256,
        public_url: String::new(),
    }
}

/// Nobody is slowed down.
fn auth() -> config::Auth {
    config::Auth {
        session: Duration::from_mins(1),
        logins_per_minute: 1_000_000,
        account_requests_per_second: 100_000,
        address_requests_per_second: 100_000,
    }
}

fn webhooks() -> config::Webhooks {
    config::Webhooks {
        schedule: Vec::new(),
        jitter_percent: 0,
        timeout: Duration::from_secs(1),
        in_flight_per_endpoint: 1,
        in_flight: 1,
        poll: Duration::from_secs(1),
        max_retry_after: Duration::from_secs(1),
        disable_after: Duration::from_secs(1),
        keep: Duration::from_secs(1),
        rotation: Duration::from_secs(1),
        endpoints_per_account: 1,
        callback_hosts: vec![config::CallbackHost {
            name: "ci.example.com".into(),
            is_wildcard: false,
            port: None,
        }],
    }
}

fn make_settings() -> Settings {
    let seconds = Duration::from_secs;
    let rolecall = || "rolecall".to_owned();
    Settings {
        api: api(),
        auth: auth(),
        audit: config::Audit {
            signing_key_file: None,
            checkpoint_file: None,
            checkpoint_hook: Vec::new(),
            checkpoint_every: seconds(60),
            checkpoint_rows: 10_000,
        },
        legacy: config::Legacy { get_writes: false, post: false, wait: seconds(25) },
        account: Some(config::BootstrapAccount { user: "ops".into(), password: "secret".into() }),
        worker: config::Worker {
            lanes: 1,
            batch: 1,
            turn_jobs: 1,
            turn: seconds(1),
            linger: seconds(1),
            grace: seconds(1),
            sweep: seconds(1),
            reap: seconds(1),
            stale: seconds(60),
            listen: None,
            attempts: 3,
        },
        rabbitmq: config::RabbitMq {
            url: "amqp://127.0.0.1:1".into(),
            prefix: rolecall(),
            timeout: seconds(1),
            publish_window: 1,
        },
        redis: config::Redis { url: "redis://127.0.0.1:1".into(), prefix: rolecall(), timeout: seconds(1) },
        control: config::Control {
            url: "postgresql://nobody@127.0.0.1:1/x".into(),
            owner_url: None,
            pool: 1,
            timeout: seconds(1),
            history: config::History { keep_months: 24, archive_folder: None },
        },
        seal: config::Seal { key_file: PathBuf::from("/etc/rolecall/seal.keys") },
        default_login: None,
        target: config::Target {
            connect_timeout: seconds(1),
            lock_timeout: seconds(1),
            statement_timeout: seconds(1),
            idle_close: seconds(1),
            scram_iterations: 4096,
            protected_roles: Vec::new(),
            password_folders: Vec::new(),
            password_variables: "TARGET_PASSWORD_".into(),
            backoff_first: seconds(1),
            backoff_cap: seconds(1),
        },
        tickets: config::Tickets {
            deadline: seconds(900),
            max_deadline: seconds(86_400),
            finished_ttl: seconds(86_400),
            secret_ttl: seconds(3600),
        },
        outbound: config::Outbound::default(),
        notify: config::Notify::default(),
        webhooks: webhooks(),
        log: config::Log { json: false, filter: "info".into() },
        names: NameRules::default(),
        profiles: Profiles::default(),
        oidc: config::Oidc::default(),
    }
}

pub(crate) fn caller() -> Caller {
    let identity = Identity {
        account: "ops".into(),
        owner: "ops".into(),
        rights: Rights::all(),
        is_admin: true,
        via: Via::Basic,
    };
    Caller::new(Arc::new(identity), None)
}

pub(crate) fn target(hostname: &str) -> Target {
    let key =
        TargetKey { env: Env::parse("dev").unwrap(), database: DatabaseName::parse("myapp_dev").unwrap() };
    Target {
        key,
        host: HostKey::new(hostname, 5432).unwrap(),
        login: Login::Default,
        sslmode: SslMode::Prefer,
        ca_file: None,
        lock_database: DatabaseName::parse("postgres").unwrap(),
        active: true,
        notes: String::new(),
        is_trusted: false,
        revision: 1,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

pub(crate) fn submission(role: &str) -> Submission {
    let operation = Operation::CreateRole {
        kind: KindName::parse("app").unwrap(),
        role: RoleName::parse(role, &SETTINGS.names).unwrap(),
    };
    let target = target("db1").key;
    Submission { operation, target, deadline: None, metadata: BTreeMap::new(), key: None, callback: None }
}

/// A job of a role on a host; its ticket is derived from the role.
pub(crate) fn job(role: &str, hostname: &str) -> Job {
    let settings = settings();
    let ticket = TicketId::derived("tests", role);
    submission(role).into_job(
        &caller(),
        ticket,
        &target(hostname),
        None,
        &settings.tickets,
        Timestamp::UNIX_EPOCH,
    )
}

pub(crate) fn ticket(role: &str) -> Ticket {
    Ticket {
        job: job(role, "db1"),
        state: State::Queued,
        revision: 1,
        attempts: 0,
        ending: None,
        finished_at: None,
        dead_lettered: None,
    }
}

/// A queue that counts.
#[derive(Debug, Default)]
pub(crate) struct FakeQueue {
    depth: AtomicU64,
    asked: AtomicU64,
    is_down: AtomicBool,
    /// Goes away after so many confirms.
    pub(crate) breaks_after: Mutex<Option<usize>>,
    pub(crate) published: Mutex<Vec<TicketId>>,
    pub(crate) tried: AtomicU64,
    pub(crate) rung: Mutex<Vec<HostKey>>,
}

impl FakeQueue {
    pub(crate) fn set_depth(&self, messages: u64) {
        self.depth.store(messages, Ordering::SeqCst);
    }

    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn break_down(&self) {
        self.is_down.store(true, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), Failure> {
        if self.is_down.load(Ordering::SeqCst) {
            Err(Failure::new(Code::BrokerUnavailable, "down"))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl Queue for FakeQueue {
    async fn ping(&self) -> Result<(), Failure> {
        self.check()
    }

    async fn publish(&self, job: &Job) -> Result<(), Failure> {
        self.tried.fetch_add(1, Ordering::SeqCst);
        self.check()?;
        let mut published = self.published.lock().unwrap();
        published.push(job.ticket);
        if *self.breaks_after.lock().unwrap() == Some(published.len()) {
            self.break_down();
        }
        Ok(())
    }

    async fn ring(&self, host: &HostKey, _delay: BellDelay) -> Result<(), Failure> {
        self.check()?;
        self.rung.lock().unwrap().push(host.clone());
        Ok(())
    }

    async fn depth(&self, _host: &HostKey) -> Result<Depth, Failure> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.check()?;
        Ok(Depth { messages: self.depth.load(Ordering::SeqCst), consumers: 0 })
    }

    async fn bells(&self, _prefetch: u16) -> Result<Box<dyn Bells>, Failure> {
        unreachable!("the intake hears no bells")
    }

    async fn open_lane(&self, _host: &HostKey, _prefetch: u16) -> Result<LaneOpening, Failure> {
        unreachable!("the intake opens no lane")
    }

    async fn open_dead(&self, _limit: u16) -> Result<Option<Box<dyn DeadQueue>>, Failure> {
        unreachable!("no fake puts anything aside")
    }
}

/// Tickets as far as the intake writes them.
#[derive(Debug)]
pub(crate) struct FakeTickets {
    /// Tells of changes.
    pub(crate) moved: broadcast::Sender<Moved>,
    pub(crate) tickets: Mutex<HashMap<TicketId, Ticket>>,
    /// Which ticket stands for a request.
    pub(crate) joined: Mutex<HashMap<String, TicketId>>,
    /// A lane is this much faster than the intake: what it finds when it enqueues or withdraws.
    pub(crate) lane_made_it: Mutex<Option<State>>,
    /// Fails after the tickets are accepted.
    pub(crate) breaks_after_accepting: AtomicBool,
}

impl Default for FakeTickets {
    fn default() -> Self {
        Self {
            moved: broadcast::Sender::new(16),
            tickets: Mutex::default(),
            joined: Mutex::default(),
            lane_made_it: Mutex::default(),
            breaks_after_accepting: AtomicBool::default(),
        }
    }
}

impl FakeTickets {
    /// Puts a ticket into the store, as a lane would, and tells of it.
    pub(crate) fn put(&self, ticket: Ticket) {
        let id = ticket.job.ticket;
        self.tickets.lock().unwrap().insert(id, ticket);
        // Nobody listens in tests of single use cases.
        let _ = self.moved.send(Moved::Ticket(id));
    }

    fn check(&self) -> Result<(), Failure> {
        if self.breaks_after_accepting.load(Ordering::SeqCst) {
            Err(Failure::new(Code::TicketStoreUnavailable, "down"))
        } else {
            Ok(())
        }
    }

    fn advance(&self, id: TicketId, to: State) -> Option<State> {
        let mut tickets = self.tickets.lock().unwrap();
        let ticket = tickets.get_mut(&id)?;
        if let Some(made) = *self.lane_made_it.lock().unwrap() {
            ticket.state = made;
        }
        if ticket.state.can_become(to) {
            ticket.state = to;
            ticket.revision += 1;
        }
        Some(ticket.state)
    }
}

#[async_trait]
impl Tickets for FakeTickets {
    async fn ping(&self) -> Result<(), Failure> {
        Ok(())
    }

    async fn accept(&self, job: &Job) -> Result<Accepted, Failure> {
        let mut tickets = self.tickets.lock().unwrap();
        match tickets.get(&job.ticket) {
            Some(known) if known.job.fingerprint != job.fingerprint => Ok(Accepted::Reused),
            Some(known) if known.state != State::Withdrawn => Ok(Accepted::Known(known.clone())),
            Some(_) | None => {
                let ticket = Ticket { job: job.clone(), state: State::Accepting, ..ticket("any") };
                tickets.insert(job.ticket, ticket);
                Ok(Accepted::New)
            }
        }
    }

    async fn enqueue(&self, ticket: TicketId, _host: &HostKey) -> Result<Enqueued, Failure> {
        self.check()?;
        Ok(Enqueued { state: self.advance(ticket, State::Queued).unwrap(), ring: true })
    }

    async fn withdraw(&self, ticket: TicketId) -> Result<Option<State>, Failure> {
        self.check()?;
        Ok(self.advance(ticket, State::Withdrawn))
    }

    async fn find(&self, ticket: TicketId) -> Result<Option<Ticket>, Failure> {
        Ok(self.tickets.lock().unwrap().get(&ticket).cloned())
    }

    async fn claim(&self, _claim: ClaimId, _jobs: &[Job]) -> Result<Vec<Claimed>, Failure> {
        unreachable!("lanes claim")
    }

    async fn give_back(
        &self,
        _claim: ClaimId,
        _tickets: &[TicketId],
        _touched: Touched,
    ) -> Result<(), Failure> {
        unreachable!("lanes give back")
    }

    async fn settle(&self, _claim: ClaimId, _settled: &[Settled]) -> Result<Vec<bool>, Failure> {
        unreachable!("lanes settle")
    }

    async fn restore_queued(&self, _job: &Job) -> Result<(), Failure> {
        unreachable!("lanes restore")
    }

    async fn restore_final(&self, _settled: &Settled) -> Result<(), Failure> {
        unreachable!("lanes restore")
    }

    async fn close(&self, _ticket: TicketId, _closing: ClosingAs) -> Result<Close, Failure> {
        unreachable!("needs the control database")
    }

    async fn closed(&self, _settled: &Settled) -> Result<(), Failure> {
        unreachable!("needs the control database")
    }

    async fn due(&self, _limit: usize) -> Result<Vec<TicketId>, Failure> {
        unreachable!("the reaper asks")
    }

    async fn unmoved(&self, _limit: usize, _since: Duration) -> Result<Vec<TicketId>, Failure> {
        unreachable!("the reaper asks")
    }

    async fn position(&self, _ticket: TicketId, _host: &HostKey) -> Result<Option<u64>, Failure> {
        Ok(None)
    }

    async fn is_whole(&self) -> Result<bool, Failure> {
        Ok(true)
    }

    async fn begin_rebuilding(&self, _name: &str) -> Result<bool, Failure> {
        unreachable!("workers rebuild")
    }

    async fn keep_rebuilding(&self, _name: &str) -> Result<bool, Failure> {
        unreachable!("workers rebuild")
    }

    async fn give_up_rebuilding(&self, _name: &str) -> Result<(), Failure> {
        unreachable!("workers rebuild")
    }

    async fn end_rebuilding(&self, _name: &str) -> Result<bool, Failure> {
        unreachable!("workers rebuild")
    }

    async fn dead_letter(&self, _ticket: TicketId, _reason: &str) -> Result<(), Failure> {
        unreachable!("lanes put aside")
    }

    async fn keep_secrets(&self, _secrets: &[(TicketId, Vec<u8>)]) -> Result<Vec<Vec<u8>>, Failure> {
        unreachable!("lanes make secrets")
    }

    async fn find_secrets(&self, tickets: &[TicketId]) -> Result<Vec<Option<Vec<u8>>>, Failure> {
        Ok(vec![None; tickets.len()])
    }

    async fn drop_secret(&self, _ticket: TicketId) -> Result<(), Failure> {
        Ok(())
    }

    async fn join(&self, name: &str, fresh: TicketId, spent: Option<TicketId>) -> Result<TicketId, Failure> {
        let mut joined = self.joined.lock().unwrap();
        let held = joined.get(name).copied().filter(|held| Some(*held) != spent).unwrap_or(fresh);
        joined.insert(name.to_owned(), held);
        Ok(held)
    }

    async fn leave(&self, name: &str, ticket: TicketId) -> Result<(), Failure> {
        self.joined.lock().unwrap().retain(|known, held| known != name || *held != ticket);
        Ok(())
    }

    fn moved(&self) -> broadcast::Receiver<Moved> {
        self.moved.subscribe()
    }

    async fn clear_bell(&self, _host: &HostKey) -> Result<(), Failure> {
        unreachable!("lanes clear bells")
    }

    async fn want_bell(&self, _host: &HostKey) -> Result<bool, Failure> {
        unreachable!("the sweeper asks")
    }

    async fn lease(&self, _name: &str, _lifetime: Duration) -> Result<bool, Failure> {
        unreachable!("the intake asks for no lease")
    }

    async fn host_state(&self, _host: &HostKey) -> Result<HostState, Failure> {
        Ok(HostState { failures: 0, code: None, cause: None, blocked_until: None, since: None })
    }

    async fn host_states(&self, hosts: &[HostKey]) -> Result<Vec<HostState>, Failure> {
        let well = HostState { failures: 0, code: None, cause: None, blocked_until: None, since: None };
        Ok(vec![well; hosts.len()])
    }

    async fn block_host(
        &self,
        _host: &HostKey,
        _code: Code,
        _cause: &str,
        _delays: (Duration, Duration),
    ) -> Result<Duration, Failure> {
        unreachable!("lanes block hosts")
    }

    async fn clear_host(&self, _host: &HostKey) -> Result<(), Failure> {
        Ok(())
    }

    async fn blocked_for(&self, _host: &HostKey) -> Result<Option<Duration>, Failure> {
        Ok(None)
    }
}
