//! What telling receivers costs the lanes: bursts without any, and bursts of which four receivers hear, one of them well.

use rolecall_tests::{Manner, PrivateStack, Receiver, Running};
use serde_json::json;

use crate::burst;
use crate::figures::median;

/// Pairs of bursts, one without and one with receivers.
const PAIRS: usize = 7;
const JOBS: u32 = 500;

/// Prints each pair, and the ratio of the medians.
///
/// # Panics
/// When a job does not end as `created`, or the well receiver does not hear of each.
#[expect(clippy::print_stdout, reason = "figures on a terminal are what it is for")]
pub async fn run(stack: &PrivateStack) {
    let rolecall = rolecall_tests::Installation::builder("bench-webhooks")
        .on(stack)
        .set("log.filter", "info,lapin=off")
        .set("target.scram_iterations", "4096")
        .set("outbound.allow_http", "true")
        .set("outbound.allowed_networks", "127.0.0.0/8")
        .start()
        .await;
    burst::run(&rolecall, "warm_", JOBS).await;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        without.push(burst::run(&rolecall, &format!("n{pair}_"), JOBS).await.jobs_per_second());
        let told = Told::begin(&rolecall).await;
        with.push(burst::run(&rolecall, &format!("w{pair}_"), JOBS).await.jobs_per_second());
        told.end(&rolecall).await;
        println!("  without {:.0} jobs/s, with {:.0} jobs/s", without[pair], with[pair]);
    }
    let (without, with) = (median(without), median(with));
    println!("  median: without {without:.0} jobs/s, with {with:.0} jobs/s: {:.3} of it", with / without);
}

/// Four receivers: one is well, one hangs, one fails, one redirects.
struct Told {
    receivers: Vec<Receiver>,
    ids: Vec<String>,
}

impl Told {
    async fn begin(rolecall: &Running) -> Self {
        let (mut receivers, mut ids) = (Vec::new(), Vec::new());
        let away = Manner::Header(302, "location", "http://127.0.0.1:9/".to_owned());
        for manner in [Manner::Status(200), Manner::Hang, Manner::Status(500), away] {
            let receiver = Receiver::start(manner).await;
            let body = json!({ "url": receiver.url("/") });
            let made = rolecall.client.post("/api/v2/webhooks", &body).await.expect(201);
            ids.push(made.text("id").to_owned());
            receivers.push(receiver);
        }
        Self { receivers, ids }
    }

    async fn end(self, rolecall: &Running) {
        let heard = self.receivers[0].hears("ticket.succeeded", JOBS as usize).await;
        assert!(heard.len() >= JOBS as usize, "{}", heard.len());
        for id in &self.ids {
            rolecall.client.delete(&format!("/api/v2/webhooks/{id}")).await.expect(204);
        }
    }
}
