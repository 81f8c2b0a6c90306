//! Files that are no registry, and rows that are no targets: each is named, with its row, and nothing is imported.

use rolecall_tests::Installation;
use serde_json::{Value, json};

use super::{ORIGINAL, audit, ends, file, import, registry, sqlite, targets};

const LOOSE: &str =
    "CREATE TABLE db_registry (id INTEGER PRIMARY KEY, env, db_name, hostname, port, active, notes);";
/// A row that nothing is wrong with, so that there is always something to be half-imported.
const GOOD: &str = "INSERT INTO db_registry VALUES (1, 'dev', 'good', 'db1', 5432, 1, '');";

/// Row, field and a part of the reason.
type Fault = (u64, &'static str, &'static str);

/// Rows of an `SQLite` table without constraints, beside a good one, and what is wrong with them.
const ROWS: &[(&str, &[Fault])] = &[
    ("(2, 'dev', 'good', 'db2', 5432, 1, '')", &[(2, "", "the same target as row 1")]),
    (
        "(5, 'dev', 'good', 'db1', 5432, 1, ''), (9, 'dev', 'good', 'db1', 5432, 0, '')",
        &[(5, "", "the same target as row 1"), (9, "", "the same target as row 1")],
    ),
    ("(2, 'dev', 'a', 'db1', 0, 1, '')", &[(2, "port", "from 1 to 65535")]),
    ("(2, 'dev', 'a', 'db1', 65536, 1, '')", &[(2, "port", "from 1 to 65535")]),
    ("(2, 'dev', 'a', 'db1', -5432, 1, '')", &[(2, "port", "from 1 to 65535")]),
    ("(2, 'dev', 'a', 'db1', 54.5, 1, '')", &[(2, "port", "from 1 to 65535")]),
    ("(2, 'dev', 'a', 'db1', 'five', 1, '')", &[(2, "port", "from 1 to 65535")]),
    ("(2, 'dev', 'a', 'db1', NULL, 1, '')", &[(2, "port", "is required")]),
    ("(2, NULL, 'a', 'db1', 5432, 1, '')", &[(2, "env", "is required")]),
    ("(2, 'dev', NULL, 'db1', 5432, 1, '')", &[(2, "db_name", "is required")]),
    ("(2, 'dev', 'a', NULL, 5432, 1, '')", &[(2, "hostname", "is required")]),
    ("(2, 'dev', 'a', '', 5432, 1, '')", &[(2, "hostname", "a DNS name or an IP address")]),
    ("(2, 'dev', 'a', 'db1; DROP TABLE targets', 5432, 1, '')", &[(2, "hostname", "a DNS name")]),
    ("(2, 'dev', 'a', '/var/run/postgresql', 5432, 1, '')", &[(2, "hostname", "a DNS name")]),
    ("(2, 'dev', 'a', printf('%.201c', 'h'), 5432, 1, '')", &[(2, "hostname", "at most 200 bytes")]),
    ("(2, 'DEV', 'a', 'db1', 5432, 1, '')", &[(2, "env", "must match")]),
    ("(2, '', 'a', 'db1', 5432, 1, '')", &[(2, "env", "must not be empty")]),
    ("(2, 'dev', '', 'db1', 5432, 1, '')", &[(2, "database", "must not be empty")]),
    ("(2, 'dev', printf('%.64c', 'd'), 'db1', 5432, 1, '')", &[(2, "database", "at most 63")]),
    ("(2, 'dev', 'a' || char(10), 'db1', 5432, 1, '')", &[(2, "database", "control characters")]),
    ("(2, 'dev', x'6100', 'db1', 5432, 1, '')", &[(2, "db_name", "is a blob")]),
    ("(2, 'dev', CAST(x'ff' AS TEXT), 'db1', 5432, 1, '')", &[(2, "db_name", "is not UTF-8")]),
    ("(2, 'dev', 'a', 'db1', 5432, 2, '')", &[(2, "active", "0 or 1")]),
    ("(2, 'dev', 'a', 'db1', 5432, NULL, '')", &[(2, "active", "0 or 1")]),
    ("(2, 'dev', 'a', 'db1', 5432, 'yes', '')", &[(2, "active", "0 or 1")]),
    ("(2, 'dev', 'a', 'db1', 5432, 1, printf('%.4097c', 'n'))", &[(2, "notes", "4096 bytes")]),
    ("(2, 'dev', 'a', 'db1', 5432, 1, 'a' || char(0))", &[(2, "notes", "without NUL")]),
    ("(2, 'dev', 'a', 'db1', 5432, 1, 7)", &[(2, "notes", "must be a string")]),
    (
        "(2, 'dev', 'a', 'A B', 0, 1, ''), (3, 'Q A', 'b', 'db1', 5432, 1, ''), (4, 'dev', 'c', 'db1', 1, 9, '')",
        &[
            (2, "port", "65535"),
            (2, "hostname", "a DNS name"),
            (3, "env", "must match"),
            (4, "active", "0 or 1"),
        ],
    ),
];

