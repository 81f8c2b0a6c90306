//! Redis loses what it knew: emptied in the middle of a burst, or started again from a copy of its file that is some
//! moments old. Or RabbitMQ loses the messages that wait for a host. Jobs still end, no password is handed out twice,
//! and what is lost for good is said to be lost.
//!
//! On a stack of its own, since everybody else's tickets would be lost, too.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]
#![expect(clippy::print_stdout, reason = "a suite tells what it has seen")]

mod callers;
mod scene;

use futures_util::future::join_all;
use jiff::Timestamp;
use rolecall_shared::domain::{Clock, SystemClock};
use rolecall_tests::{PrivateStack, eventually};
use serde_json::json;

use crate::callers::{PATIENCE, Password, ends, take};
use crate::scene::{Asked, Held, Scene};

const WAITING: usize = 30;
/// Jobs of a burst that have ended when everything is lost, and those that have not.
const ENDED: usize = 20;
const UNDER_WAY: usize = 180;
const FINISHED: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_may_lose_everything_or_the_last_moments() {
    let stack = PrivateStack::up("losses");
    a_queue_is_gone(&Scene::start(&stack, "deleted").await).await;
    emptied_in_a_burst(&Scene::start(&stack, "emptied").await).await;
    emptied_and_started_without_its_file(&Scene::start(&stack, "without").await).await;
    set_back_by_some_moments(&Scene::start(&stack, "older").await).await;
}

async fn emptied_in_a_burst(scene: &Scene) {
    // Amid a batch that goes on: whichever step it has come to.
    let lose = async |held: Held| {
        held.release();
        scene.empty_redis().await;
    };
    lost_altogether(scene, "emptied", lose).await;
}

async fn emptied_and_started_without_its_file(scene: &Scene) {
    // Amid a batch whose passwords are stored and whose roles are not made.
    let lose = async |held: Held| {
        scene.stop_redis();
        scene.remove_redis_file();
        scene.start_redis().await;
        held.release();
    };
    lost_altogether(scene, "started without its file", lose).await;
}

/// Jobs that ended, jobs that wait for a paused host, and a burst in the middle of which everything is gone.
async fn lost_altogether(scene: &Scene, how: &str, lose: impl AsyncFnOnce(Held)) {
    let finished = scene.finished("before", FINISHED).await;
    let (taken, untaken) = finished.split_at(FINISHED / 2);
    for ticket in taken {
        scene.client.take_secret(ticket).await.expect(200);
    }
    let queued = scene.waiting("waiting", WAITING).await;
    let (burst, held) = amid_a_burst(scene).await;
    lose(held).await;
    let lost_at = SystemClock.now();

    let unknown = "00000000-0000-4000-8000-000000000000";
    // Nobody can say yet what there is not.
    let early = scene.client.ticket(&queued[0].ticket).await;
    let too_early = usize::from(early.is_problem(503, "ticket_not_yet_rebuilt"));
    if too_early == 1 {
        assert!(early.header("retry-after").is_some(), "{early}");
    } else {
        early.expect(200);
    }
    eventually("the waiting tickets to be rebuilt", PATIENCE, async || {
        let answer = scene.client.ticket(&queued[WAITING - 1].ticket).await;
        (answer.status == 200).then(|| assert_eq!(answer.text("state"), "queued", "{answer}"))
    })
    .await;
    eventually("an unknown id to be unknown", PATIENCE, async || {
        let answer = scene.client.ticket(unknown).await;
        answer.is_problem(404, "ticket_not_found").then_some(())
    })
    .await;
    // A retry meets its ticket, and another request under its key is refused as ever.
    let again = scene.client.submit_once(&queued[0].key, &queued[0].job).await;
    assert_eq!(again.id(), queued[0].ticket);
    scene
        .client
        .submit_once(&queued[0].key, &queued[1].job)
        .await
        .expect_problem(422, "idempotency_key_reused");

    scene.resume().await;
    let answers = join_all(burst.iter().chain(&queued).map(async |asked| {
        let end = ends(&scene.client, &asked.ticket).await.expect_outcome("created");
        let finished_at: Timestamp = end.text("finished_at").parse().unwrap();
        (asked, finished_at, take(&scene.client, &asked.ticket).await)
    }))
    .await;
    let mut resets = 0;
    for (asked, finished_at, password) in answers {
        let was_reset = scene.works_or_is_reset(asked, password).await;
        // What ended later was made anew, or stored again by the lane that had it in hand.
        assert!(
            !was_reset || finished_at <= lost_at,
            "{}: ended at {finished_at}, and lost at {lost_at}",
            asked.ticket
        );
        resets += usize::from(was_reset);
    }
    scene.assert_ended_once(burst.iter().chain(&queued)).await;
    assert!(resets >= ENDED, "the passwords of those that had ended were in Redis alone");
    assert!(resets < burst.len(), "every password was lost");

    for ticket in taken {
        scene.client.take_secret(ticket).await.expect_problem(410, "secret_taken");
    }
    for ticket in untaken {
        scene.client.ticket(ticket).await.expect(200).expect_outcome("created");
        scene.client.take_secret(ticket).await.expect_problem(410, "secret_lost");
    }
    println!(
        "{how}: {} jobs under way or waiting ended; {resets} passwords of those that had ended were lost and reset; \
         {too_early} look-up came too early",
        burst.len() + WAITING
    );
}

