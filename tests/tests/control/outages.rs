//! A control database that is away, silent or slow: an error in time, and no password in it.

use std::time::{Duration, Instant};

use rolecall_shared::config;
use rolecall_shared::control::{Control, NewAccount, Settlement, migrate};
use rolecall_shared::domain::ticket::Ending;
use rolecall_shared::domain::{AccountKind, Code, Failure};
use rolecall_tests::control::ControlDatabase;
use rolecall_tests::stack::Stack;

use crate::accounts::new;
use crate::proxy::Proxy;
use crate::{actor, at, create_role, key, until_lock_waits};

const TIMEOUT: Duration = Duration::from_millis(500);

/// Room for a busy machine; far below what "hangs" would be.
const IN_TIME: Duration = Duration::from_secs(15);

fn settings(url: &str) -> config::Control {
    let history = config::History { keep_months: 24, archive_folder: None };
    config::Control { url: url.to_owned().into(), owner_url: None, pool: 2, timeout: TIMEOUT, history }
}

/// A few calls of each sort must all fail as "away", in time, without the password.
async fn all_are_unavailable(settings: &config::Control, password: &str) {
    let control = Control::new(settings).unwrap();
    let job = create_role("web01");
    let settlement =
        Settlement { job: job.clone(), ending: Ending::Cancelled, finished_at: at(1), attempts: 0 };
    let started = Instant::now();
    let failures: Vec<Failure> = vec![
        control.ping().await.unwrap_err(),
        control.check_migrated().await.unwrap_err(),
        control.find_target(&key("dev", "a")).await.unwrap_err(),
        control.remove_target(&key("dev", "a"), None, &actor("ci"), at(1)).await.unwrap_err(),
        control.settle(&[settlement]).await.unwrap_err(),
        control.take_secret(&job, &actor("ci"), at(1)).await.unwrap_err(),
        migrate(settings).await.unwrap_err(),
    ];
    let calls = u32::try_from(failures.len()).unwrap();
    assert!(started.elapsed() < TIMEOUT * calls + IN_TIME, "{:?}", started.elapsed());
    for failure in failures {
        assert_eq!(failure.code(), Code::ControlDatabaseUnavailable, "{:?}", failure.cause_chain());
        assert!(failure.retry_delay().is_some());
        let everything = format!("{failure} {failure:?} {:?}", failure.cause_chain());
        assert!(!everything.contains(password), "{everything}");
    }
}

#[tokio::test]
async fn nobody_listens() {
    // Bound and not listening: no other process can get this port meanwhile.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    all_are_unavailable(&settings(&format!("postgres://u:hunter2@127.0.0.1:{port}/d")), "hunter2").await;
}

#[tokio::test]
async fn somebody_listens_and_never_answers() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    all_are_unavailable(&settings(&format!("postgres://u:hunter2@127.0.0.1:{port}/d")), "hunter2").await;
}

