use std::path::PathBuf;

use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;

use super::*;

fn text(text: &str) -> Result<Rows, Unreadable> {
    read_text(text.as_bytes(), None).unwrap()
}

fn rows(content: &str) -> Vec<(u64, Value)> {
    let read = text(content).unwrap();
    assert!(read.faults.is_empty(), "{:?}", read.faults);
    read.rows.into_iter().map(|row| (row.number, Value::Object(row.fields))).collect()
}

fn faults(read: &Rows) -> Vec<String> {
    read.faults.iter().map(|fault| format!("{} {}: {}", fault.row, fault.field, fault.reason)).collect()
}

/// A file with a table of the registry's columns, without its constraints.
fn sqlite(statements: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pg_registry.db");
    Connection::open(&path).unwrap().execute_batch(statements).unwrap();
    (dir, path)
}

const LOOSE: &str =
    "CREATE TABLE db_registry (id INTEGER PRIMARY KEY, env, db_name, hostname, port, active, notes);";

#[test]
fn sqlite_rows_are_read_by_their_id() {
    let (_dir, path) = sqlite(&format!(
        "{LOOSE} INSERT INTO db_registry VALUES (3, 'dev', 'a', 'DB1', 5433, 1, NULL), (7, 'qa', 'b', 'db2', 1, 0, 'old');"
    ));
    let read = read(&path, None).unwrap().unwrap();
    assert!(read.faults.is_empty());
    assert_eq!(read.rows[0].number, 3);
    assert!(read.rows[0].remark.is_some(), "its host was in capitals");
    let fields = json!({ "env": "dev", "database": "a", "hostname": "db1", "port": 5433, "active": true, "notes": "" });
    assert_eq!(Value::Object(read.rows[0].fields.clone()), fields);
    assert_eq!((read.rows[1].number, &read.rows[1].fields["active"]), (7, &json!(false)));
}

#[test]
fn sqlite_cells_of_the_wrong_kind_are_told_by_row() {
    let (_dir, path) = sqlite(&format!(
        "{LOOSE} INSERT INTO db_registry VALUES (1, NULL, 'a', 'h', 1, 1, ''), (2, 'dev', x'00', 'h', 1, 1, ''), \
         (3, 'dev', 'a', CAST(x'ff' AS TEXT), 1, 7, ''), (4, 'dev', 'a', 'h', 1, NULL, '');"
    ));
    let read = read(&path, None).unwrap().unwrap();
    assert!(read.rows.is_empty());
    assert_eq!(
        faults(&read),
        [
            "1 env: is required",
            "2 db_name: must be text, and is a blob",
            "3 hostname: is not UTF-8",
            "3 active: must be 0 or 1",
            "4 active: must be 0 or 1",
        ]
    );
}