/// Jobs of which some have ended, and one is in hand and cannot go on.
async fn amid_a_burst(scene: &Scene) -> (Vec<Asked>, Held) {
    let mut burst = scene.submit("ended", ENDED, scene.open_host()).await;
    for asked in &burst {
        ends(&scene.client, &asked.ticket).await.expect_outcome("created");
    }
    let held = scene.hold().await;
    burst.extend(scene.submit("burst", UNDER_WAY, scene.open_host()).await);
    scene.begins(&burst[ENDED..]).await;
    (burst, held)
}

/// What ended after the copy was made is open again in Redis, or unknown to it; history knows better.
async fn set_back_by_some_moments(scene: &Scene) {
    let early = scene.waiting("early", WAITING).await;
    let before = scene.finished("before", FINISHED).await;
    let copy = scene.copy_redis_file();
    // From here on Redis will remember nothing.
    for ticket in &before[..FINISHED / 2] {
        scene.client.take_secret(ticket).await.expect(200);
    }
    scene.resume().await;
    let mut ended = Vec::new();
    for asked in &early {
        ends(&scene.client, &asked.ticket).await.expect_outcome("created");
        let Password::Is(password) = take(&scene.client, &asked.ticket).await else { panic!("a password") };
        ended.push((asked, password));
    }
    scene.pause().await;
    let after = scene.finished("after", FINISHED).await;
    let waiting = scene.submit("late", WAITING, scene.paused_host()).await;

    scene.stop_redis();
    scene.replace_redis_file(&copy);
    scene.start_redis().await;

    // Taken after the copy was made, and its sealed password is back: the row decides.
    for ticket in &before[..FINISHED / 2] {
        let gone = eventually_answers(scene, ticket).await;
        gone.expect_problem(410, "secret_taken");
    }
    for ticket in &before[FINISHED / 2..] {
        assert!(matches!(take(&scene.client, ticket).await, Password::Is(_)));
    }
    for ticket in &after {
        ends(&scene.client, ticket).await.expect_outcome("created");
        assert!(matches!(take(&scene.client, ticket).await, Password::Lost));
    }
    // Redis holds them as queued, and no message will come that says otherwise.
    for (asked, password) in &ended {
        let shown = ends(&scene.client, &asked.ticket).await.expect_outcome("created");
        assert_eq!(*shown.at("secret.available"), json!(false), "{shown}");
        assert!(matches!(take(&scene.client, &asked.ticket).await, Password::Taken));
        assert!(scene.paused_host().accepts(&asked.role, password).await, "{}", asked.role);
    }
    scene.resume().await;
    for asked in &waiting {
        ends(&scene.client, &asked.ticket).await.expect_outcome("created");
        let password = take(&scene.client, &asked.ticket).await;
        assert!(!scene.works_or_is_reset(asked, password).await, "a password nobody has seen is not lost");
    }
    scene.assert_ended_once(early.iter().chain(&waiting)).await;
    println!(
        "set back: {} tickets that had ended since end again, {} that were unknown are rebuilt",
        early.len() + after.len(),
        waiting.len()
    );
}

/// The broker has lost what waited, as one does whose disk was replaced. Everything is still in the tickets.
async fn a_queue_is_gone(scene: &Scene) {
    let waiting = scene.waiting("orphan", WAITING).await;
    scene.delete_queue().await;
    scene.resume().await;
    for asked in &waiting {
        ends(&scene.client, &asked.ticket).await.expect_outcome("created");
        let password = take(&scene.client, &asked.ticket).await;
        assert!(!scene.works_or_is_reset(asked, password).await, "nothing was lost but messages");
    }
    scene.assert_ended_once(waiting.iter()).await;
    println!("a queue deleted: {} jobs ended all the same", waiting.len());
}

async fn eventually_answers(scene: &Scene, ticket: &str) -> rolecall_tests::Answer {
    eventually("an answer", PATIENCE, async || {
        let answer = scene.client.take_secret(ticket).await;
        (answer.status != 503).then_some(answer)
    })
    .await
}
