//! An installation that may reach receivers on this machine, and what most tests ask of it.

use std::ops::Deref;
use std::time::Duration;

use rolecall_shared::domain::{Clock as _, SystemClock};
use rolecall_shared::seal::{ReceivedWebhook, VerifyingKey, WEBHOOK_TOLERANCE, WebhookFault, verify_webhook};
use rolecall_tests::installation::Builder;
use rolecall_tests::{Answer, Client, Heard, Installation, Running, eventually};
use serde_json::{Value, json};

pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) struct Scene {
    rolecall: Running,
}

impl Deref for Scene {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.rolecall
    }
}

/// With delays that a test can wait for.
pub(crate) fn builder(name: &str) -> Builder {
    Installation::builder(name)
        .set("outbound.allow_http", "true")
        .set("outbound.allowed_networks", "127.0.0.0/8")
        .set("webhooks.schedule", "100ms,100ms,100ms")
        .set("webhooks.poll_milliseconds", "50")
        .set("webhooks.timeout_milliseconds", "2000")
        .set("auth.logins_per_minute", "100000")
        // Commands are run one after the other, each with its first connection, on a machine that is busy.
        .set("control.timeout_milliseconds", "10000")
}

impl Scene {
    pub(crate) async fn new(name: &str) -> Self {
        Self::of(builder(name)).await
    }

    pub(crate) async fn of(builder: Builder) -> Self {
        Self { rolecall: builder.start().await }
    }

    /// An account with these rights.
    pub(crate) fn account(&self, name: &str, access: &[&str]) -> Client {
        let options: Vec<_> = access.iter().flat_map(|pattern| ["--access", pattern]).collect();
        self.client.as_account(name, &self.make_account(name, &options))
    }

    /// Makes a role; the ticket.
    pub(crate) async fn make(&self, name: &str) -> String {
        let target = self.target(1);
        let ended = self.client.run(&target.create_role(&self.role(name))).await;
        ended.expect_outcome("created").id()
    }

    /// A job that fails: there is no such role.
    pub(crate) async fn fail(&self) -> String {
        let database = &self.target(1).database;
        let job = json!({ "operation": "reset_password", "username": "nobody_here", "env": "dev", "database": database });
        self.client.run(&job).await.id()
    }
}

pub(crate) async fn register(client: &Client, webhook: Value) -> Answer {
    client.post("/api/v2/webhooks", &webhook).await.expect(201)
}

pub(crate) fn id(answer: &Answer) -> String {
    answer.text("id").to_owned()
}

/// The first page of what was told to a webhook, newest first.
pub(crate) async fn deliveries(client: &Client, id: &str, query: &str) -> Vec<Value> {
    let answer = client.get(&format!("/api/v2/webhooks/{id}/deliveries?limit=200&{query}")).await.expect(200);
    answer.list("items").to_vec()
}

/// Waits until the only delivery of an event has this state.
pub(crate) async fn delivery(client: &Client, id: &str, event: &str, state: &str) -> Value {
    eventually(&format!("{event} to be {state}"), PATIENCE, async || {
        let found = deliveries(client, id, &format!("event={event}")).await;
        assert!(found.len() <= 1, "{found:#?}");
        found.into_iter().next().filter(|delivery| delivery["state"] == state)
    })
    .await
}

/// Waits until a webhook is in this state.
pub(crate) async fn webhook(client: &Client, id: &str, state: &str) -> Answer {
    eventually(&format!("a webhook to be {state}"), PATIENCE, async || {
        let answer = client.get(&format!("/api/v2/webhooks/{id}")).await.expect(200);
        (answer.text("state") == state).then_some(answer)
    })
    .await
}

/// What a receiver with this key says of a webhook.
pub(crate) fn verify(heard: &Heard, key: &str) -> Result<(), WebhookFault> {
    let key = VerifyingKey::parse(key).expect("a key");
    let received = ReceivedWebhook {
        id: heard.id(),
        timestamp: heard.header("webhook-timestamp"),
        signature: heard.header("webhook-signature"),
        body: &heard.body,
    };
    verify_webhook(&[key], received, SystemClock.now(), WEBHOOK_TOLERANCE)
}
