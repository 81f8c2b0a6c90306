//! Golden files: every kind and operation as it is rendered, with names that want to be something else.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

use jiff::Timestamp;

use super::{Setting, Statement, plan, script};
use crate::domain::{
    Actor, DatabaseName, Env, HostKey, Job, KindName, Mark, Operation, Profile, Profiles, Rights, RoleName,
    SchemaName, TargetKey, TicketId,
};
use crate::seal::Verifier;

/// Each is a valid name behind the door: at most 63 bytes, no control character.
pub(super) const HOSTILE: [&str; 16] = [
    r#"evil"; DROP ROLE x; --"#,
    "o'brien",
    r"back\slash\",
    r"\'; DROP ROLE x; --",
    r#"\"; DROP ROLE x; --"#,
    r#"""#,
    "''",
    "$user",
    "$$; DROP ROLE x; $$",
    "/* no comment */",
    "-- none either",
    "public, pg_temp",
    "SELECT",
    " spaces around ",
    "Zoë_ünï😀\u{202e}",
    "sixty-three_bytes_are_the_longest_name_that_postgresql_keeps_ok",
];

pub(super) fn role(text: &str) -> RoleName {
    RoleName::from_stored(text).unwrap()
}

pub(super) fn schema(text: &str) -> SchemaName {
    SchemaName::from_stored(text).unwrap()
}

pub(super) fn database(text: &str) -> DatabaseName {
    DatabaseName::from_stored(text).unwrap()
}

pub(super) fn kind(text: &str) -> KindName {
    KindName::parse(text).unwrap()
}

/// The built-in kinds with their profiles: a new one needs its golden file.
pub(super) fn kinds() -> Vec<(String, Profile)> {
    Profiles::default().list().map(|(name, profile)| (name.to_string(), profile.clone())).collect()
}

/// A verifier that is always the same.
pub(super) fn verifier() -> Verifier {
    static VERIFIER: LazyLock<Verifier> =
        LazyLock::new(|| Verifier::with_salt(b"a password", &[0; 16], 4096));
    VERIFIER.clone()
}

fn ticket() -> TicketId {
    "01900000-0000-7000-8000-000000000001".parse().unwrap()
}

/// One of each operation; the create first.
pub(super) fn operations(kind_name: &str) -> [Operation; 3] {
    operations_on(kind_name, "web01_8080", &["app", "$user", "public"])
}

fn operations_on(kind_name: &str, name: &str, schemas: &[&str]) -> [Operation; 3] {
    let role = role(name);
    [
        Operation::CreateRole { kind: kind(kind_name), role: role.clone() },
        Operation::ResetPassword { role: role.clone() },
        Operation::SetSearchPath { role, schemas: schemas.iter().map(|name| schema(name)).collect() },
    ]
}

pub(super) fn job(operation: Operation) -> Job {
    job_in("myapp_dev", operation)
}

fn job_in(database_name: &str, operation: Operation) -> Job {
    Job {
        ticket: ticket(),
        operation,
        target: TargetKey { env: Env::parse("dev").unwrap(), database: database(database_name) },
        host: HostKey::new("db1.example.com", 5432).unwrap(),
        actor: Actor { account: "ci".into(), owner: "ci".into(), address: None, via: None },
        fingerprint: String::new(),
        submitted_at: Timestamp::UNIX_EPOCH,
        deadline_at: Timestamp::UNIX_EPOCH,
        metadata: BTreeMap::new(),
        rights: Rights::all(),
        callback: None,
        replay_of: None,
    }
}

fn rendered(job: &Job, profile: &Profile) -> String {
    script(&plan(job, Some(profile), Some(&verifier())).unwrap())
}

#[test]
fn every_kind() {
    for (name, profile) in kinds() {
        let [create, ..] = operations(&name);
        insta::assert_snapshot!(format!("create_role_{name}"), rendered(&job(create), &profile));
    }
}

#[test]
fn every_operation() {
    let operations = operations("app");
    assert_eq!(operations.each_ref().map(Operation::name), Operation::NAMES, "one of each");
    for operation in operations {
        let name = operation.name();
        let profile = &kinds()[0].1;
        insta::assert_snapshot!(format!("operation_{name}"), rendered(&job(operation), profile));
    }
}

/// Every name in every place: as role, database and schema of every kind's plan and of every operation.
#[test]
fn hostile_names() {
    for (name, mut profile) in kinds() {
        let mut text = String::new();
        for hostile in HOSTILE {
            profile.search_path = vec![schema(hostile), schema("public")];
            for operation in operations_on(&name, hostile, &[hostile, "$user"]) {
                writeln!(text, "{};\n", rendered(&job_in(hostile, operation), &profile)).unwrap();
            }
        }
        insta::assert_snapshot!(format!("hostile_{name}"), text);
    }
}

/// One of each statement with the same name in every place of it.
pub(super) fn every_statement(name: &str) -> Vec<Statement> {
    let (role, schema, database) = (|| role(name), || schema(name), || database(name));
    vec![
        Statement::CreateRole {
            role: role(),
            createdb: true,
            createrole: false,
            connection_limit: -1,
            verifier: verifier(),
        },
        Statement::SetPassword { role: role(), verifier: verifier() },
        Statement::SetInDatabase {
            role: role(),
            database: database(),
            setting: Setting::SearchPath(vec![schema(), schema()]),
        },
        Statement::SetForRole { role: role(), setting: Setting::SearchPath(Vec::new()) },
        Statement::SetForRole { role: role(), setting: Setting::DefaultTransactionReadOnly(false) },
        Statement::Mark { role: role(), mark: Mark { ticket: ticket(), kind: kind("app") } },
        Statement::GrantConnect { role: role(), database: database() },
        Statement::GrantUsage { role: role(), schema: schema() },
        Statement::GrantSelect { role: role(), schema: schema(), table: name.to_owned() },
        Statement::DefaultSelect { role: role(), schema: schema(), owner: name.to_owned() },
        Statement::Begin,
        Statement::Commit,
        Statement::Rollback,
        Statement::Savepoint(0),
        Statement::ReleaseSavepoint(u32::MAX),
        Statement::RollbackToSavepoint(7),
    ]
}

#[test]
fn statements() {
    insta::assert_snapshot!("statements", script(&every_statement(r#"o'b"r\ien"#)));
    assert_eq!(script(&[]), "");
}

#[test]
fn debug_shows_no_verifier() {
    let shown = format!("{:?}", every_statement("x"));
    assert!(shown.contains("Verifier") && !shown.contains("SCRAM"), "{shown}");
}