#[tokio::test]
async fn the_log_in_is_refused() {
    let database = ControlDatabase::create(Stack::shared()).await;
    let (user, _) = database.writer_url.rsplit_once(':').unwrap().0.rsplit_once(':').unwrap();
    let address = database.writer_url.rsplit_once('@').unwrap().1;
    all_are_unavailable(&settings(&format!("{user}:hunter2@{address}")), "hunter2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_too_long_fails_and_leaves_nothing_behind() {
    let (database, _) = ControlDatabase::migrated(Stack::shared()).await;
    // Long enough to open a connection on a busy machine.
    let settings = config::Control { timeout: Duration::from_secs(2), ..settings(&database.writer_url) };
    let control = Control::new(&settings).unwrap();
    let mut superuser = database.superuser().await;
    let lock = superuser.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE targets, history").await.unwrap();
    let settlement =
        Settlement { job: create_role("web01"), ending: Ending::Cancelled, finished_at: at(1), attempts: 0 };
    let started = Instant::now();
    // More calls than connections: some wait for the table, the others for a connection.
    let dev = key("dev", "a");
    let calls = (0..6).map(|_| control.find_target(&dev));
    for result in futures_util::future::join_all(calls).await {
        assert_eq!(result.unwrap_err().code(), Code::ControlDatabaseUnavailable);
    }
    let ticket = settlement.job.ticket;
    assert!(control.settle(std::slice::from_ref(&settlement)).await.is_err());
    assert!(started.elapsed() < IN_TIME, "{:?}", started.elapsed());

    // The server gave up as well: nothing of ours waits for the lock any more, so nothing happens once it is free.
    until_lock_waits(&database.superuser().await, 0).await;
    lock.commit().await.unwrap();
    assert!(control.find_history(&[ticket]).await.unwrap().is_empty());
    assert!(control.find_target(&key("dev", "a")).await.unwrap().is_none());
    control.settle(&[settlement]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_died_in_silence_cost_one_call_its_timeout() {
    let (database, _) = ControlDatabase::migrated(Stack::shared()).await;
    let proxy = Proxy::start(&database, 0).await;
    let settings = config::Control { timeout: Duration::from_secs(3), ..proxy.settings.clone() };
    let control = Control::new(&settings).unwrap();
    for result in futures_util::future::join_all((0..8).map(|_| control.ping())).await {
        result.unwrap();
    }
    proxy.freeze();
    assert_eq!(control.ping().await.unwrap_err().code(), Code::ControlDatabaseUnavailable);
    control.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_the_server_ended_are_replaced() {
    let (database, control) = ControlDatabase::migrated(Stack::shared()).await;
    futures_util::future::join_all((0..8).map(|_| control.ping())).await;
    let superuser = database.superuser().await;
    superuser
        .batch_execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name = 'rolecall'",
        )
        .await
        .unwrap();
    // The first calls may meet a connection whose end has not been read yet; a failure says "try again".
    let deadline = Instant::now() + IN_TIME;
    while let Err(failure) = control.ping().await {
        assert_eq!(failure.code(), Code::ControlDatabaseUnavailable);
        assert!(Instant::now() < deadline, "the pool does not recover");
    }
    for result in futures_util::future::join_all((0..8).map(|_| control.ping())).await {
        result.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_only_reads_is_away() {
    let (database, _) = ControlDatabase::migrated(Stack::shared()).await;
    let superuser = database.superuser().await;
    let alter = format!("ALTER DATABASE {}", database.name);
    superuser.batch_execute(&format!("{alter} SET default_transaction_read_only = on")).await.unwrap();
    let control = Control::new(&database.settings()).unwrap();
    let added = control.add_account(&new("ci", AccountKind::Basic), &actor("root"), at(1)).await.unwrap_err();
    for failure in [control.ping().await.unwrap_err(), added] {
        assert_eq!(failure.code(), Code::ControlDatabaseUnavailable);
        assert!(failure.to_string().contains("read-only"), "{failure}");
        assert!(failure.retry_delay().is_some());
    }
    // What was connected to it is let go: after a failover another server may have the address.
    superuser.batch_execute(&format!("{alter} RESET default_transaction_read_only")).await.unwrap();
    control.ping().await.unwrap();
}

#[tokio::test]
async fn an_error_of_ours_keeps_its_cause_and_not_the_row() {
    let (_database, control) = ControlDatabase::migrated(Stack::shared()).await;
    // Breaks a CHECK; PostgreSQL's DETAIL repeats the whole row.
    let account = NewAccount { password_hash: Some("hunter2".into()), ..new("ci", AccountKind::Basic) };
    let failure = control.add_account(&account, &actor("root"), at(1)).await.unwrap_err();
    assert_eq!(failure.code(), Code::Internal);
    let chain = failure.cause_chain().unwrap();
    assert!(chain.contains("accounts_password_hash_form") && chain.contains("23514"), "{chain}");
    assert!(!format!("{failure:?} {chain}").contains("hunter2"), "{failure:?}");

    let failure = control.find_account("a\0b").await.unwrap_err();
    assert_eq!(failure.code(), Code::InvalidRequest);
}
