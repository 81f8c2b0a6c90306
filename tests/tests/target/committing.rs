//! Statements, errors in them, and what is known after a COMMIT.

use std::time::Duration;

use rolecall_shared::ddl::Statement;
use rolecall_shared::domain::{Code, HostKey, RoleName};
use rolecall_shared::target::{Purpose, Session, Verdict};

use crate::scene::{Scene, create, host_cause, role, unique, until};
use crate::wire;

async fn begin_create(session: &Session) -> RoleName {
    let role = role(&unique("c"));
    session.execute(&[Statement::Begin, create(&role)]).await.unwrap();
    role
}

#[tokio::test]
async fn an_answer_to_commit_that_is_lost_leaves_the_outcome_unknown() {
    let scene = Scene::new().await;
    let mut target = scene.target();
    let wire = wire::losing_the_answer_to(b"\nCOMMIT").await;
    target.host = HostKey::new("127.0.0.1", wire.port()).unwrap();
    let session = scene.connector.open(&target, &target.key.database, Purpose::Lane).await.unwrap();
    let role = begin_create(&session).await;

    let error = session.commit().await.unwrap_err();
    host_cause(&error);
    assert!(error.commit_unknown);
    // And this time it did commit.
    assert!(scene.role_exists(&role).await);
}

#[tokio::test]
async fn a_backend_that_died_before_commit_has_certainly_not_committed() {
    let scene = Scene::new().await;
    let database = scene.own_database().await;
    let session = scene.open(database.as_str(), Purpose::Lane).await;
    assert!(session.try_host_lock().await.unwrap());
    let role = begin_create(&session).await;
    scene.end_backend_of(&session).await;
    until("the end is noticed", async || session.is_closed()).await;

    let error = session.commit().await.unwrap_err();
    host_cause(&error);
    assert!(!error.commit_unknown);
    assert!(!scene.role_exists(&role).await);
}

#[tokio::test]
async fn commit_after_an_error_is_no_success() {
    let scene = Scene::new().await;
    let session = scene.open("postgres", Purpose::Lane).await;
    let first = begin_create(&session).await;
    let error = session.execute(&[create(&first)]).await.unwrap_err();
    assert_eq!(error.verdict, Verdict::Exists);
    assert_eq!(error.sqlstate.as_deref(), Some("42710"));

    let error = session.commit().await.unwrap_err();
    assert!(matches!(error.verdict, Verdict::Permanent { .. }), "{error:?}");
    assert!(!error.commit_unknown);
    session.execute(&[Statement::Rollback]).await.unwrap();
    assert!(!scene.role_exists(&first).await);

    // A whole transaction in one script: the error keeps its COMMIT from being run.
    let error = session
        .execute(&[Statement::Begin, create(&first), create(&first), Statement::Commit])
        .await
        .unwrap_err();
    assert_eq!((error.verdict, error.commit_unknown), (Verdict::Exists, false));
    session.execute(&[Statement::Rollback]).await.unwrap();
    assert!(!scene.role_exists(&first).await);
}

#[tokio::test]
async fn a_savepoint_saves_what_was_before_the_error() {
    let scene = Scene::new().await;
    let session = scene.open("postgres", Purpose::Lane).await;
    let first = begin_create(&session).await;
    let guarded = [Statement::Savepoint(1), create(&first)];
    assert_eq!(session.execute(&guarded).await.unwrap_err().verdict, Verdict::Exists);
    session.execute(&[Statement::RollbackToSavepoint(1)]).await.unwrap();
    session.commit().await.unwrap();
    assert!(scene.role_exists(&first).await);
}

#[tokio::test]
async fn a_role_without_createrole_is_told_so() {
    let scene = Scene::new().await;
    let powerless = unique("powerless");
    scene.sql(&format!("CREATE ROLE {powerless} LOGIN PASSWORD 'x'")).await;
    let target = scene.target_as(&powerless, "x");
    let session = scene.connector.open(&target, &target.key.database, Purpose::Lane).await.unwrap();
    let error = session.execute(&[create(&role(&unique("c")))]).await.unwrap_err();
    match &error.verdict {
        Verdict::Permanent { code, detail } => {
            assert_eq!(*code, Code::PermissionDenied);
            assert!(detail.contains("42501") && !detail.contains("SCRAM"), "{detail}");
        }
        Verdict::Exists | Verdict::TryAgain | Verdict::Host { .. } | Verdict::Login { .. } => {
            panic!("{error:?}")
        }
    }
}

#[tokio::test]
async fn a_missing_database_in_a_statement_is_named() {
    let scene = Scene::new().await;
    let session = scene.open("postgres", Purpose::Lane).await;
    let role = begin_create(&session).await;
    let setting = rolecall_shared::ddl::Setting::DefaultTransactionReadOnly(true);
    let database = crate::scene::database(&unique("nodb"));
    let set = Statement::SetInDatabase { role, database, setting };
    let error = session.execute(&[set]).await.unwrap_err();
    assert!(matches!(error.verdict, Verdict::Permanent { code: Code::DatabaseNotFound, .. }), "{error:?}");
}

#[tokio::test]
async fn who_waits_too_long_for_a_lock_gives_up() {
    let scene = Scene::with(|settings| settings.lock_timeout = Duration::from_millis(100)).await;
    let holder = scene.open("postgres", Purpose::Lane).await;
    let role = begin_create(&holder).await;
    let session = scene.open("postgres", Purpose::Lane).await;
    let error = session.execute(&[create(&role)]).await.unwrap_err();
    assert_eq!(error.sqlstate.as_deref(), Some("55P03"));
    host_cause(&error);
    assert!(!session.is_closed(), "the session lives on");
}

#[tokio::test]
async fn a_statement_that_is_given_up_cuts_its_session() {
    let scene = Scene::new().await;
    let holder = scene.open("postgres", Purpose::Lane).await;
    let role = begin_create(&holder).await;
    let database = scene.own_database().await;
    let session = scene.open(database.as_str(), Purpose::Lane).await;
    assert!(session.try_host_lock().await.unwrap());

    // Waits for the holder's transaction, and longer than its caller does.
    let statement = create(&role);
    let waiting = session.execute(std::slice::from_ref(&statement));
    assert!(tokio::time::timeout(Duration::from_millis(50), waiting).await.is_err());
    assert!(session.is_closed());
    assert!(!session.ping().await.unwrap_err().commit_unknown);
    // The server notices as well (`client_connection_check_interval`) and frees the lock, long before the
    // statement's own limits end it.
    let begun = std::time::Instant::now();
    let next = scene.open(database.as_str(), Purpose::Lane).await;
    until("the lock is free", async || next.try_host_lock().await.unwrap()).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_server_that_stops_answering_is_given_up() {
    let scene = Scene::with(|settings| settings.statement_timeout = Duration::from_millis(100)).await;
    let mut target = scene.target();
    let wire = wire::falling_silent_after(b"SAVEPOINT").await;
    target.host = HostKey::new("127.0.0.1", wire.port()).unwrap();
    let session = scene.connector.open(&target, &target.key.database, Purpose::Lane).await.unwrap();
    session.execute(&[Statement::Begin]).await.unwrap();
    let error = session.execute(&[Statement::Savepoint(1), Statement::Commit]).await.unwrap_err();
    assert!(host_cause(&error).contains("2100 ms"), "{error}");
    assert!(error.commit_unknown && session.is_closed());
}