#[track_caller]
fn assert_faults(what: &str, answer: &Value, expected: &[Fault]) {
    let faults = answer["faults"].as_array().unwrap_or_else(|| panic!("{what}: {answer}"));
    let told: Vec<_> = faults
        .iter()
        .map(|fault| (fault["row"].as_u64().unwrap(), fault["field"].as_str().unwrap_or_default()))
        .collect();
    let wanted: Vec<_> = expected.iter().map(|(row, field, _)| (*row, *field)).collect();
    assert_eq!(told, wanted, "{what}: {answer}");
    for (fault, (_, _, reason)) in faults.iter().zip(expected) {
        assert!(fault["reason"].as_str().unwrap().contains(reason), "{what}: {fault}");
    }
    assert_eq!(answer["done"], json!(false));
}

#[tokio::test]
async fn every_bad_row_is_named_and_nothing_is_half_imported() {
    let rolecall = Installation::new("bad_rows").await;
    ends(&rolecall, &["add", "lab/there", "--hostname", "db9", "--trust-hosts"], 0);
    let before = (registry(&rolecall), audit(&rolecall).await);
    for (number, (rows, expected)) in ROWS.iter().enumerate() {
        let statements = format!("{LOOSE}{GOOD} INSERT INTO db_registry VALUES {rows};");
        let path = sqlite(&rolecall, &format!("{number}.db"), &statements);
        assert_faults(rows, &import(&rolecall, &path, &["--trust-hosts"], 65), expected);
    }
    assert_eq!((registry(&rolecall), audit(&rolecall).await), before);
    // The same in a rehearsal, and for people: every row on a line of its own.
    let path = rolecall.dir().join(format!("{}.db", ROWS.len() - 1));
    assert_faults("the last", &import(&rolecall, &path, &["--dry-run"], 65), ROWS[ROWS.len() - 1].1);
    let text = ends(&rolecall, &["import", path.to_str().unwrap()], 65);
    for part in
        ["nothing was changed; 4 to mend", "row 2 (dev/a): port must", "row 3: env must", "row 4: active"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn what_is_no_registry_is_refused_as_a_whole() {
    let rolecall = Installation::new("no_registry").await;
    let database = |name: &str, statements: &str| std::fs::read(sqlite(&rolecall, name, statements)).unwrap();
    let whole = database(
        "whole.db",
        &format!("{ORIGINAL} INSERT INTO db_registry (env, db_name, hostname) VALUES ('dev', 'a', 'h');"),
    );
    let mut broken = whole.clone();
    broken[100..].fill(0xa5);
    let files: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", Vec::new(), "it is empty"),
        ("text", b"hello, world\n".to_vec(), "neither SQLite nor JSON"),
        ("a picture", [&b"\x89PNG\r\n\x1a\n"[..], &[0; 64]].concat(), "neither SQLite nor JSON"),
        ("half a head", whole[..15].to_vec(), "neither SQLite nor JSON"),
        ("a head alone", whole[..16].to_vec(), "SQLite cannot read it"),
        ("cut", whole[..whole.len() / 2].to_vec(), "SQLite cannot read it"),
        ("overwritten", broken, "SQLite cannot read it"),
        ("no table", database("0.db", "CREATE TABLE audit_log (id)"), "no table db_registry"),
        (
            "a view",
            database(
                "1.db",
                "CREATE VIEW db_registry AS WITH RECURSIVE n (env) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT env FROM n",
            ),
            "no table db_registry",
        ),
        (
            "no port",
            database("2.db", "CREATE TABLE db_registry (env, db_name, hostname, active)"),
            "no column port",
        ),
        (
            "no columns of ours",
            database("3.db", "CREATE TABLE db_registry (a)"),
            "env, db_name, hostname, port, active",
        ),
        ("half JSON", b"{\"targets\": [".to_vec(), "no JSON"),
        ("other JSON", b"{\"rows\": []}".to_vec(), "neither a list of targets"),
        ("CSV without a host", b"env,database\ndev,a\n".to_vec(), "does not name hostname"),
        (
            "CSV with a password",
            b"env,database,hostname,password\ndev,a,h,hunter2\n".to_vec(),
            "not known: password",
        ),
    ];
    for (what, content, reason) in files {
        let path = file(&rolecall, "registry", &content);
        let answer = import(&rolecall, &path, &["--trust-hosts"], 65);
        let told = answer["unreadable"].as_str().unwrap_or_else(|| panic!("{what}: {answer}"));
        assert!(told.contains(reason), "{what}: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    let folder = targets(&rolecall, &["import", rolecall.dir().to_str().unwrap()]);
    assert_eq!(folder.status.code(), Some(1), "{folder:?}");
    assert!(registry(&rolecall).is_empty() && audit(&rolecall).await.is_empty());
}

#[tokio::test]
async fn rows_of_csv_and_json_are_named_by_line_and_place() {
    let rolecall = Installation::new("bad_lines").await;
    let csv = "env,database,hostname,port,active,login_user,password_ref,lock_database\n\
               dev,a,db1,5432,1,,,\n\
               dev,b,db1,x,1,,,\n\
               dev,c,db1\n\
               dev,d,db2,,perhaps,,,\n\
               dev,e,db2,,1,dba,,\n\
               dev,f,db2,,1,dba,file:/etc/shadow,\n\
               dev,g,db1,5432,1,,,elsewhere\n";
    let path = file(&rolecall, "registry.csv", csv.as_bytes());
    let expected: &[Fault] = &[
        (3, "port", "65535"),
        (4, "", "has 3 cells"),
        (5, "active", "true or false"),
        (6, "login.password", "is required for a new target"),
        (7, "login.password_ref", "target.password_folders"),
        (8, "lock_database", "row 2"),
    ];
    assert_faults("CSV", &import(&rolecall, &path, &["--trust-hosts"], 65), expected);
    // A reference without a user is no default log-in.
    let csv = "env,database,hostname,password_ref\ndev,a,db1,\ndev,b,db3,env:TARGET_PASSWORD_B\n";
    let path = file(&rolecall, "registry.csv", csv.as_bytes());
    assert_faults("CSV", &import(&rolecall, &path, &["--trust-hosts"], 65), &[(3, "login.user", "required")]);
    let list = json!([
        { "env": "dev", "database": "a", "hostname": "db1" },
        { "env": "dev", "database": "b", "hostname": "db1", "colour": "red" },
        "dev/c",
        { "env": "dev", "database": "d", "hostname": "db1", "login": { "user": "dba", "password": "hunter2" } },
        { "env": "dev", "database": "a", "hostname": "db1" },
    ]);
    let path = file(&rolecall, "registry.json", list.to_string().as_bytes());
    let expected: &[Fault] = &[
        (2, "colour", "not known"),
        (3, "", "must be an object"),
        (4, "login.password", "does not belong into a file"),
        (5, "", "the same target as row 1"),
    ];
    let answer = import(&rolecall, &path, &["--trust-hosts"], 65);
    assert_faults("JSON", &answer, expected);
    assert!(!answer.to_string().contains("hunter2"));
    assert!(registry(&rolecall).is_empty() && audit(&rolecall).await.is_empty());
}
