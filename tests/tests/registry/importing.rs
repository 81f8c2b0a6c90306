//! The original's registry file, whole: twice, as a rehearsal, and beside what was set since.

use rolecall_tests::{Installation, Running};
use serde_json::json;

use super::{ORIGINAL, audit, ends, file, import, json as cli_json, names, registry, sqlite, targets};

/// Four rows as the original's documents have them: an odd port, an inactive one, a host in capitals, no notes.
fn rows(host: &str, port: u16) -> String {
    format!(
        "{ORIGINAL}
        INSERT INTO db_registry (env, db_name, hostname, port, active, notes) VALUES
            ('dev', 'myapp_dev', '{host}', {port}, 1, 'Dev main DB'),
            ('qa', 'myapp_qa', 'pg-qa-01.example.com', 6543, 0, 'QA main DB; moved'),
            ('uat', 'myapp_uat', 'PG-UAT-01.Example.com', 65535, 1, NULL);
        INSERT INTO db_registry (env, db_name, hostname) VALUES ('prod', 'My App \"1\"', 'pg-prod-01.example.com');
        DELETE FROM db_registry WHERE env = 'uat';
        INSERT INTO db_registry (env, db_name, hostname, port) VALUES
            ('uat', 'myapp_uat', 'PG-UAT-01.Example.com', 65535);
        INSERT INTO audit_log (env, db_name, pg_username, operation, status) VALUES
            ('dev', 'myapp_dev', 'jsmith', 'create_devqa_user', 'user created');"
    )
}

const TRUST: &[&str] = &["--trust-hosts"];

#[tokio::test]
async fn the_originals_registry_is_taken_over_once_and_the_same_again() {
    let rolecall = Installation::new("original").await;
    let path = sqlite(&rolecall, "pg_registry.db", &rows("pg-dev-01.example.com", 15432));
    let before = std::fs::read(&path).unwrap();

    let rehearsal = import(&rolecall, &path, &["--dry-run"], 0);
    let all = ["dev/myapp_dev", "qa/myapp_qa", "prod/My App \"1\"", "uat/myapp_uat"];
    assert_eq!(names(&rehearsal, "added"), all);
    assert_eq!(rehearsal["done"], json!(false));
    assert_eq!(
        names(&rehearsal, "hosts_to_trust"),
        [
            "pg-dev-01.example.com:15432",
            "pg-prod-01.example.com:5432",
            "pg-qa-01.example.com:6543",
            "pg-uat-01.example.com:65535"
        ]
    );
    assert_eq!(rehearsal["remarks"][0]["row"], json!(5), "the host in capitals: {rehearsal}");
    assert!(
        registry(&rolecall).is_empty() && audit(&rolecall).await.is_empty(),
        "a rehearsal changes nothing"
    );

    let done = import(&rolecall, &path, TRUST, 0);
    assert_eq!((names(&done, "added"), &done["done"]), (all.map(String::from).to_vec(), &json!(true)));
    let found = registry(&rolecall);
    let facts = |name: &str| {
        let target = &found[name];
        ["hostname", "port", "active", "notes"].map(|field| target[field].clone())
    };
    let expected = |host: &str, port: u16, active: bool, notes: &str| {
        [json!(host), json!(port), json!(active), json!(notes)]
    };
    assert_eq!(facts(all[0]), expected("pg-dev-01.example.com", 15432, true, "Dev main DB"));
    assert_eq!(facts(all[1]), expected("pg-qa-01.example.com", 6543, false, "QA main DB; moved"));
    assert_eq!(facts(all[2]), expected("pg-prod-01.example.com", 5432, true, ""));
    assert_eq!(facts(all[3]), expected("pg-uat-01.example.com", 65535, true, ""));
    let written = audit(&rolecall).await;
    let count = |event: &str| written.iter().filter(|(name, ..)| name == event).count();
    assert_eq!((count("host.trusted"), count("target.added"), written.len()), (4, 4, 8));
    assert!(written.iter().all(|(_, _, account)| account.starts_with("cli:")), "{written:?}");

    // Again: the hosts are trusted by now, and nothing is left to be done.
    let again = import(&rolecall, &path, &[], 0);
    assert_eq!(names(&again, "unchanged").len(), 4, "{again}");
    assert_eq!(registry(&rolecall), found);
    assert_eq!(audit(&rolecall).await.len(), 8, "what changes nothing leaves no row");
    assert_eq!(std::fs::read(&path).unwrap(), before, "the file is read and not touched");
    let text = ends(&rolecall, &["import", path.to_str().unwrap()], 0);
    assert!(text.ends_with("0 added, 0 changed, 4 unchanged, 0 not in the file\n"), "{text}");
}

