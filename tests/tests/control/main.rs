//! The control database's module against a real server. Each test has a database of its own.

mod accounts;
mod audit;
mod migrations;
mod outages;
mod registry;
mod secrets;
mod settle;
mod tls;

use jiff::Timestamp;
use rolecall_shared::domain::{
    Actor, DatabaseName, Env, HostKey, Job, KindName, Operation, RoleName, TargetKey, TicketId,
};

/// A moment of the tests' own: midday of a day plus some seconds.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn actor(account: &str) -> Actor {
    Actor { account: account.into(), owner: format!("{account}/subject"), address: Some("192.0.2.7".into()) }
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
    }
}
