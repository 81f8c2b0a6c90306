//! The audit: how fast events enter the ledger with everybody waiting for it, and how fast a million rows leave it and are
//! checked.

#![expect(clippy::expect_used, reason = "a benchmark ends where it is surprised")]

use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::Method;
use rolecall_shared::config;
use rolecall_shared::control::{Control, Settlement};
use rolecall_shared::domain::ticket::Ending;
use rolecall_shared::domain::{
    Actor, Clock as _, DatabaseName, Env, Event, EventName, Job, KindName, Operation, Rights, RoleName,
    SystemClock, TargetKey, TicketId,
};
use rolecall_tests::Running;

use crate::figures::Times;
use crate::memory::Peak;

/// Rows of the export and of the check.
const ROWS: i64 = 1_000_000;
/// How many settlements a lane writes at once, how many lanes are at it, and what they settle together.
const BATCH: usize = 64;
const LANES: [usize; 3] = [4, 8, 16];
const SETTLEMENTS: usize = 64_000;

/// Prints all figures, of the control database of this installation.
///
/// # Panics
/// When something is not recorded, exported or found as it was.
#[expect(clippy::print_stdout, reason = "figures on a terminal are what it is for")]
pub async fn run(rolecall: &Running) {
    println!(
        "\nthe audit, on one control database, every call waits until its events stand in the ledger:\n"
    );
    let settings = config::Control { timeout: Duration::from_mins(1), ..rolecall.control.settings() };
    let control = Control::new(&settings).expect("a valid URL");
    let (callers, each) = (64, 400);
    let alone = Calls::of(callers, each, 1, |n| {
        let control = &control;
        async move { control.record(&event(n)).await.expect("recorded") }
    });
    println!("  {callers} callers, one event a call: {}", alone.await);
    // Some that do not count: the first statements of each connection take longer.
    control.settle(&settlements(usize::MAX)).await.expect("settled");
    for lanes in LANES {
        let calls = Calls::of(lanes, SETTLEMENTS / BATCH / lanes, BATCH, |n| {
            let control = &control;
            async move { control.settle(&settlements(n)).await.expect("settled") }
        });
        let (waits, calls) = beside(&control, calls).await;
        println!("  {lanes} lanes, {BATCH} settlements a call: {calls}; from commit to ledger {waits}");
    }
    let filled = fill(rolecall, &control).await;
    println!("  without anybody waiting: {filled:.0} events/s");
    export(rolecall).await;
    verify(rolecall);
}

/// How long calls took, their own commit included.
struct Calls {
    events: usize,
    took: Duration,
    waits: Times,
}

impl Calls {
    async fn of<F: Future<Output = ()>>(
        callers: usize,
        each: usize,
        events: usize,
        call: impl Fn(usize) -> F,
    ) -> Self {
        let start = Instant::now();
        let calls = (0..callers).map(|caller| {
            let call = &call;
            async move {
                let mut waits = Vec::with_capacity(each);
                for n in 0..each {
                    let sent = Instant::now();
                    call(caller * each + n).await;
                    waits.push(sent.elapsed());
                }
                waits
            }
        });
        let waits = Times::of(futures_util::future::join_all(calls).await.concat());
        Self { events: callers * each * events, took: start.elapsed(), waits }
    }
}

impl std::fmt::Display for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.0} events/s, a call takes {}", per_second(self.events, self.took), self.waits)
    }
}

/// Does work, and measures meanwhile how long somebody waits whose events were just committed.
async fn beside<T>(control: &Control, work: impl Future<Output = T>) -> (Times, T) {
    let mut waits = Vec::new();
    let done = {
        let probe = async {
            for n in 0_u64.. {
                // At no rhythm of the rounds.
                tokio::time::sleep(Duration::from_millis(1 + n * 7 % 13)).await;
                let start = Instant::now();
                control.catch_up().await.expect("caught up");
                waits.push(start.elapsed());
            }
        };
        tokio::select! {
            done = work => done,
            () = probe => unreachable!("it has no end"),
        }
    };
    (Times::of(waits), done)
}

fn per_second(count: usize, took: Duration) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took.as_secs_f64()
}

fn actor() -> Actor {
    Actor {
        account: "ci-deploy".into(),
        owner: "ci-deploy/repo:acme/payments".into(),
        address: Some("192.0.2.7".into()),
        via: Some("session 01936f6e-1234-7000-8000-000000000000 (oidc github)".into()),
    }
}

fn event(n: usize) -> Event {
    let at = SystemClock.now();
    Event { detail: serde_json::json!({ "n": n }), ..Event::new(EventName::SessionOpened, at, actor()) }
}

