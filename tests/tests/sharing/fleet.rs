//! An installation on many hosts with three workers, and who of them is at work where.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use rolecall_tests::client::send;
use rolecall_tests::process::{Process, Role};
use rolecall_tests::{Client, Installation, PrivateStack, Settled, eventually};

const WORKERS: usize = 3;
/// Requests under way at once.
const AT_ONCE: usize = 4;
const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) struct Fleet {
    pub(crate) workers: Vec<Process>,
    client: Client,
    _api: Process,
    /// The tickets of each target, in the order of submission.
    submitted: Vec<Vec<String>>,
    installation: Installation,
}

impl Fleet {
    pub(crate) async fn new(stack: &PrivateStack) -> Self {
        // Small batches, so that a worker is amid the jobs of many hosts for a while.
        let installation = Installation::builder("sharing")
            .on(stack)
            .set("worker.batch", "8")
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

    /// The worker that is at work on the most hosts, once there are some, and these hosts.
    pub(crate) async fn busiest(&self) -> (usize, Vec<String>) {
        eventually("a worker to be amid the jobs of several hosts", PATIENCE, async || {
            let begun = self.settled_of_hosts().await;
            let mut hosts = vec![Vec::new(); self.workers.len()];
            for (host, worker) in self.last_seen_by() {
                if self.is_unfinished(&host, &begun) {
                    hosts[worker].push(host);
                }
            }
            hosts
                .into_iter()
                .enumerate()
                .max_by_key(|(_, hosts)| hosts.len())
                .filter(|(_, hosts)| hosts.len() > 2)
        })
        .await
    }

    /// The worker that was the last to settle a job, by host; by their logs, whose lines begin with the time.
    fn last_seen_by(&self) -> BTreeMap<String, usize> {
        let mut last: BTreeMap<String, (String, usize)> = BTreeMap::new();
        for (number, worker) in self.workers.iter().enumerate() {
            for line in worker.log_text().lines().filter(|line| line.contains(": settled ticket=")) {
                let words: Vec<_> = line.split_whitespace().collect();
                let host = words.iter().find_map(|word| word.strip_prefix("host="));
                let (Some(host), Some(at)) = (host, words.first()) else { continue };
                let seen = last.entry(host.to_owned()).or_default();
                if *at > seen.0.as_str() {
                    *seen = ((*at).to_owned(), number);
                }
            }
        }
        last.into_iter().map(|(host, (_, worker))| (host, worker)).collect()
    }

    /// Those of these hosts that have jobs left.
    pub(crate) async fn unfinished(&self, hosts: Vec<String>) -> Vec<String> {
        let settled = self.settled_of_hosts().await;
        hosts.into_iter().filter(|host| self.is_unfinished(host, &settled)).collect()
    }

    fn is_unfinished(&self, host: &str, settled: &BTreeMap<String, usize>) -> bool {
        let submitted = self.targets().iter().zip(&self.submitted).find(|(target, _)| target.host() == host);
        submitted.is_some_and(|(_, tickets)| settled.get(host).is_some_and(|count| *count < tickets.len()))
    }

    async fn settled_of_hosts(&self) -> BTreeMap<String, usize> {
        let query = "SELECT host, count(*) FROM audit_inbox WHERE event = 'ticket.succeeded' GROUP BY host";
        let rows = self.control.superuser().await.query(query, &[]).await.expect("a migrated database");
        let count = |row: &tokio_postgres::Row| usize::try_from(row.get::<_, i64>(1)).expect("a count");
        rows.iter().map(|row| (row.get(0), count(row))).collect()
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