#[tokio::test]
async fn what_was_set_since_stays_and_the_rest_follows_the_file() {
    let rolecall = Installation::new("since").await;
    let path = sqlite(&rolecall, "pg_registry.db", &rows("pg-dev-01.example.com", 15432));
    import(&rolecall, &path, TRUST, 0);
    let set = ["set", "dev/myapp_dev", "--sslmode", "verify-full", "--login-user", "dba"];
    ends(&rolecall, &[&set[..], &["--password-ref", "env:TARGET_PASSWORD_DEV"]].concat(), 0);
    ends(
        &rolecall,
        &[
            "add",
            "lab/own",
            "--hostname",
            "pg-dev-01.example.com",
            "--login-user",
            "x",
            "--password-ref",
            "env:TARGET_PASSWORD_X",
        ],
        0,
    );

    let change = "UPDATE db_registry SET active = 0 WHERE env = 'dev'; \
                  UPDATE db_registry SET active = 1, notes = 'back' WHERE env = 'qa';";
    sqlite(&rolecall, "pg_registry.db", change);
    for (more, is_done) in [(&["--dry-run"][..], false), (&[], true)] {
        let told = import(&rolecall, &path, more, 0);
        assert_eq!(names(&told, "changed"), ["dev/myapp_dev", "qa/myapp_qa"]);
        assert_eq!(told["changed"][0]["fields"], json!({ "active": { "from": true, "to": false } }));
        let qa = &told["changed"][1]["fields"];
        assert_eq!(qa["notes"], json!({ "from": "QA main DB; moved", "to": "back" }));
        assert_eq!(names(&told, "not_in_file"), ["lab/own"]);
        assert_eq!(told["done"], json!(is_done));
    }
    let found = registry(&rolecall);
    assert_eq!(found["dev/myapp_dev"]["sslmode"], "verify-full");
    assert_eq!(found["dev/myapp_dev"]["login"]["password"], "env:TARGET_PASSWORD_DEV");
    assert_eq!(found["dev/myapp_dev"]["active"], json!(false));
    assert_eq!(found["lab/own"]["revision"], json!(1), "it was left alone");
}

#[tokio::test]
async fn a_role_is_made_on_a_target_that_was_imported() {
    let rolecall = Running::start("imported").await;
    let target = rolecall.target(1);
    let row = format!(
        "{ORIGINAL} INSERT INTO db_registry (env, db_name, hostname, port) VALUES ('qa', '{}', '{}', {});",
        target.database, target.hostname, target.port
    );
    let path = sqlite(&rolecall, "pg_registry.db", &row);
    let done = import(&rolecall, &path, &[], 0);
    assert!(names(&done, "hosts_to_trust").is_empty(), "default_login.hosts names it");
    let imported = &registry(&rolecall)[&format!("qa/{}", target.database)];
    assert_eq!(imported["lock_database"], json!(target.lock_database), "as the host's other target says");
    let role = rolecall.role("ada");
    let mut job = target.create_role(&role);
    job["env"] = json!("qa");
    rolecall.client.run(&job).await.expect_outcome("created");
}

/// The same rows in every form.
#[tokio::test]
async fn csv_and_json_and_the_originals_own_answer_are_read_as_well() {
    let rolecall = Installation::new("forms").await;
    let csv = "env,db_name,hostname,port,active,notes\n\
               dev,a,db1.example.com,6000,1,\"one, two\"\nqa,b,db2.example.com,,0,\n";
    let answer = json!({ "count": 2, "databases": [
        { "id": 4, "env": "dev", "db_name": "a", "hostname": "db1.example.com", "port": 6000, "active": 1,
          "notes": "one, two", "created_at": "2024-01-01 00:00:00" },
        { "id": 5, "env": "qa", "db_name": "b", "hostname": "db2.example.com", "port": 5432, "active": 0,
          "notes": null, "created_at": "2024-01-01 00:00:00" },
    ]});
    let csv = file(&rolecall, "registry.csv", csv.as_bytes());
    let answer = file(&rolecall, "answer", answer.to_string().as_bytes());
    assert_eq!(names(&import(&rolecall, &csv, TRUST, 0), "added"), ["dev/a", "qa/b"]);
    assert_eq!(names(&import(&rolecall, &answer, &[], 0), "unchanged"), ["dev/a", "qa/b"]);
    assert_eq!(names(&import(&rolecall, &csv, &["--format", "csv"], 0), "unchanged"), ["dev/a", "qa/b"]);
    let wrong = import(&rolecall, &csv, &["--format", "json"], 65);
    assert!(wrong["unreadable"].as_str().unwrap().contains("no JSON"), "{wrong}");
    let nothing = targets(&rolecall, &["import", "/nowhere/pg_registry.db"]);
    assert_eq!(nothing.status.code(), Some(1), "{nothing:?}");
    assert_eq!(cli_json(&rolecall, &["list"], 0)["targets"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_long_registry_is_one_transaction_in_reasonable_time() {
    let rolecall = Installation::new("long").await;
    let rows = format!(
        "{ORIGINAL} WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
         INSERT INTO db_registry (env, db_name, hostname, port) SELECT 'dev', 'db' || i, 'db' || (i % 50), 5432 FROM n;"
    );
    let path = sqlite(&rolecall, "pg_registry.db", &rows);
    let begun = std::time::Instant::now();
    let done = import(&rolecall, &path, TRUST, 0);
    println!("2,000 targets on 50 hosts were imported in {:.1?}", begun.elapsed());
    assert_eq!(names(&done, "added").len(), 2000);
    assert_eq!(names(&done, "hosts_to_trust").len(), 50);
    let superuser = rolecall.control.superuser().await;
    let sql = "SELECT count(DISTINCT xmin::text), count(*) FROM (SELECT xmin FROM targets UNION ALL \
               SELECT xmin FROM default_login_hosts UNION ALL SELECT xmin FROM audit_inbox) written";
    let row = superuser.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (1, 4100), "one transaction");
}
