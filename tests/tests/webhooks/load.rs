//! A thousand jobs with callbacks, and four receivers of which one is well.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use rolecall_tests::{Manner, Receiver};
use serde_json::Value;

use crate::scene::{Scene, builder};

const JOBS: usize = 1_000;
/// What a job's end may be old when the receiver hears of it, for 99 of 100.
const LIMIT: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_well_receiver_of_four_hears_of_every_end_at_once() {
    let (well, elsewhere) =
        (Receiver::start(Manner::Status(200)).await, Receiver::start(Manner::Status(200)).await);
    let redirecting = Receiver::start(Manner::Header(302, "location", elsewhere.url("/"))).await;
    let (hanging, failing) =
        (Receiver::start(Manner::Hang).await, Receiver::start(Manner::Status(500)).await);
    let hosts = [&well, &hanging, &failing, &redirecting].map(Receiver::host).join(",");
    let scene = Scene::of(
        builder("load")
            .set("webhooks.callback_hosts", hosts)
            .set("webhooks.timeout_milliseconds", "15000")
            .set("webhooks.poll_milliseconds", "1000")
            // Confirms may take their time on a machine that is busy; what is measured begins when a job ends.
            .set("api.confirm_timeout_milliseconds", "30000")
            .set("webhooks.schedule", "5s,30s,2m,10m,1h,6h,24h"),
    )
    .await;
    // Every second job tells the well one, so that it has the most to hear.
    let sick = [&hanging, &failing, &redirecting];
    let job = |n: usize| -> Value {
        let receiver = if n.is_multiple_of(2) { &well } else { sick[n / 2 % 3] };
        let target = scene.target(n % 2 + 1);
        let mut job = target.create_role(&scene.role(&format!("load{n}")));
        job["callback"] = receiver.url(&format!("/{n}")).into();
        job
    };
    let jobs: Vec<Value> = (0..JOBS).map(job).collect();
    let began = Instant::now();
    let mut tickets = Vec::with_capacity(JOBS);
    for some in jobs.chunks(200) {
        tickets.extend(scene.client.submit_all(some).await);
    }
    let ended: HashMap<String, Timestamp> = stream::iter(tickets)
        .map(|ticket| {
            let client = &scene.client;
            async move {
                let ended = client.wait(&ticket).await.expect_outcome("created");
                (ticket, ended.text("finished_at").parse().expect("a time"))
            }
        })
        .buffer_unordered(128)
        .collect()
        .await;
    let took = began.elapsed();
    let heard = well.hears("ticket.succeeded", JOBS / 2).await;
    assert_eq!(heard.len(), JOBS / 2);
    let mut late: Vec<Duration> = heard
        .iter()
        .map(|heard| heard.time.duration_since(ended[&heard.ticket().expect("a ticket")]).unsigned_abs())
        .collect();
    late.sort_unstable();
    let p99 = late[late.len() * 99 / 100];
    println!(
        "{JOBS} jobs in {took:.1?}; the well receiver heard of {} ends, half of them within {:?}, 99 of 100 within {p99:?}",
        late.len(),
        late[late.len() / 2]
    );
    assert!(p99 <= LIMIT, "{p99:?}");
    assert_eq!(elsewhere.heard().len(), 0);
    assert!(hanging.most_at_once() <= 4, "{}", hanging.most_at_once());
}
