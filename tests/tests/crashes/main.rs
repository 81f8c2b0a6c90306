//! Every step, every way: at each failpoint, and for each operation, the process that reaches it ends at once, and
//! another goes on. What stands afterwards, in every server, must be what stands when nothing happened.
//!
//! A worker that died is followed by another one. After an api that died its caller asks again elsewhere, with the
//! same `Idempotency-Key`.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]
#![expect(clippy::print_stdout, reason = "a suite tells what it has tried, and how long it took")]

mod end_state;
mod failpoints;
mod operation;
mod scene;

use std::time::Instant;

use futures_util::future::join_all;
use rolecall_shared::failpoints::Failpoint;
use rolecall_tests::process::Role;
use serde_json::json;

use crate::end_state::EndState;
use crate::operation::Operation;
use crate::scene::{Case, Scene, assert_died_at};

#[tokio::test]
async fn create_role() {
    every_step(Operation::CreateRole).await;
}

#[tokio::test]
async fn create_role_that_reads() {
    every_step(Operation::CreateReader).await;
}

#[tokio::test]
async fn reset_password() {
    every_step(Operation::ResetPassword).await;
}

#[tokio::test]
async fn set_search_path() {
    every_step(Operation::SetSearchPath).await;
}

/// Crashes are mostly waited for: so many installations side by side.
const SIDE_BY_SIDE: usize = 2;

/// Once the audit says how a job ended, it is not run again, whoever gets its message. The witness is a role that
/// somebody dropped meanwhile: running again would make it again, or fail for want of it.
#[tokio::test]
async fn what_is_settled_is_not_run_again() {
    let operations = [Operation::CreateRole, Operation::ResetPassword, Operation::SetSearchPath];
    join_all(operations.map(async |operation| {
        let points = [Failpoint::AfterControl, Failpoint::AfterTickets];
        let scene = Scene::new(operation, points.len()).await;
        for (case, point) in scene.cases().zip(points) {
            let first = scene.start_to_die_at(Role::Worker, point).await;
            let ticket = scene.client.submit_once(&case.key, &case.job).await.expect(202).id();
            assert_died_at(&first, point).await;
            let superuser = scene.on().superuser(&scene.on().database).await;
            superuser.batch_execute(&format!("DROP ROLE {}", case.role)).await.unwrap();

            let second = scene.start(Role::Worker).await;
            scene.client.wait(&ticket).await.expect_outcome(operation.outcome());
            let end = EndState::after(&second, &scene, &case, (&ticket, None)).await;
            end.assert_settled_without_role();
        }
    }))
    .await;
}

async fn every_step(operation: Operation) {
    let begun = Instant::now();
    let points: Vec<Failpoint> = Failpoint::ALL
        .iter()
        .copied()
        .filter(|point| operation.reaches(*point) && is_asked_for(*point))
        .collect();
    let shares = points.chunks(points.len().div_ceil(SIDE_BY_SIDE).max(1));
    join_all(shares.map(|share| one_after_the_other(operation, share))).await;
    println!("{operation:?}: {} crashes in {:.1} s", points.len(), begun.elapsed().as_secs_f32());
}

/// `CRASH_AT` of the environment leaves only the points whose names begin so, for whoever looks into one.
fn is_asked_for(point: Failpoint) -> bool {
    std::env::var("CRASH_AT").map_or(true, |only| point.name().starts_with(&only))
}

async fn one_after_the_other(operation: Operation, points: &[Failpoint]) {
    let scene = Scene::new(operation, 1 + points.len()).await;
    let mut cases = scene.cases();

    let undisturbed = without_a_crash(&scene, &cases.next().unwrap()).await;
    undisturbed.assert_is_whole(operation);
    for point in points {
        let case = cases.next().unwrap();
        let disturbed = match place(*point) {
            Place::Worker => worker_dies(&scene, &case, *point).await,
            Place::Submit => api_dies_at_submit(&scene, &case, *point).await,
            Place::Take => api_dies_at_take(&scene, &case, *point).await,
        };
        assert_eq!(disturbed, undisturbed, "{operation:?}, died at {}", point.name());
    }
}

/// Who reaches a point, and on whose behalf.
enum Place {
    Worker,
    Submit,
    Take,
}

