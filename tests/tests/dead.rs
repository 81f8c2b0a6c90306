//! Messages that were put aside: that they stop nobody, and `rolecall dead list|show|replay|drop` on them.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use rolecall_shared::failpoints::Failpoint;
use rolecall_tests::binary;
use rolecall_tests::installation::command_of;
use rolecall_tests::process::Role;
use rolecall_tests::{Client, Installation, PrivateStack, Running, Target, eventually};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(30);
/// What `abort` ends a process with.
const SIGABRT: i32 = 6;

fn create(target: &Target, role: &str) -> Value {
    json!({ "operation": "create_role", "kind": "devqa", "username": role,
            "env": "dev", "database": target.database })
}

/// The broker, as somebody else who uses it.
struct Broker {
    _connection: Connection,
    channel: Channel,
    host: String,
    dead: String,
}

impl Broker {
    async fn of(rolecall: &Installation) -> Self {
        let url = rolecall.setting("rabbitmq.url").expect("a URL");
        let connection =
            Connection::connect(url, ConnectionProperties::default()).await.expect("a broker that is up");
        let channel = connection.create_channel().await.expect("a channel");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("a channel that confirms");
        let prefix = rolecall.setting("rabbitmq.prefix").expect("a prefix");
        let host = format!("{prefix}.host.{}", rolecall.target(1).host());
        Self { _connection: connection, channel, host, dead: format!("{prefix}.dead") }
    }

    /// Takes the first message off a queue.
    async fn take(&self, queue: &str) -> (Vec<u8>, BasicProperties) {
        let got = self.channel.basic_get(queue.into(), BasicGetOptions::default()).await.expect("asked");
        let delivery = got.expect("a message").delivery;
        delivery.ack(BasicAckOptions::default()).await.expect("acknowledged");
        (delivery.data, delivery.properties)
    }

    async fn put(&self, queue: &str, body: &[u8], properties: BasicProperties) {
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let sent =
            self.channel.basic_publish(ShortString::default(), queue.into(), options, body, properties);
        sent.await.expect("sent").await.expect("confirmed");
    }

    /// Messages of a queue that nobody holds.
    async fn count(&self, queue: &str) -> u32 {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asked = self.channel.queue_declare(queue.into(), passive, FieldTable::default());
        asked.await.expect("a queue that is there").message_count()
    }

    async fn until_dead(&self, messages: u32) {
        eventually("the dead queue to hold them", SOON, async || {
            (self.count(&self.dead).await == messages).then_some(())
        })
        .await;
    }
}

fn name(properties: &BasicProperties) -> Option<&str> {
    properties.message_id().as_ref().map(ShortString::as_str)
}

/// The body as a release of tomorrow would have written it.
fn of_tomorrow(body: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(body).expect("text");
    assert!(text.contains("\"version\":1"), "{text}");
    text.replace("\"version\":1", "\"version\":2").into_bytes()
}

/// A command that must do what it says; what it prints.
#[track_caller]
fn dead(rolecall: &Installation, arguments: &[&str]) -> Vec<Value> {
    let (code, messages) = tried(rolecall, arguments);
    assert_eq!(code, Some(0), "rolecall dead {arguments:?}: {messages:?}");
    messages
}

#[track_caller]
fn tried(rolecall: &Installation, arguments: &[&str]) -> (Option<i32>, Vec<Value>) {
    let output = rolecall.run(&[&["dead"], arguments, &["--json"]].concat());
    let printed = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    let printed: Value =
        serde_json::from_str(&printed).unwrap_or_else(|_| json!({ "messages": [told], "more": 0 }));
    (output.status.code(), printed["messages"].as_array().expect("a list").clone())
}

/// Replays a message by a command that dies when the message is safe elsewhere, and not yet off the dead queue.
fn replay_and_die(rolecall: &Installation, id: &str) {
    let mut environment = rolecall.environment();
    environment.insert("FAILPOINTS".to_owned(), format!("{}=return", Failpoint::AfterReplay.name()));
    let mut command = command_of(binary::with_failpoints(), &environment, rolecall.dir());
    let status = command.args(["dead", "replay", id]).status().expect("the binary can be run");
    assert_eq!(status.signal(), Some(SIGABRT), "{status}");
}

/// The rows of an event, oldest first.
async fn rows(client: &Client, event: &str) -> Vec<Value> {
    let found = client.audit(&format!("event={event}&limit=200")).await.expect(200);
    found.list("items").iter().rev().cloned().collect()
}

