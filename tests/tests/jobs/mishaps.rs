//! Trouble that is nobody's fault but ours, and bells that come at a bad moment.

use std::time::Duration;

use rolecall_tests::{Installation, Running, eventually};

use crate::scene::{SOON, create, make, reset, take};

/// The control database answers but cannot write: a job is done on the host and cannot be settled, again and again.
/// It spends no attempt on that, or its end would be to be given up, with a password on the role that nobody has.
#[tokio::test]
async fn a_control_database_that_cannot_write_costs_no_password() {
    let rolecall = Installation::builder("unwritable")
        .set("target.backoff_first_milliseconds", "10")
        .set("target.backoff_cap_milliseconds", "50")
        .start()
        .await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let made = make(&rolecall, "ada", target).await;
    let control = rolecall.control.superuser().await;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
                      $$ BEGIN RAISE 'not now'; END $$;
                  CREATE TRIGGER refuse BEFORE INSERT ON history EXECUTE FUNCTION refuse()";
    control.batch_execute(refuse).await.unwrap();

    let ticket = client.submit(&reset(&made.name, target)).await.expect(202).id();
    let stuck = || rolecall.worker.log_text().matches("the lane is stuck").count();
    // Well beyond `worker.attempts`.
    eventually("several vain starts", SOON, async || (stuck() > 8).then_some(())).await;
    assert!(!target.accepts(&made.name, &made.password).await, "it was done on the host");
    assert_eq!(client.ticket(&ticket).await.expect(200).text("state"), "running");

    control.batch_execute("DROP TRIGGER refuse ON history").await.unwrap();
    client.wait(&ticket).await.expect_outcome("password_reset");
    assert!(target.accepts(&made.name, &take(client, &ticket).await).await);
}

/// How often the worker's lanes have ended because nothing was left to do.
async fn idle_turns(rolecall: &Running) -> u64 {
    let metrics = rolecall.client.at(&rolecall.worker.url()).get("/metrics").await.expect(200);
    let metrics = metrics.body.as_str().unwrap();
    let line =
        metrics.lines().find_map(|line| line.strip_prefix("rolecall_lane_turns_total{ended=\"idle\"} "));
    line.map_or(0, |count| count.parse().unwrap())
}

/// A bell that rings while the lane is open is answered by the lane. When the lane has left, the next submit must ring
/// again, although somebody has just rung.
#[tokio::test]
async fn a_bell_answered_by_a_leaving_lane_is_no_reason_not_to_ring() {
    let rolecall = Installation::builder("bells")
        // Nobody makes good what is lost here.
        .set("worker.sweep_seconds", "300")
        .set("worker.linger_milliseconds", "1000")
        .start()
        .await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    for round in 0..3 {
        let before = idle_turns(&rolecall).await;
        let role = |name: &str| rolecall.role(&format!("{name}{round}"));
        client.run(&create("devqa", &role("first"), target)).await.expect_outcome("created");
        // The lane lingers: this one's bell is answered by it.
        client.run(&create("devqa", &role("second"), target)).await.expect_outcome("created");
        eventually("the lane to leave", SOON, async || (idle_turns(&rolecall).await > before).then_some(()))
            .await;
        let third = client.submit(&create("devqa", &role("third"), target)).await.expect(202).id();
        let ended = tokio::time::timeout(Duration::from_secs(15), client.wait(&third)).await;
        ended.expect("the doorbell was rung").expect_outcome("created");
    }
}
