//! The control database's module against a real server. Each test has a database of its own.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

mod accounts;
mod audit;
mod history;
mod migrations;
mod outages;
mod proxy;
mod registry;
mod secrets;
mod settle;
mod tls;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use rolecall_shared::domain::{
    Actor, DatabaseName, Env, HostKey, Job, KindName, Operation, Rights, RoleName, TargetKey, TicketId,
};

/// A moment of the tests' own: midday of a day plus some seconds.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn actor(account: &str) -> Actor {
    Actor {
        account: account.into(),
        owner: format!("{account}/subject"),
        address: Some("192.0.2.7".into()),
        via: Some("basic".into()),
    }
}

fn key(env: &str, database: &str) -> TargetKey {
    TargetKey { env: Env::parse(env).unwrap(), database: DatabaseName::parse(database).unwrap() }
}

fn host(text: &str) -> HostKey {
    text.parse().unwrap()
}

/// A job to make a role, with everything set that a job can have.
fn create_role(role: &str) -> Job {
    Job {
        ticket: TicketId::new(at(0)),
        operation: Operation::CreateRole {
            kind: KindName::parse("app").unwrap(),
            role: RoleName::from_stored(role).unwrap(),
        },
        target: key("dev", "my\"app"),
        host: host("db1.example.com:5432"),
        actor: actor("ci"),
        fingerprint: "f".repeat(64),
        submitted_at: at(1),
        deadline_at: at(901),
        metadata: [("pipeline".to_owned(), "'4711\" \u{1F980}".to_owned())].into(),
        rights: Rights::all(),
        callback: None,
        replay_of: None,
    }
}

/// How many statements of the product wait for a lock in this database.
async fn lock_waits(client: &tokio_postgres::Client) -> i64 {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
               AND application_name = 'rolecall' AND wait_event_type = 'Lock'";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Returns when so many wait.
async fn until_lock_waits(client: &tokio_postgres::Client, wanted: i64) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while lock_waits(client).await != wanted {
        assert!(Instant::now() < deadline, "{wanted} statements should wait for a lock");
        tokio::task::yield_now().await;
    }
}