fn place(point: Failpoint) -> Place {
    match point {
        Failpoint::BeforeAccept
        | Failpoint::AfterAccept
        | Failpoint::AfterConfirm
        | Failpoint::AfterEnqueue
        | Failpoint::AfterRing => Place::Submit,
        Failpoint::BeforeTake | Failpoint::AfterTake | Failpoint::AfterDrop => Place::Take,
        Failpoint::AfterReplay
        | Failpoint::BeforeArchiveName
        | Failpoint::AfterArchiveName
        | Failpoint::AfterArchiveRow => unreachable!("no operation reaches an operator's command"),
        Failpoint::BeforeSend | Failpoint::AfterSend => unreachable!("nobody is told of what these jobs do"),
        Failpoint::AfterLock
        | Failpoint::BeforeClaim
        | Failpoint::AfterClaim
        | Failpoint::BeforeSecrets
        | Failpoint::AfterSecrets
        | Failpoint::AfterBegin
        | Failpoint::BeforeCommit
        | Failpoint::AfterCommit
        | Failpoint::BeforeGrants
        | Failpoint::AmidGrants
        | Failpoint::AfterGrants
        | Failpoint::BeforeControl
        | Failpoint::AfterControl
        | Failpoint::BeforeTickets
        | Failpoint::AfterTickets
        | Failpoint::BeforeAck
        | Failpoint::AfterAck
        | Failpoint::BeforeRelease
        | Failpoint::AfterRelease
        | Failpoint::BeforeBell => Place::Worker,
    }
}

async fn without_a_crash(scene: &Scene, case: &Case) -> EndState {
    let worker = scene.start(Role::Worker).await;
    let ticket = scene.client.submit_once(&case.key, &case.job).await.expect(202).id();
    let password = scene.outcome(&ticket).await;
    EndState::after(&worker, scene, case, (&ticket, password)).await
}

async fn worker_dies(scene: &Scene, case: &Case, point: Failpoint) -> EndState {
    let first = scene.start_to_die_at(Role::Worker, point).await;
    let ticket = scene.client.submit_once(&case.key, &case.job).await.expect(202).id();
    assert_died_at(&first, point).await;

    let second = scene.start(Role::Worker).await;
    let password = scene.outcome(&ticket).await;
    let again = scene.client.submit_once(&case.key, &case.job).await;
    assert_eq!(again.id(), ticket, "a retry meets the same ticket");
    EndState::after(&second, scene, case, (&ticket, password)).await
}

async fn api_dies_at_submit(scene: &Scene, case: &Case, point: Failpoint) -> EndState {
    let worker = scene.start(Role::Worker).await;
    let first = scene.start_to_die_at(Role::Api, point).await;
    let unanswered = scene.client.at(&first.url()).try_submit_once(&case.key, &case.job).await;
    assert!(unanswered.is_none(), "{}: an answer of a dead process: {unanswered:?}", point.name());
    assert_died_at(&first, point).await;

    // 202, or 200 where a worker was faster than this.
    let again = scene.client.submit_once(&case.key, &case.job).await;
    assert!(matches!(again.status, 200 | 202), "{}: {again}", point.name());
    let ticket = again.id();
    let password = scene.outcome(&ticket).await;
    EndState::after(&worker, scene, case, (&ticket, password)).await
}

async fn api_dies_at_take(scene: &Scene, case: &Case, point: Failpoint) -> EndState {
    let worker = scene.start(Role::Worker).await;
    let ticket = scene.client.submit_once(&case.key, &case.job).await.expect(202).id();
    scene.client.wait(&ticket).await.expect_outcome(scene.operation.outcome());
    let first = scene.start_to_die_at(Role::Api, point).await;
    let unanswered = scene.client.at(&first.url()).try_take_secret(&ticket).await;
    assert!(unanswered.is_none(), "{}: an answer of a dead process: {unanswered:?}", point.name());
    assert_died_at(&first, point).await;

    let password = if point == Failpoint::BeforeTake {
        // Nothing was claimed: the caller who asks again gets it.
        scene.take(&ticket).await
    } else {
        // The row stands and the answer is lost: the password is gone, and a reset makes another.
        let shown = scene.client.ticket(&ticket).await.expect(200);
        assert_eq!(*shown.at("secret.available"), json!(false), "{}: {shown}", point.name());
        let gone = scene.client.take_secret(&ticket).await.expect_problem(410, "secret_taken");
        assert_eq!(gone.text("taken_by"), scene.user);
        assert!(gone.find("taken_at").is_some(), "{gone}");
        let reset = scene.client.run(&scene.reset(case)).await.expect_outcome("password_reset");
        scene.take(&reset.id()).await
    };
    EndState::after(&worker, scene, case, (&ticket, Some(password))).await
}
