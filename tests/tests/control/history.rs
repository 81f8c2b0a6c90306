//! History by month: what was kept before the months, how much one question looks at, and who makes months.

use std::sync::Arc;

use rolecall_shared::control::{HistoryFilter, MOST_SCANNED, Place, Settlement};
use rolecall_shared::domain::ticket::Ending;
use rolecall_shared::domain::{Job, TicketId};
use rolecall_tests::control::ControlDatabase;
use rolecall_tests::stack::{Stack, checkout};

use crate::{at, create_role};

fn cancelled(job: Job) -> Settlement {
    Settlement { job, ending: Ending::Cancelled, finished_at: at(2), attempts: 0 }
}

/// The text of a migration.
fn migration(name: &str) -> String {
    std::fs::read_to_string(checkout().join("migrations").join(name)).unwrap()
}

#[tokio::test]
async fn what_was_kept_before_is_split_by_month_and_loses_nothing() {
    let database = ControlDatabase::create(Stack::shared()).await;
    let owner = rolecall_tests::control::connect(&database.owner_url).await;
    for name in [
        "V1__registry.sql",
        "V2__accounts.sql",
        "V3__audit.sql",
        "V4__history.sql",
        "V5__unread_passwords.sql",
    ] {
        owner.batch_execute(&migration(name)).await.unwrap();
    }
    let insert = "INSERT INTO history (ticket, job, ending, state, attempts, owner, account, env, database, host, \
                      operation, kind, role, submitted_at, finished_at, secret_expires_at) \
                  SELECT gen_random_uuid(), jsonb_build_object('n', n), '{}', 'failed', n, 'o', 'a', 'dev', 'd' || n, \
                      'h:1', 'create_role', 'app', 'r', end_at - interval '1 minute', end_at, NULL \
                  FROM generate_series(1, 400) AS n, LATERAL (SELECT timestamptz '2026-01-31 20:00Z' \
                      + n * interval '1 hour') AS e (end_at)";
    owner.batch_execute(insert).await.unwrap();
    let whole = "SELECT md5(string_agg(h::text, '|' ORDER BY ticket)) FROM (SELECT ticket, job, ending, state, attempts, \
                 owner, account, env, database, host, operation, kind, role, submitted_at, finished_at, \
                 secret_expires_at FROM history) h";
    let digest = |row: tokio_postgres::Row| row.get::<_, String>(0);
    let before = digest(owner.query_one(whole, &[]).await.unwrap());
    owner.batch_execute(&format!("BEGIN; {}; COMMIT", migration("V9__history_by_month.sql"))).await.unwrap();

    assert_eq!(digest(owner.query_one(whole, &[]).await.unwrap()), before);
    let sql = "SELECT string_agg(part || ' ' || rows, ', ' ORDER BY part) FROM ( \
                   SELECT tableoid::regclass::text AS part, count(*) AS rows FROM history GROUP BY 1) p";
    let parts: String = owner.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(parts, "history_2026_01 3, history_2026_02 397", "the first is at 21:00Z of 31 January");
    let sql =
        "SELECT count(*) FROM history JOIN history_tickets t USING (ticket, finished_at, env, database)";
    assert_eq!(owner.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 400);
    let sql = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'history'::regclass";
    assert!(
        owner.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) >= 7,
        "those, the default, this month and three more"
    );
}

#[tokio::test]
async fn one_question_looks_at_so_many_rows_and_says_where_to_go_on() {
    let (database, control) = ControlDatabase::migrated(Stack::shared()).await;
    control.settle(&[cancelled(create_role("web01"))]).await.unwrap();
    // The same job again and again, a second apart, each with a ticket of its own.
    let copies = "WITH copy AS ( \
            INSERT INTO history SELECT t, jsonb_set(job, '{ticket}', to_jsonb(t::text)), ending, state, attempts, owner, \
                account, env, database, host, operation, kind, role, submitted_at, \
                finished_at + n * interval '1 second', secret_expires_at \
            FROM history, LATERAL (SELECT n, gen_random_uuid() AS t FROM generate_series(1, $1::int) AS n) AS n \
            RETURNING ticket, finished_at, env, database) \
        INSERT INTO history_tickets SELECT * FROM copy";
    let most = i32::try_from(MOST_SCANNED).unwrap();
    database.superuser().await.execute(copies, &[&(most + 500)]).await.unwrap();

    let filter = HistoryFilter::default();
    let nothing = control.list_history(&filter, None, 10, Arc::new(|_| false)).await.unwrap();
    assert!(nothing.settlements.is_empty());
    let next: Place = nothing.next.unwrap();
    let oldest = at(2);
    let rest = control
        .list_history(&filter, Some(next), 10, Arc::new(move |row| row.finished_at == oldest))
        .await
        .unwrap();
    assert_eq!((rest.settlements.len(), rest.next), (1, None), "the last row of all is found behind it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_is_made_once_and_takes_what_waited_for_it() {
    let (database, control) = ControlDatabase::migrated(Stack::shared()).await;
    let settlements: Vec<_> = (0..3).map(|n| cancelled(create_role(&format!("role_{n}")))).collect();
    control.settle(&settlements).await.unwrap();
    let made = futures_util::future::join_all((0..4).map(|_| control.make_months(5))).await;
    let mut made: Vec<_> = made.into_iter().map(Result::unwrap).collect();
    made.sort_unstable();
    assert_eq!(made[..3], [0, 0, 0]);
    assert!(made[3] >= 2, "two more ahead, and perhaps the month of the jobs");
    let superuser = database.superuser().await;
    let left: i64 = superuser.query_one("SELECT count(*) FROM history_others", &[]).await.unwrap().get(0);
    assert_eq!(left, 0);
    let tickets: Vec<TicketId> = settlements.iter().map(|settlement| settlement.job.ticket).collect();
    assert_eq!(control.find_history(&tickets).await.unwrap().len(), 3);
    // Its role makes no other table, and calls nothing else.
    let writer = database.writer().await;
    for statement in
        ["SELECT history_make_month('2030-01-01')", "CREATE TABLE history_2030_01 (LIKE history)"]
    {
        assert_eq!(
            writer.batch_execute(statement).await.unwrap_err().code().unwrap().code(),
            "42501",
            "{statement}"
        );
    }
    assert!(writer.batch_execute("SELECT history_make_months(61)").await.is_err());
}