/// Accepts a job whose message a worker of this release cannot read, while none looks.
async fn submit_unreadable(rolecall: &Running, broker: &Broker, role: &str) -> (String, Vec<u8>) {
    let job = create(rolecall.target(1), role);
    let ticket = rolecall.client.submit(&job).await.expect(202).id();
    // Once round the queue, so that the order stays.
    loop {
        let (body, properties) = broker.take(&broker.host).await;
        if name(&properties) == Some(&ticket) {
            broker.put(&broker.host, &of_tomorrow(&body), properties).await;
            return (ticket, body);
        }
        broker.put(&broker.host, &body, properties).await;
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_put_aside_and_waits_for_an_operator() {
    let rolecall = Running::start("unreadable").await;
    let (client, target) = (&rolecall.client, rolecall.target(1));
    let broker = Broker::of(&rolecall).await;
    let [ada, grace, later] = ["ada", "grace", "later"].map(|name| rolecall.role(name));
    client.target_act("dev", &target.database, "pause").await.expect(200);
    // Its queue is made by the first job.
    let first = client.submit(&create(target, &rolecall.role("first"))).await.expect(202).id();
    let kept = broker.take(&broker.host).await;
    let (upgraded, readable) = submit_unreadable(&rolecall, &broker, &ada).await;
    let (unwanted, _) = submit_unreadable(&rolecall, &broker, &grace).await;
    broker.put(&broker.host, b"\xffnobody wrote this", BasicProperties::default()).await;
    broker.put(&broker.host, &kept.0, kept.1).await;
    let behind = client.submit(&create(target, &later)).await.expect(202).id();
    client.target_act("dev", &target.database, "resume").await.expect(200);

    // What comes after it goes on.
    for ticket in [&first, &behind] {
        client.wait(ticket).await.expect_outcome("created");
    }
    broker.until_dead(3).await;
    for ticket in [&upgraded, &unwanted] {
        let waiting = client.ticket(ticket).await.expect(200);
        assert_eq!((waiting.text("state"), waiting.text("waiting_reason")), ("queued", "dead_lettered"));
        assert!(waiting.text("cause").contains("version 2"), "{waiting}");
    }

    // Looking takes nothing, however often.
    for _ in 0..2 {
        let listed = dead(&rolecall, &["list"]);
        let ids: Vec<_> = listed.iter().map(|message| message["id"].as_str().expect("an id")).collect();
        assert_eq!(ids[..2], [&upgraded, &unwanted]);
        assert!(ids[2].starts_with("sha256-"), "{ids:?}");
        for message in &listed {
            assert_eq!(message["host"], json!(target.host()));
            let at = message["put_aside_at"].as_str().expect("when");
            assert!(at.parse::<jiff::Timestamp>().is_ok(), "{at}");
            assert!(message["operation"].is_null() && message["role"].is_null());
        }
        assert!(listed[0]["reason"].as_str().is_some_and(|reason| reason.contains("version 2")));
        assert_eq!(dead(&rolecall, &["list", "--limit", "1"]).len(), 1);
        broker.until_dead(3).await;
    }
    let listed = rolecall.run(&["dead", "list", "--limit", "2"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let lines: Vec<_> = listed.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with(&upgraded), "{listed}");
    assert!(lines[0].contains(&target.host()) && lines[2].contains("1 more"), "{listed}");
    let shown = dead(&rolecall, &["show", &upgraded]);
    assert_eq!(shown[0]["ticket_state"], "queued");
    assert!(shown[0]["body"].as_str().is_some_and(|body| body.contains(&ada)), "{shown:?}");

    replayed_too_early_it_comes_back(&rolecall, &broker, &upgraded).await;
    replayed_when_it_can_be_read_it_runs(&rolecall, &broker, (&upgraded, readable), &ada).await;
    dropped_it_is_gone(&rolecall, &broker, &unwanted).await;
    let role = target.text("SELECT rolname FROM pg_roles WHERE rolname = $1", &[&grace]).await;
    assert_eq!(role, None, "what was thrown away has not run");
}

async fn replayed_too_early_it_comes_back(rolecall: &Running, broker: &Broker, ticket: &str) {
    let times = |text: &str| text.matches("message put aside").count();
    let before = times(&rolecall.worker.log_text());
    assert_eq!(dead(rolecall, &["replay", ticket])[0]["done"], "replayed");
    eventually("the worker to put it aside again", SOON, async || {
        (times(&rolecall.worker.log_text()) > before).then_some(())
    })
    .await;
    broker.until_dead(3).await;
    let waiting = rolecall.client.ticket(ticket).await.expect(200);
    assert_eq!((waiting.text("state"), waiting.text("waiting_reason")), ("queued", "dead_lettered"));
}

/// The release of tomorrow is here: the message on the dead queue is one that can be read.
async fn replayed_when_it_can_be_read_it_runs(
    rolecall: &Running,
    broker: &Broker,
    (ticket, readable): (&str, Vec<u8>),
    role: &str,
) {
    let client = &rolecall.client;
    // It went to the end of the line.
    for _ in 0..2 {
        let (body, properties) = broker.take(&broker.dead).await;
        broker.put(&broker.dead, &body, properties).await;
    }
    let (_, properties) = broker.take(&broker.dead).await;
    assert_eq!(name(&properties), Some(ticket));
    broker.put(&broker.dead, &readable, properties).await;
    let shown = dead(rolecall, &["show", ticket]);
    assert_eq!(shown[0]["job"]["operation"]["role"], json!(role), "{shown:?}");
    replay_and_die(rolecall, ticket);
    let ended = client.wait(ticket).await.expect_outcome("created");
    // What is left of it is the message of a finished job.
    broker.until_dead(3).await;
    let (code, told) = tried(rolecall, &["replay", ticket]);
    assert_eq!((code, &told[0]["code"]), (Some(1), &json!("not_replayable")), "{told:?}");
    dead(rolecall, &["drop", ticket]);
    assert_eq!(client.ticket(ticket).await.text("state"), "succeeded");
    assert!(ended.find("waiting_reason").is_none(), "{ended}");
    let secret = client.take_secret(ticket).await.expect(200);
    assert!(rolecall.target(1).accepts(role, secret.text("password")).await);

    // Two acts, two rows; the audit finds the first by its ticket, and both by what they say.
    let replayed = rows(client, "dead.replayed").await;
    assert_eq!(replayed.len(), 2, "{replayed:?}");
    for row in &replayed {
        assert!(row["account"].as_str().is_some_and(|account| account.starts_with("cli:")), "{row}");
        assert_eq!(row["detail"]["ticket"], json!(ticket));
        assert_eq!(row["host"], json!(rolecall.target(1).host()));
    }
    assert_eq!(replayed[0]["ticket"], json!(ticket));
}

async fn dropped_it_is_gone(rolecall: &Running, broker: &Broker, ticket: &str) {
    let client = &rolecall.client;
    assert_eq!(dead(rolecall, &["drop", ticket])[0]["done"], "dropped");
    let ended = client.wait(ticket).await;
    assert_eq!(ended.text("state"), "cancelled");
    let (code, told) = tried(rolecall, &["drop", ticket]);
    assert_eq!(code, Some(1), "{told:?}");
    let dropped = rows(client, "dead.dropped").await;
    assert_eq!((dropped.len(), &dropped[1]["ticket"]), (2, &json!(ticket)));
    let of_ticket = client.audit(&format!("ticket={ticket}")).await.expect(200);
    let events: Vec<_> = of_ticket.list("items").iter().map(|row| row["event"].clone()).collect();
    assert_eq!(events, [json!("ticket.cancelled"), json!("dead.dropped")], "newest first");

    let foreign = dead(rolecall, &["list"])[0]["id"].as_str().expect("an id").to_owned();
    dead(rolecall, &["drop", &foreign]);
    assert_eq!(broker.count(&broker.dead).await, 0);
    assert!(dead(rolecall, &["list"]).is_empty());
}

/// Given up is settled first and put aside then; a worker that dies in between leaves a message of a finished job.
#[tokio::test]
async fn a_job_that_was_given_up_is_put_aside_though_its_worker_died_over_it() {
    let rolecall = Installation::builder("given-up").set("worker.attempts", "1").create().await;
    let api = rolecall.start(Role::Api).await;
    let (client, target) = (rolecall.client(&api), rolecall.target(1));
    client.put_target("dev", &target.database, &target.registration()).await.expect(201);
    let role = rolecall.role("killer");
    let failed = client.submit(&create(target, &role)).await.expect(202).id();
    for point in [Failpoint::AfterBegin, Failpoint::AfterBegin, Failpoint::AfterTickets] {
        // The job waits already: it may end the worker before that is ready.
        let worker = rolecall.spawn_to_die_at(Role::Worker, point);
        assert_eq!(worker.ended().await.signal(), Some(SIGABRT), "{}", point.name());
    }
    let ended = client.wait(&failed).await;
    assert_eq!(ended.text("problem.code"), "attempts_exhausted");

    let _worker = rolecall.start(Role::Worker).await;
    Broker::of(&rolecall).await.until_dead(1).await;
    replay_and_die(&rolecall, &failed);
    let done = async || rows(&client, "ticket.succeeded").await;
    eventually("the new job to end", SOON, async || (!done().await.is_empty()).then_some(())).await;
    // Under which ticket that is, the command did not live to say; typed again it says so, and does nothing twice.
    let answers = dead(&rolecall, &["replay", &failed]);
    let again = answers[0]["replayed_as"].as_str().expect("a ticket");
    assert_eq!(client.wait(again).await.expect_outcome("created").text("replay_of"), failed);
    assert_eq!(done().await.len(), 1);
    assert!(dead(&rolecall, &["list"]).is_empty());
}

#[tokio::test]
async fn a_job_that_kills_its_workers_is_given_up_and_done_again_when_an_operator_says_so() {
    let stack = PrivateStack::up("dead");
    let rolecall = Installation::builder("killer").on(&stack).create().await;
    let api = rolecall.start(Role::Api).await;
    let (client, target) = (rolecall.client(&api), rolecall.target(1));
    client.put_target("dev", &target.database, &target.registration()).await.expect(201);
    let role = rolecall.role("killer");
    let failed = client.submit(&create(target, &role)).await.expect(202).id();
    let behind = client.submit(&create(target, &rolecall.role("behind"))).await.expect(202).id();

    // The first start, and three alone.
    binary::with_failpoints();
    let began = Instant::now();
    for start in 1..=4 {
        let worker = rolecall.spawn_to_die_at(Role::Worker, Failpoint::AfterBegin);
        assert_eq!(worker.ended().await.signal(), Some(SIGABRT), "start {start}");
    }
    let worker = rolecall.start(Role::Worker).await;
    let ended = client.wait(&failed).await;
    assert_eq!((ended.text("state"), ended.text("problem.code")), ("failed", "attempts_exhausted"));
    println!(
        "given up after {:.1} s and {} starts alone",
        began.elapsed().as_secs_f32(),
        ended.at("attempts")
    );
    client.wait(&behind).await.expect_outcome("created");
    Broker::of(&rolecall).await.until_dead(1).await;

    stack.run(&["restart", "rabbitmq"]);
    eventually("api and worker to find the broker again", SOON, async || {
        let [api, worker] = [&api, &worker].map(|process| Client::new(&process.url(), "", ""));
        let ready = api.get("/readyz").await.status == 200 && worker.get("/readyz").await.status == 200;
        ready.then_some(())
    })
    .await;
    let broker = Broker::of(&rolecall).await;
    let shown = dead(&rolecall, &["show", &failed]);
    assert_eq!(
        (&shown[0]["ticket_state"], &shown[0]["reason"]),
        (&json!("failed"), &json!("attempts_exhausted"))
    );
    assert_eq!(shown[0]["job"]["operation"]["role"], json!(role));

    // A copy, as a crash between putting aside and acknowledging would leave; and two operators at once.
    let (body, properties) = broker.take(&broker.dead).await;
    for _ in 0..2 {
        broker.put(&broker.dead, &body, properties.clone()).await;
    }
    let answers: Vec<Value> = std::thread::scope(|operators| {
        let replay = || dead(&rolecall, &["replay", "--all"]);
        let both = [operators.spawn(replay), operators.spawn(replay)];
        both.into_iter().flat_map(|operator| operator.join().expect("it ended well")).collect()
    });
    let tickets: Vec<_> = answers.iter().map(|answer| answer["replayed_as"].as_str()).collect();
    assert!(tickets.len() == 2 && tickets[0] == tickets[1], "{answers:?}");
    let again = tickets[0].expect("a new ticket").to_owned();
    assert_ne!(again, failed);
    assert_eq!(broker.count(&broker.dead).await, 0);

    let ended = client.wait(&again).await.expect_outcome("created");
    assert_eq!(ended.text("replay_of"), failed);
    assert_eq!(client.ticket(&failed).await.expect(200).text("state"), "failed");
    let secret = client.take_secret(&again).await.expect(200);
    assert!(target.accepts(&role, secret.text("password")).await);
    let row = client.audit(&format!("ticket={failed}&event=dead.replayed")).await.expect(200);
    assert_eq!(row.text("items.0.detail.replayed_as"), again);
    let settled = client.audit(&format!("role={role}&event=ticket.succeeded")).await.expect(200);
    assert_eq!(settled.list("items").len(), 1, "done once: {settled}");
    assert!(worker.stop().await.success());
}
