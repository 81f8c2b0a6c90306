//! An installation on many hosts with three workers, and who of them is at work where.

use std::ops::Deref;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use rolecall_tests::client::send;
use rolecall_tests::process::{Process, Role};
use rolecall_tests::{Client as Caller, Installation, PrivateStack, Settled, Target, eventually};
use tokio_postgres::Client;

const WORKERS: usize = 3;
/// Requests under way at once.
const AT_ONCE: usize = 4;
const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) struct Fleet {
    pub(crate) workers: Vec<Process>,
    client: Caller,
    _api: Process,
    /// The tickets of each target, in the order of submission.
    submitted: Vec<Vec<String>>,
    installation: Installation,
}

impl Fleet {
    pub(crate) async fn new(stack: &PrivateStack) -> Self {
        // Small batches, so that most jobs are in hand and not in the transaction.
        let installation = Installation::builder("sharing")
            .on(stack)
            .set("worker.batch", "8")
            .set("target.lock_timeout_milliseconds", "15000")
            .set("target.statement_timeout_milliseconds", "15500")
            .set("target.backoff_cap_milliseconds", "500")
            .set("api.confirm_timeout_milliseconds", "10000")
            .create()
            .await;
        let api = installation.start(Role::Api).await;
        let client = installation.client(&api);
        for target in installation.targets() {
            client.put_target("dev", &target.database, &target.registration()).await.expect(201);
        }
        let workers = join_all((0..WORKERS).map(|_| installation.start(Role::Worker))).await;
        let submitted = vec![Vec::new(); installation.targets().len()];
        Self { workers, client, _api: api, submitted, installation }
    }

    /// So many jobs for each host.
    pub(crate) async fn submit(&mut self, count: usize) {
        let per_host = self.submitted.iter().zip(self.targets()).map(async |(tickets, target)| {
            let names = (tickets.len()..).take(count).map(|n| self.role(&format!("ada{n}")));
            let jobs: Vec<_> = names.map(|name| target.create_role(&name)).collect();
            self.client.submit_all(&jobs).await
        });
        let accepted: Vec<_> = stream::iter(per_host.collect::<Vec<_>>()).buffered(AT_ONCE).collect().await;
        for (tickets, new) in self.submitted.iter_mut().zip(accepted) {
            tickets.extend(new);
        }
    }

    /// Waits until every job has succeeded.
    pub(crate) async fn all_end(&self) {
        let all = self.submitted.iter().map(Vec::len).sum();
        eventually("all jobs to end", PATIENCE, async || {
            (Settled::count(&self.control).await >= all).then_some(())
        })
        .await;
    }

    pub(crate) async fn assert_once_and_in_order(&self) {
        let settled = Settled::read(&self.control).await;
        for (tickets, target) in self.submitted.iter().zip(self.targets()) {
            settled.assert_once_and_in_order(&target.host(), tickets);
        }
    }

    /// How many jobs each worker has settled since it was started.
    pub(crate) async fn settled_by_workers(&self) -> Vec<usize> {
        join_all(self.workers.iter().map(settled_by)).await
    }

    /// Starts another worker for each that is dead.
    pub(crate) async fn replace_dead(&mut self) {
        for number in 0..self.workers.len() {
            if self.workers[number].has_ended().is_some() {
                self.workers[number] = self.installation.start(Role::Worker).await;
            }
        }
    }

    /// Keeps every host's next role from being made, until the sessions are dropped.
    pub(crate) async fn lock_roles(&self) -> Vec<Client> {
        join_all(self.targets().iter().map(Target::lock_roles)).await
    }

    /// The hosts on which each worker is amid a transaction, once there is one on most hosts: a lane that has waited too
    /// long for the lock backs off for a moment, so that not all of them wait at the same time.
    pub(crate) async fn at_work(&self) -> Vec<Vec<String>> {
        eventually("a worker to wait for the lock on most hosts", PATIENCE, async || {
            let mut hosts = vec![Vec::new(); self.workers.len()];
            for (target, port) in self.targets().iter().zip(self.waiting_ports().await) {
                if let Some(worker) = port.and_then(|port| self.worker_at(port)) {
                    hosts[worker].push(target.host());
                }
            }
            let waiting: usize = hosts.iter().map(Vec::len).sum();
            (waiting * 4 >= self.targets().len() * 3).then_some(hosts)
        })
        .await
    }

    /// The client's port of the session that waits for a lock, of each host.
    async fn waiting_ports(&self) -> Vec<Option<u16>> {
        let query = "SELECT client_port FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND application_name = 'rolecall' AND xact_start IS NOT NULL";
        join_all(self.targets().iter().map(async |target| {
            let found =
                target.superuser("postgres").await.query_opt(query, &[]).await.expect("at most one waits");
            found.map(|row| u16::try_from(row.get::<_, i32>(0)).expect("a port"))
        }))
        .await
    }

    fn worker_at(&self, port: u16) -> Option<usize> {
        self.workers.iter().position(|worker| worker.has_port(port))
    }

    /// The time of the control database.
    pub(crate) async fn now(&self) -> SystemTime {
        let control = self.control.superuser().await;
        control.query_one("SELECT clock_timestamp()", &[]).await.expect("a server").get(0)
    }

    /// How long after this each of these hosts had its first job settled.
    pub(crate) async fn went_on_after(&self, since: SystemTime, hosts: &[String]) -> Vec<Duration> {
        let query = "SELECT min(recorded_at) FROM audit_inbox
            WHERE event = 'ticket.succeeded' AND recorded_at > $1 AND host = ANY($2) GROUP BY host";
        let control = self.control.superuser().await;
        let rows = control.query(query, &[&since, &hosts]).await.expect("a migrated database");
        assert_eq!(rows.len(), hosts.len(), "every one of them had jobs left");
        rows.iter().map(|row| row.get::<_, SystemTime>(0).duration_since(since).expect("later")).collect()
    }
}

impl Deref for Fleet {
    type Target = Installation;

    fn deref(&self) -> &Installation {
        &self.installation
    }
}

async fn settled_by(worker: &Process) -> usize {
    let http = reqwest::Client::builder().no_proxy().build().expect("a plain client");
    let answer = send(http.get(format!("{}/metrics", worker.url()))).await.expect(200);
    let text = answer.body.as_str().expect("metrics are text");
    let counts = text.lines().filter(|line| line.starts_with("rolecall_jobs_settled_total{"));
    counts.map(|line| line.rsplit(' ').next().and_then(|n| n.parse::<usize>().ok()).expect("a number")).sum()
}