fn settlements(call: usize) -> Vec<Settlement> {
    let at = SystemClock.now();
    (0..BATCH)
        .map(|n| Settlement {
            job: job(at, &format!("web{call}_{n}")),
            ending: Ending::Cancelled,
            finished_at: at,
            attempts: 0,
        })
        .collect()
}

fn job(at: Timestamp, role: &str) -> Job {
    let kind = KindName::parse("app").expect("a kind");
    let key = |database| DatabaseName::parse(database).expect("a name");
    Job {
        ticket: TicketId::new(at),
        operation: Operation::CreateRole { kind, role: RoleName::from_stored(role).expect("a name") },
        target: TargetKey { env: Env::parse("dev").expect("a name"), database: key("billing") },
        host: "db1.example.com:5432".parse().expect("a host"),
        actor: actor(),
        fingerprint: "f".repeat(64),
        submitted_at: at,
        deadline_at: at,
        metadata: [("pipeline".to_owned(), "4711".to_owned())].into(),
        rights: Rights::all(),
        replay_of: None,
        callback: None,
    }
}

/// Brings the ledger to [`ROWS`]; how many events a second entered it.
async fn fill(rolecall: &Running, control: &Control) -> f64 {
    let superuser = rolecall.control.superuser().await;
    let here = control.newest_event().await.expect("an answer");
    let (mut left, mut took) = (ROWS - here, Duration::ZERO);
    while left > 0 {
        let part = left.min(20_000);
        let insert = "INSERT INTO audit_inbox (event, at, ticket, account, owner, address, via, env, database, host, operation, \
                                               kind, role, outcome, detail) \
                      SELECT 'ticket.succeeded', now(), gen_random_uuid(), 'ci-deploy', 'ci-deploy/repo:acme/payments', \
                             '192.0.2.7', 'basic', 'dev', 'billing', 'db1.example.com:5432', 'create_role', 'app', \
                             'web' || n || '_8080', 'created', '{}' FROM generate_series(1, $1::bigint) AS n";
        superuser.execute(insert, &[&part]).await.expect("inserted");
        let start = Instant::now();
        control.catch_up().await.expect("caught up");
        took += start.elapsed();
        left -= part;
    }
    superuser.batch_execute("ANALYZE").await.expect("analysed");
    per_second(usize::try_from(ROWS - here).unwrap_or(0), took)
}

#[expect(clippy::print_stdout, reason = "figures on a terminal are what it is for")]
#[expect(clippy::naive_bytecount, reason = "fast enough beside what is measured")]
async fn export(rolecall: &Running) {
    for format in ["ndjson", "csv"] {
        let start = Instant::now();
        let request = rolecall.client.request(Method::GET, &format!("/api/v2/audit?format={format}"));
        let mut answer = request.send().await.expect("an answer");
        let (mut lines, mut bytes) = (0_usize, 0);
        while let Some(part) = answer.chunk().await.expect("a whole export") {
            lines += part.iter().filter(|byte| **byte == b'\n').count();
            bytes += part.len();
        }
        let rows = usize::try_from(ROWS).unwrap_or(0);
        assert!(lines >= rows, "{lines} lines of {rows} rows");
        println!(
            "  export of {ROWS} rows over HTTP as {format}: {:.0} rows/s, {} MiB; peak resident of the api: {}",
            per_second(rows, start.elapsed()),
            bytes >> 20,
            Peak::of(rolecall.api.pid()),
        );
    }
}

/// In the database, and from a file without it.
#[expect(clippy::print_stdout, reason = "figures on a terminal are what it is for")]
fn verify(rolecall: &Running) {
    let rows = usize::try_from(ROWS).unwrap_or(0);
    let (took, said) = command(rolecall, &["audit", "verify"]);
    println!("  rolecall audit verify: {:.0} rows/s", per_second(rows, took));
    println!("    {}", said.trim_end().replace('\n', "\n    "));
    let (_, key) = command(rolecall, &["audit", "key", "show"]);
    let (took, _) = command(rolecall, &["audit", "export", "--format", "bundle", "--output", "audit.bundle"]);
    println!("  rolecall audit export --format bundle: {:.0} rows/s", per_second(rows, took));
    let (took, _) = command(rolecall, &["audit", "verify", "--bundle", "audit.bundle", "--key", key.trim()]);
    println!("  rolecall audit verify --bundle: {:.0} rows/s", per_second(rows, took));
}

/// How long a command took, and what it said.
fn command(rolecall: &Running, arguments: &[&str]) -> (Duration, String) {
    let start = Instant::now();
    let output = rolecall.run(arguments);
    let took = start.elapsed();
    assert!(output.status.success(), "{output:?}");
    (took, String::from_utf8_lossy(&output.stdout).into_owned())
}