#[test]
fn what_is_no_registry_is_refused_as_a_whole() {
    for (statements, reason) in [
        ("CREATE TABLE other (a)", "no table db_registry"),
        ("CREATE VIEW db_registry AS SELECT 1 AS env", "no table db_registry"),
        ("CREATE TABLE db_registry (env, db_name, port)", "has no column hostname, active"),
    ] {
        let (_dir, path) = sqlite(statements);
        let error = read(&path, None).unwrap().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let (_dir, path) = sqlite(LOOSE);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(4000);
    std::fs::write(&path, &bytes).unwrap();
    assert!(read(&path, None).unwrap().unwrap_err().to_string().contains("SQLite cannot read it"));
    std::fs::write(&path, "env,database,hostname\n").unwrap();
    assert!(
        read(&path, Some(Format::Sqlite)).unwrap().unwrap_err().to_string().contains("no SQLite database")
    );
    assert!(read(&path.join("nothing"), None).is_err());
}

#[test]
fn as_many_rows_as_the_limit_and_not_one_more() {
    for (count, fits) in [(MAX_ROWS, true), (MAX_ROWS + 1, false)] {
        let (_dir, path) = sqlite(&format!(
            "{LOOSE} WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
             INSERT INTO db_registry SELECT i, 'dev', 'd' || i, 'h', 1, 1, '' FROM n;"
        ));
        assert_eq!(read(&path, None).unwrap().is_ok(), fits, "SQLite {count}");
        let csv = "dev,d,h\n".repeat(count);
        assert_eq!(text(&format!("env,database,hostname\n{csv}")).is_ok(), fits, "CSV {count}");
        let json = Value::Array(vec![json!({}); count]).to_string();
        assert_eq!(text(&json).is_ok(), fits, "JSON {count}");
    }
    let long = " ".repeat(usize::try_from(MAX_BYTES).unwrap());
    assert!(text(&long).unwrap_err().to_string().contains("empty"));
    assert!(text(&(long + "[")).unwrap_err().to_string().contains("longer"));
}

#[test]
fn csv_is_read_with_our_names_and_with_theirs() {
    let read = rows(
        "\u{feff}id,env,db_name,hostname,port,active,notes\r\n1,dev,a,db1,,1,\"two\nlines\"\r\n2,qa,b,db2,5433,no,\r\n",
    );
    assert_eq!(
        read[0],
        (
            2,
            json!({ "env": "dev", "database": "a", "hostname": "db1", "port": null, "active": true, "notes": "two\nlines" })
        )
    );
    assert_eq!(
        read[1],
        (
            4,
            json!({ "env": "qa", "database": "b", "hostname": "db2", "port": 5433, "active": false, "notes": "" })
        )
    );
    let read = rows(
        "env,database,hostname,login_user,password_ref\ndev,a,db1,,\ndev,b,db1,dba,env:DB\ndev,c,db1,dba,\n",
    );
    let logins: Vec<_> = read.iter().map(|(_, row)| row["login"].clone()).collect();
    assert_eq!(
        logins,
        [json!(null), json!({ "user": "dba", "password_ref": "env:DB" }), json!({ "user": "dba" })]
    );
}

#[test]
fn csv_that_is_wrong_is_told() {
    for (content, reason) in [
        ("", "it is empty"),
        ("hello", "does not name env, database, hostname"),
        ("env,hostname\n", "does not name database"),
        ("env,database,hostname,colour\n", "not known: colour"),
        ("env,database,hostname,env\n", "env stands there twice"),
    ] {
        let error = text(content).unwrap_err().to_string();
        assert!(error.contains(reason), "{content:?}: {error}");
    }
    let read = text("env,database,hostname,active\ndev,a\ndev,a,h,perhaps\ndev,a,h,1\n").unwrap();
    assert_eq!(read.rows.len(), 1);
    assert_eq!(faults(&read), ["2 : has 2 cells, and the first line 4", "3 active: must be true or false"]);
}

#[test]
fn json_is_a_list_or_has_one() {
    let row = r#"{"env": "dev", "db_name": "a", "hostname": "Db1", "active": 0, "id": 9, "created_at": "x"}"#;
    for content in [
        format!("[{row}]"),
        format!(r#" {{"targets": [{row}]}}"#),
        format!(r#"{{"count": 1, "databases": [{row}]}}"#),
    ] {
        assert_eq!(
            rows(&content),
            [(1, json!({ "env": "dev", "database": "a", "hostname": "db1", "active": false }))]
        );
    }
    for (content, reason) in
        [("{}", "neither a list"), ("[", "no JSON"), (r#"{"targets": 1}"#, "neither a list")]
    {
        assert!(text(content).unwrap_err().to_string().contains(reason), "{content}");
    }
    let deep = "[".repeat(100_000);
    assert!(text(&deep).unwrap_err().to_string().contains("no JSON"));
    let read = text(r#"[1, {"login": {"user": "a", "password": "hunter2"}}, {}]"#).unwrap();
    assert_eq!(read.rows.len(), 1);
    assert_eq!(read.faults.len(), 2);
    assert!(!format!("{:?}", read.faults).contains("hunter2"));
}

#[test]
fn cells_are_no_formulas_and_read_back() {
    let notes = ["=1+1", "+1", "-1", "@x", "'=1", "''-", "'tis", "plain", "a,\"b\"\nc", ""];
    let targets: Vec<_> = notes
        .iter()
        .map(|notes| {
            let target = json!({ "env": "dev", "database": "a", "hostname": "h", "port": 1, "active": true, "notes": notes });
            target.as_object().unwrap().clone()
        })
        .collect();
    let written = write_csv(&targets).unwrap();
    for formula in [",=", ",+", ",-", ",@"] {
        assert!(!written.contains(formula), "{written}");
    }
    let read: Vec<_> =
        rows(&written).into_iter().map(|(_, row)| row["notes"].as_str().unwrap().to_owned()).collect();
    assert_eq!(read, notes);
}
