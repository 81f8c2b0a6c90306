//! What becomes of old months.

use jiff::SignedDuration;
use reqwest::Method;
use rolecall_shared::control::{Ended, Keeper};
use rolecall_shared::domain::{Actor, Clock, Code, Period, SystemClock, TicketId};
use rolecall_tests::Installation;
use rolecall_tests::client::send;
use serde_json::{Value, json};

use crate::scene::{JOBS, MONTH, Scene, job, jobs};

/// The month that lies so many before this one.
fn months_ago(months: i32) -> Period {
    let mut period = Period::of(SystemClock.now()).unwrap();
    for _ in 0..months {
        period = Period::of(period.start() - SignedDuration::from_secs(1)).unwrap();
    }
    period
}

#[tokio::test]
async fn without_an_archive_what_is_older_goes_for_good_and_nothing_else() {
    let mut rolecall = Installation::new("retention").await;
    rolecall.set("history.keep_months", "2");
    let scene = Scene::of(rolecall).await;
    let [kept, gone] = [2, 3].map(|ago| months_ago(ago).to_string());
    let mut old = jobs(&gone, 5);
    old[0].job.ticket = TicketId::derived(&scene.rolecall.user, "deploy-1");
    scene.control.settle(&old).await.unwrap();
    scene.control.settle(&jobs(&kept, 4)).await.unwrap();

    assert_eq!(scene.history(&["maintain", "--dry-run"])["dropped"], json!([]), "not made into a month yet");
    scene.control.make_months(0).await.unwrap();
    let planned = scene.history(&["maintain", "--dry-run"]);
    assert_eq!(planned["dropped"], json!([{ "period": gone, "rows": null, "archived": false }]));
    assert_eq!(Scene::all(&scene.client, "").await.len(), 9, "a dry run changes nothing");
    let done = scene.history(&["maintain"]);
    assert_eq!(done["dropped"], json!([{ "period": gone, "rows": 5, "archived": false }]));
    assert_eq!(scene.history(&["maintain"])["dropped"], json!([]));

    assert_eq!(Scene::all(&scene.client, "").await.len(), 4);
    assert_eq!(Scene::all(&scene.client, &format!("period={gone}")).await.len(), 0);
    scene.client.ticket(&old[1].job.ticket.to_string()).await.expect_problem(404, "ticket_not_found");
    // What must outlive it: that the ticket ended, and where it made its role.
    assert_eq!(scene.control.find_ended(old[1].job.ticket).await.unwrap(), Ended::Forgotten);
    let made = scene.control.find_made_through(&[old[1].job.ticket]).await.unwrap();
    assert_eq!(made[&old[1].job.ticket], old[1].job.target);
    scene.control.settle(&old).await.unwrap();
    assert_eq!(Scene::all(&scene.client, "").await.len(), 4, "a ticket ends once");
    let target = scene.rolecall.target(1);
    scene.client.put_target("dev", &target.database, &target.registration()).await.expect(201);
    let body = json!({ "operation": "reset_password", "username": "ada", "env": "dev", "database": target.database });
    let request = scene.client.request(Method::POST, "/api/v2/jobs").header("Idempotency-Key", "deploy-1");
    send(request.json(&body)).await.expect_problem(410, "ticket_forgotten");
}

// Several threads: while a command runs, the keeper's session has to be able to end.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_come_late_are_never_lost() {
    let (scene, _) = Scene::with_jobs("late").await;
    let month = Period::parse(MONTH).unwrap();
    let folder = scene.file().parent().unwrap().to_owned();
    let actor = Actor { account: "cli:test".into(), owner: "cli:test".into(), address: None, via: None };
    let keeper = Keeper::new(&scene.rolecall.control.settings()).unwrap();
    let first = scene.archive();

    // After it was archived: it does not go, and is written again.
    let late = job(3, month.start() + SignedDuration::from_secs(1));
    scene.control.settle(std::slice::from_ref(&late)).await.unwrap();
    let refused = keeper.drop_month(month, Some(&folder), &actor, SystemClock.now()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PeriodNotFinished);
    scene.archive_and_drop();
    let second = scene.month();
    assert_eq!(second["archive"]["rows"], json!(JOBS + 1));
    assert_ne!(second["archive"]["sha256"], first["archive"]["sha256"]);
    assert_eq!(
        keeper.drop_month(month, Some(&folder), &actor, SystemClock.now()).await.unwrap_err().code(),
        Code::PeriodNotFound
    );

    // After it was dropped: it stands beside the archive, and the list has both.
    let later = job(4, month.end() - SignedDuration::from_secs(1));
    scene.control.settle(std::slice::from_ref(&later)).await.unwrap();
    scene.control.make_months(0).await.unwrap();
    assert_eq!(scene.month()["database_bytes"], Value::Null, "the month is not made a second time");
    let listed = Scene::all(&scene.client, &format!("period={MONTH}&limit=200")).await;
    assert_eq!(i64::try_from(listed.len()).unwrap(), JOBS + 2);
    assert_eq!(listed[0]["ticket"], json!(later.job.ticket));
    assert_eq!(listed.last().unwrap()["ticket"], json!(late.job.ticket));
    for row in [&late, &later] {
        scene.client.ticket(&row.job.ticket.to_string()).await.expect(200);
    }
}
