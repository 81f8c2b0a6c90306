//! What it costs to ask who is calling: submits by each proof, beside a router that does not ask.
//!
//! No worker runs, so that nothing but the intake is measured.

use std::time::Instant;

use futures_util::stream::{self, StreamExt as _};
use reqwest::RequestBuilder;
use reqwest::header::AUTHORIZATION;
use rolecall_tests::client::send;
use rolecall_tests::process::Role;
use rolecall_tests::{Client, Installation, Process};
use serde_json::json;

use crate::figures::median;

/// Submits in a round, and how many are on their way at once.
const SUBMITS: u32 = 1_500;
const AT_ONCE: usize = 32;
/// How often each way has its turn; they take turns, so that the machine's moods meet all of them.
const ROUNDS: u32 = 7;

/// How somebody proves who is calling.
pub struct Proof {
    name: &'static str,
    header: String,
}

/// An installation without a worker: an api as it ships, and one that asks nobody.
pub struct Scene {
    pub rolecall: Installation,
    pub api: Process,
    open: Process,
    basic: Proof,
}

impl Scene {
    /// Starts both and registers a target.
    pub async fn start(rolecall: Installation) -> Self {
        let api = rolecall.start(Role::Api).await;
        let binary = rolecall_tests::binary::rolecall().with_file_name("rolecall-no-authentication");
        let open = Process::spawn_binary(&binary, Role::Api, &rolecall.environment(), rolecall.dir());
        open.ready().await;
        let target = rolecall.target(1);
        rolecall.client(&api).put_target("dev", &target.database, &target.registration()).await.expect(201);
        let password = rolecall.make_account("ci", &["--access", "*:*/*:*"]);
        let request = Client::new(&api.url(), "ci", &password).request(reqwest::Method::GET, "/");
        let header =
            request.build().expect("a request").headers()[AUTHORIZATION].to_str().expect("ASCII").to_owned();
        Self { rolecall, api, open, basic: Proof { name: "Basic", header } }
    }

    /// The account's name and password in a header.
    pub fn basic(&self) -> &str {
        &self.basic.header
    }

    /// Submits by each proof in turn, and prints the medians.
    #[expect(clippy::print_stdout, reason = "figures on a terminal are what it is for")]
    pub async fn compare(&self) {
        let proofs = [self.api_token().await, self.session().await];
        let ways: Vec<(&str, &Process, Option<&str>)> = [("nobody is asked", &self.open, None)]
            .into_iter()
            .chain(
                [&self.basic, &proofs[0], &proofs[1]]
                    .map(|proof| (proof.name, &self.api, Some(proof.header.as_str()))),
            )
            .collect();
        let mut rates = vec![Vec::new(); ways.len()];
        // One round that does not count.
        for round in 0..=ROUNDS {
            for (way, (_, api, header)) in ways.iter().enumerate() {
                let rate = self.round(api, *header, &format!("r{round}w{way}")).await;
                if round > 0 {
                    rates[way].push(rate);
                }
            }
        }
        let medians: Vec<f64> = rates.into_iter().map(median).collect();
        for ((name, ..), rate) in ways.iter().zip(&medians) {
            println!("  {name:<16} {rate:>6.0} submits/s, {:.2} of those without", rate / medians[0]);
        }
    }

    /// Submits per second.
    async fn round(&self, api: &Process, header: Option<&str>, name: &str) -> f64 {
        let http = reqwest::Client::builder().no_proxy().build().expect("a plain client");
        let url = api.url();
        let start = Instant::now();
        let submits =
            (0..SUBMITS).map(|number| self.submit(&http, &url, header, &format!("{name}_{number}")));
        stream::iter(submits)
            .for_each_concurrent(AT_ONCE, async |submit| {
                send(submit).await.expect(202);
            })
            .await;
        f64::from(SUBMITS) / start.elapsed().as_secs_f64()
    }

    /// A submit that was not sent yet.
    pub fn submit(
        &self,
        http: &reqwest::Client,
        url: &str,
        header: Option<&str>,
        role: &str,
    ) -> RequestBuilder {
        let job = json!({ "operation": "create_role", "kind": "devqa", "username": role,
                          "env": "dev", "database": self.rolecall.target(1).database });
        let request = http.post(format!("{url}/api/v2/jobs")).json(&job);
        match header {
            Some(header) => request.header(AUTHORIZATION, header),
            None => request,
        }
    }

    async fn api_token(&self) -> Proof {
        let answer = self.as_ci("/api/v2/tokens", &json!({ "name": "bench" })).await.expect(201);
        Proof { name: "API token", header: format!("Bearer {}", answer.text("token")) }
    }

    async fn session(&self) -> Proof {
        let answer = self.as_ci("/api/v2/sessions", &json!({})).await.expect(201);
        Proof { name: "session (JWT)", header: format!("Bearer {}", answer.text("token")) }
    }

    async fn as_ci(&self, path: &str, body: &serde_json::Value) -> rolecall_tests::client::Answer {
        let http = reqwest::Client::builder().no_proxy().build().expect("a plain client");
        send(http.post(format!("{}{path}", self.api.url())).header(AUTHORIZATION, self.basic()).json(body))
            .await
    }
}
