//! Migrations, and what the two roles may do after them.

use rolecall_shared::config;
use rolecall_shared::control::{Control, migrate};
use rolecall_shared::domain::Code;
use rolecall_tests::control::ControlDatabase;
use rolecall_tests::stack::Stack;

#[tokio::test]
async fn migrations_apply_once_and_the_check_knows() {
    let database = ControlDatabase::create(Stack::shared()).await;
    let control = Control::new(&database.settings()).unwrap();
    let before = control.check_migrated().await.unwrap_err();
    assert_eq!(before.code(), Code::ControlDatabaseUnavailable);
    assert!(before.detail().contains("rolecall migrate"), "{}", before.detail());

    let applied = migrate(&database.settings()).await.unwrap();
    assert_eq!(applied[0], "V1__registry");
    control.check_migrated().await.unwrap();
    control.ping().await.unwrap();
    assert!(migrate(&database.settings()).await.unwrap().is_empty());

    // A newer Rolecall was here.
    let superuser = database.superuser().await;
    let sql = "INSERT INTO refinery_schema_history VALUES (9999, 'later', '2026-01-01T00:00:00Z', '1')";
    superuser.batch_execute(sql).await.unwrap();
    assert!(control.check_migrated().await.unwrap_err().detail().contains("newer"));
    assert!(migrate(&database.settings()).await.unwrap_err().detail().contains("newer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_migrations_at_once_take_turns() {
    let database = ControlDatabase::create(Stack::shared()).await;
    let settings = database.settings();
    let all = futures_util::future::join_all((0..6).map(|_| migrate(&settings))).await;
    let mut applied: Vec<_> = all.into_iter().map(Result::unwrap).collect();
    applied.sort_by_key(Vec::len);
    let last = applied.pop().unwrap();
    assert!(!last.is_empty() && applied.iter().all(Vec::is_empty), "{applied:?} {last:?}");
    Control::new(&settings).unwrap().check_migrated().await.unwrap();
}

#[tokio::test]
async fn the_writer_adds_to_the_audit_and_changes_nothing_in_it() {
    let (database, _) = ControlDatabase::migrated(Stack::shared()).await;
    let writer = database.writer().await;
    for table in [
        "audit_inbox",
        "audit_ledger",
        "audit_blocks",
        "audit_checkpoints",
        "secrets_taken",
        "history",
        "history_others",
    ] {
        for statement in [
            format!(
                "UPDATE {table} SET {}",
                if table == "audit_checkpoints" {
                    "note = ''"
                } else if table == "audit_blocks" {
                    "count = 1"
                } else {
                    "account = ''"
                }
            ),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
            format!("ALTER TABLE {table} ADD COLUMN more text"),
            format!("DROP TABLE {table}"),
            format!(
                "CREATE TRIGGER quiet BEFORE INSERT ON {table} EXECUTE FUNCTION suppress_redundant_updates_trigger()"
            ),
        ] {
            let error = writer.batch_execute(&statement).await.unwrap_err();
            assert_eq!(error.code().unwrap().code(), "42501", "{statement}");
        }
    }
}

#[tokio::test]
async fn the_writers_rights_are_exactly_these() {
    let (database, _) = ControlDatabase::migrated(Stack::shared()).await;
    let superuser = database.superuser().await;
    // A right that somebody gave by hand, or an older version needed, is gone after the next `migrate`.
    let by_hand = format!("GRANT ALL ON audit_inbox TO {}_writer", database.name);
    superuser.batch_execute(&by_hand).await.unwrap();
    migrate(&database.settings()).await.unwrap();

    let rights = superuser
        .query(
            "SELECT c.relname || ': ' || concat_ws(' ', VARIADIC ARRAY ( \
                 SELECT p FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', \
                     'TRIGGER']) AS p WHERE has_table_privilege($1::text, c.oid, p))) \
             FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace \
             ORDER BY c.relname",
            &[&format!("{}_writer", database.name)],
        )
        .await
        .unwrap();
    let rights: Vec<String> = rights.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        rights,
        [
            "accounts: SELECT INSERT UPDATE DELETE",
            "api_tokens: SELECT INSERT UPDATE DELETE",
            "audit_blocks: SELECT INSERT",
            "audit_checkpoints: SELECT INSERT",
            "audit_inbox: SELECT INSERT",
            "audit_ledger: SELECT INSERT",
            "audit_pending: SELECT INSERT DELETE",
            "default_login_hosts: SELECT",
            "history: SELECT INSERT",
            "history_archive_blocks: SELECT",
            "history_archives: SELECT",
            "history_tickets: SELECT INSERT",
            "hosts: SELECT INSERT UPDATE DELETE",
            "identity_tokens_used: SELECT INSERT DELETE",
            "refinery_schema_history: SELECT",
            "revoked_sessions: SELECT INSERT DELETE",
            "secrets_taken: SELECT INSERT",
            "targets: SELECT INSERT UPDATE DELETE",
            "webhook_attempts: SELECT INSERT DELETE",
            "webhook_deliveries: SELECT INSERT UPDATE DELETE",
            "webhook_endpoints: SELECT INSERT UPDATE DELETE",
            "webhook_events: SELECT INSERT DELETE",
            "webhook_settings: SELECT UPDATE",
        ]
    );
}

#[tokio::test]
async fn one_role_may_be_owner_and_writer() {
    let database = ControlDatabase::create(Stack::shared()).await;
    let settings =
        config::Control { url: database.owner_url.clone().into(), owner_url: None, ..database.settings() };
    assert!(!migrate(&settings).await.unwrap().is_empty());
    Control::new(&settings).unwrap().check_migrated().await.unwrap();
}

#[tokio::test]
async fn a_writer_that_does_not_exist_is_named() {
    let database = ControlDatabase::create(Stack::shared()).await;
    let url = database.writer_url.replace("_writer:", "_nobody:");
    let settings = config::Control { url: url.into(), ..database.settings() };
    let failure = migrate(&settings).await.unwrap_err();
    assert!(failure.detail().contains(&format!("{}_nobody", database.name)), "{}", failure.detail());
}
