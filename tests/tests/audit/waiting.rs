//! Whoever records something waits until it is in the ledger, and is refused when that cannot be had in time. Nobody's
//! death stops the others, and nothing is left out.

use std::time::{Duration, Instant};

use rolecall_shared::config;
use rolecall_shared::control::{Control, Settlement};
use rolecall_shared::domain::Code;
use rolecall_shared::domain::ticket::Ending;
use rolecall_tests::eventually;

use crate::scene::{Scene, event, events};

/// "sequence": the advisory lock of whoever closes blocks.
const LOCK: i64 = 0x7365_7175_656e_6365;

const PATIENCE: Duration = Duration::from_secs(30);

fn settlement() -> Settlement {
    let job = rolecall_tests::conformance::tickets::job();
    Settlement { finished_at: job.submitted_at, job, ending: Ending::Cancelled, attempts: 0 }
}

/// A handle like that of another process.
fn process(scene: &Scene, timeout: Duration) -> Control {
    Control::new(&config::Control { timeout, ..scene.database.settings() }).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_ledger_nothing_is_acknowledged_and_nothing_is_lost() {
    let scene = Scene::empty().await;
    let control = process(&scene, Duration::from_secs(2));
    scene.superuser.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await.unwrap();
    let started = Instant::now();
    // Several at once, so that those who wait for the one who went are refused as well.
    let (one, two) = (events(2), event(3));
    let (first, second) = tokio::join!(control.record_all(&one), control.record(&two));
    for refused in [first, second] {
        assert_eq!(refused.unwrap_err().code(), Code::ControlDatabaseUnavailable);
    }
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    assert_eq!(scene.counts().await, (0, 0));
    // What was recorded enters with whatever comes next.
    scene.superuser.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await.unwrap();
    control.record(&event(4)).await.unwrap();
    assert_eq!(scene.counts().await.0, 4);
    assert_eq!(scene.verify(&[])["rows"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_holder_of_the_lock_holds_up_nobody() {
    let scene = Scene::empty().await;
    let holder = scene.database.superuser().await;
    let pid: i32 =
        holder.query_one("SELECT pg_backend_pid() FROM pg_advisory_lock($1)", &[&LOCK]).await.unwrap().get(0);
    let ends = async {
        let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND \
                     database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        eventually("somebody to wait for the lock", PATIENCE, async || {
            let count: i64 = scene.superuser.query_one(waits, &[]).await.unwrap().get(0);
            (count > 0).then_some(())
        })
        .await;
        scene.superuser.execute("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
    };
    let one = event(1);
    let (recorded, ()) = tokio::join!(scene.control.record(&one), ends);
    recorded.unwrap();
    assert_eq!(scene.counts().await, (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_from_many_processes_make_one_chain() {
    let scene = Scene::empty().await;
    let processes: Vec<_> = (0..4).map(|_| process(&scene, Duration::from_secs(30))).collect();
    let all = (0..200_usize).map(|number| {
        let (control, number) = (&processes[number % 4], i64::try_from(number).unwrap());
        async move {
            control.record(&event(number)).await.unwrap();
            // Acknowledged means that it is there.
            let filter =
                rolecall_shared::control::EventFilter { from: Some(event(number).at), ..Default::default() };
            let found = control.list_events(&filter, None, 200).await.unwrap();
            assert!(found.iter().any(|found| found.event == event(number)), "{number}");
        }
    });
    futures_util::future::join_all(all).await;
    let (rows, blocks) = scene.counts().await;
    assert_eq!(rows, 200);
    assert!(blocks < 150, "those who wait share blocks: {blocks}");
    let said = scene.verify(&[]);
    assert_eq!((&said["rows"], &said["blocks"]), (&rows.into(), &blocks.into()), "{said}");
}

/// A number of the inbox is drawn before the commit: a lower one may come after a higher one.
#[tokio::test]
async fn a_transaction_that_commits_late_is_not_left_out() {
    let scene = Scene::empty().await;
    let mut writer = scene.database.writer().await;
    let late = writer.transaction().await.unwrap();
    let insert = "INSERT INTO audit_inbox (event, at, account, owner, detail) VALUES ('host.paused', now(), 'a', 'a', '{}')";
    late.execute(insert, &[]).await.unwrap();
    scene.control.record_all(&events(3)).await.unwrap();
    assert_eq!(scene.counts().await, (3, 1));
    late.commit().await.unwrap();
    scene.control.catch_up().await.unwrap();
    let sql = "SELECT seq FROM audit_ledger WHERE inbox = (SELECT min(seq) FROM audit_inbox)";
    let seq: i64 = scene.superuser.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(seq, 4, "it came last, whatever its number in the inbox");
    assert_eq!(scene.verify(&[])["rows"], 4);
}

/// More than are looked at at once, before and behind what waits.
#[tokio::test]
async fn numbers_of_no_event_keep_none_out() {
    let scene = Scene::empty().await;
    let writer = scene.database.writer().await;
    let phantoms =
        "INSERT INTO audit_pending SELECT n FROM generate_series(-1200, 0) AS n UNION SELECT 9000000000";
    writer.execute(phantoms, &[]).await.unwrap();
    scene.control.record_all(&events(3)).await.unwrap();
    assert_eq!(scene.counts().await, (3, 1));
    let pending: i64 =
        scene.superuser.query_one("SELECT count(*) FROM audit_pending", &[]).await.unwrap().get(0);
    assert_eq!(pending, 0);
    scene.control.record(&event(4)).await.unwrap();
    assert_eq!(scene.verify(&[])["rows"], 4);
}

/// An end that was settled by somebody who could not wait for its block.
#[tokio::test(flavor = "multi_thread")]
async fn no_end_is_told_before_it_stands_in_the_ledger() {
    let scene = Scene::empty().await;
    let control = process(&scene, Duration::from_secs(2));
    scene.superuser.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await.unwrap();
    let settlement = settlement();
    let ticket = settlement.job.ticket;
    let settled = control.settle(std::slice::from_ref(&settlement)).await;
    assert_eq!(settled.unwrap_err().code(), Code::ControlDatabaseUnavailable);
    for told in [control.find_history(&[ticket]).await.map(drop), control.find_ended(ticket).await.map(drop)]
    {
        assert_eq!(told.unwrap_err().code(), Code::ControlDatabaseUnavailable);
    }
    assert_eq!(scene.counts().await, (0, 0));
    scene.superuser.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await.unwrap();
    assert_eq!(control.find_history(&[ticket]).await.unwrap()[&ticket].ending, settlement.ending);
    assert_eq!(scene.counts().await, (1, 1));
}

#[tokio::test]
async fn a_block_has_at_most_500_rows() {
    let scene = Scene::empty().await;
    scene.control.record_all(&events(1_201)).await.unwrap();
    let sizes = scene.superuser.query("SELECT count FROM audit_blocks ORDER BY number", &[]).await.unwrap();
    let sizes: Vec<i32> = sizes.iter().map(|row| row.get(0)).collect();
    assert_eq!(sizes, [500, 500, 201]);
    let pending: i64 =
        scene.superuser.query_one("SELECT count(*) FROM audit_pending", &[]).await.unwrap().get(0);
    assert_eq!(pending, 0);
    assert_eq!(scene.verify(&[])["rows"], 1_201);
}

/// The server has no statistics yet, and guesses that the inbox is small: whatever it guesses, a block costs what waits.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_the_ledger_is_not_read_again() {
    const EVENTS: i64 = 400;
    let scene = Scene::empty().await;
    let control = process(&scene, PATIENCE);
    for number in 1..=EVENTS {
        control.record(&event(number)).await.unwrap();
    }
    // A connection tells the server what it has read when it ends, at the latest.
    let Scene { superuser, control: own, .. } = scene;
    drop((control, own));
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    eventually("the connections to end", PATIENCE, async || {
        let count: i64 = superuser.query_one(others, &[]).await.unwrap().get(0);
        (count == 0).then_some(())
    })
    .await;
    let read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'audit_inbox'";
    let read: i64 = superuser.query_one(read, &[]).await.unwrap().get(0);
    println!("{read} rows of the inbox were read for {EVENTS} events");
    assert!((EVENTS..=2 * EVENTS).contains(&read), "{read} rows were read for {EVENTS} events");
}
