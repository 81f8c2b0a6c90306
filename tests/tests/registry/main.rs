//! The registry as an operator changes it: files of other programs and of our own, single targets, looking at them,
//! and that a change is live in every process.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]
#![allow(clippy::print_stdout, reason = "a suite tells what it has measured")]

mod bad_files;
mod checking;
mod commands;
mod importing;
mod live;
mod origins;
mod trusting;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use rolecall_tests::Installation;
use serde_json::Value;

/// pg-user-api's tables, as its documentation and its own set-up have them.
const ORIGINAL: &str = "
    CREATE TABLE db_registry (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        env        TEXT NOT NULL,
        db_name    TEXT NOT NULL,
        hostname   TEXT NOT NULL,
        port       INTEGER NOT NULL DEFAULT 5432,
        active     INTEGER NOT NULL DEFAULT 1,
        notes      TEXT,
        created_at TEXT NOT NULL DEFAULT (datetime('now')),
        UNIQUE (env, db_name)
    );
    CREATE TABLE audit_log (
        id           INTEGER PRIMARY KEY AUTOINCREMENT,
        env          TEXT,
        db_name      TEXT,
        pg_username  TEXT,
        operation    TEXT,
        status       TEXT,
        performed_at TEXT NOT NULL DEFAULT (datetime('now'))
    );";

/// A file in the installation's folder.
fn file(rolecall: &Installation, name: &str, content: &[u8]) -> PathBuf {
    let path = rolecall.dir().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// An `SQLite` file in the installation's folder.
fn sqlite(rolecall: &Installation, name: &str, statements: &str) -> PathBuf {
    let path = rolecall.dir().join(name);
    rusqlite::Connection::open(&path).unwrap().execute_batch(statements).unwrap();
    path
}

/// `rolecall targets …` with its arguments in words.
fn targets(rolecall: &Installation, arguments: &[&str]) -> Output {
    let output = rolecall.run(&[&["targets"], arguments].concat());
    let printed = format!("{output:?}");
    assert!(!printed.contains(rolecall.stack.get("STACK_DBA_PASSWORD")), "{printed}");
    assert!(!printed.contains("panicked"), "{printed}");
    output
}

/// The same, which must end with this code; what it printed.
#[track_caller]
fn ends(rolecall: &Installation, arguments: &[&str], code: i32) -> String {
    let output = targets(rolecall, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
    String::from_utf8(if code == 0 { output.stdout } else { output.stderr }).unwrap()
}

/// The same with `--json` behind it; what scripts read.
#[track_caller]
fn json(rolecall: &Installation, arguments: &[&str], code: i32) -> Value {
    let output = targets(rolecall, &[arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

/// The import of a file, as scripts read it.
#[track_caller]
fn import(rolecall: &Installation, path: &Path, more: &[&str], code: i32) -> Value {
    json(rolecall, &[&["import", path.to_str().unwrap()], more].concat(), code)
}

/// All targets by their names.
fn registry(rolecall: &Installation) -> BTreeMap<String, Value> {
    let listed = json(rolecall, &["list"], 0);
    let name = |target: &Value| {
        format!("{}/{}", target["env"].as_str().unwrap(), target["database"].as_str().unwrap())
    };
    listed["targets"].as_array().unwrap().iter().map(|target| (name(target), target.clone())).collect()
}

/// What the audit has, oldest first: event, target or host, account.
async fn audit(rolecall: &Installation) -> Vec<(String, String, String)> {
    let sql = "SELECT event, coalesce(env || '/' || database, host), account FROM audit_inbox ORDER BY seq";
    let rows = rolecall.control.superuser().await.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

/// The names in a list of an import's answer.
fn names(answer: &Value, list: &str) -> Vec<String> {
    let items = answer[list].as_array().unwrap_or_else(|| panic!("no list {list} in {answer}"));
    let name = |item: &Value| item["target"].as_str().or(item.as_str()).unwrap().to_owned();
    items.iter().map(name).collect()
}
