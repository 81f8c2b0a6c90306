//! `rolecall doctor`: what is well is said to be well, and for each fault in turn the line that names it, what to type
//! next, and the exit code.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

use std::process::Output;
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use rolecall_tests::redis_server::RedisServer;
use rolecall_tests::{Installation, PrivateStack, Running, eventually};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(30);

/// What it found, as scripts read it, and its exit code.
struct Findings {
    all: Vec<Value>,
    code: Option<i32>,
}

impl Findings {
    fn of(rolecall: &Installation, more: &[&str]) -> Self {
        let output = rolecall.run(&[&["doctor", "--json"], more].concat());
        let body: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        assert_no_secret(rolecall, &output);
        let code = output.status.code();
        assert_eq!(body["ok"], json!(code == Some(0)), "{body}");
        Self { all: body["findings"].as_array().unwrap().clone(), code }
    }

    /// The findings of a level, as `subject: what`.
    fn at(&self, level: &str) -> Vec<String> {
        let told = |finding: &Value| {
            format!("{}: {}", finding["subject"].as_str().unwrap(), finding["what"].as_str().unwrap())
        };
        self.all.iter().filter(|finding| finding["level"] == level).map(told).collect()
    }

    /// One finding of this level speaks of this, and says what to do next in these words.
    #[track_caller]
    fn assert_told(&self, level: &str, what: &str, next: &str) {
        let is_it = |finding: &&Value| {
            finding["level"] == level
                && format!("{}: {}", finding["subject"], finding["what"]).contains(what)
                && finding["next"].as_str().is_some_and(|text| text.contains(next))
        };
        assert_eq!(self.all.iter().filter(is_it).count(), 1, "{level} {what:?} {next:?}: {:#?}", self.all);
    }
}

fn assert_no_secret(rolecall: &Installation, output: &Output) {
    let printed = format!("{output:?}");
    for secret in [rolecall.password.as_str(), rolecall.stack.get("STACK_DBA_PASSWORD")] {
        assert!(!printed.contains(secret), "{printed}");
    }
    for key in ["rabbitmq.url", "redis.url", "control.url", "control.owner_url"] {
        let url = rolecall.setting(key).unwrap();
        let password = url.split_once("://").and_then(|(_, rest)| rest.split_once('@'));
        let password = password.and_then(|(user, _)| user.split_once(':')).map(|(_, password)| password);
        assert!(!printed.contains(url), "{printed}");
        assert!(password.is_none_or(|password| !printed.contains(password)), "{key}: {printed}");
    }
}

#[tokio::test]
async fn an_installation_that_is_well_is_said_to_be_well() {
    let rolecall = Running::start("well").await;
    let found = Findings::of(&rolecall, &[]);
    assert_eq!((found.at("fault"), found.at("warning"), found.code), (vec![], vec![], Some(0)));
    let well = found.at("ok").join("\n");
    for subject in ["configuration", "seal keys", "RabbitMQ", "Redis", "control database", "accounts"] {
        assert!(well.contains(&format!("{subject}: ")), "{subject} is missing in {well}");
    }
    for target in rolecall.targets() {
        assert!(well.contains(&format!("target dev/{} on {}", target.database, target.host())), "{well}");
    }
    // What cannot be seen is not passed off as well.
    found.assert_told("unseen", "open files", "rabbitmq-diagnostics status");

    let output = rolecall.run(&["doctor"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("0 faults, 0 warnings\n"), "{output:?}");
}

#[tokio::test]
async fn each_target_is_told_what_it_lacks() {
    let rolecall = Running::start("lacking").await;
    let [first, second] = [rolecall.target(1), rolecall.target(2)];
    let plain = rolecall.role("plain");
    let superuser = first.superuser(&first.database).await;
    superuser.batch_execute(&format!("CREATE ROLE {plain} LOGIN PASSWORD 'plain'")).await.unwrap();
    let almighty = rolecall.role("almighty");
    let create = format!("CREATE ROLE {almighty} SUPERUSER LOGIN PASSWORD 'almighty'");
    superuser.batch_execute(&create).await.unwrap();
    let with_login = |user: &str, password: &str| {
        let mut body = first.registration();
        body["login"] = json!({ "user": user, "password": password });
        body
    };
    let register = async |body: &Value| {
        rolecall.client.put_target("dev", &first.database, body).await.expect(200);
    };

    register(&with_login(&plain, "plain")).await;
    let found = Findings::of(&rolecall, &[]);
    found.assert_told("warning", "no CREATEROLE", "rolecall doctor --target dev/");
    assert_eq!(found.code, Some(0), "the other target works");

    register(&with_login(&almighty, "almighty")).await;
    let found = Findings::of(&rolecall, &[]);
    found.assert_told("warning", "its log-in is a superuser", "CREATEROLE that is no superuser");
    assert_eq!(found.code, Some(0), "it works");

    register(&with_login(&plain, "another")).await;
    let found = Findings::of(&rolecall, &["--target", &format!("dev/{}", first.database)]);
    found.assert_told("warning", &first.database, "a log-in that the server lets in");
    assert!(!found.at("ok").join("\n").contains(&second.database), "only one was asked for");

    let mut nowhere = first.registration();
    nowhere["port"] = json!(1);
    nowhere["login"] = json!({ "user": plain, "password": "plain" });
    register(&nowhere).await;
    Findings::of(&rolecall, &[]).assert_told("warning", "127.0.0.1:1", "can be reached");

    let unknown = Findings::of(&rolecall, &["--target", "dev/nothing"]);
    unknown.assert_told("fault", "it is not registered", "PUT /api/v2/targets");
    assert_eq!(unknown.code, Some(1));
    assert_eq!(rolecall.run(&["doctor", "--target", "nothing"]).status.code(), Some(2));
}

#[tokio::test]
async fn a_redis_that_forgets_is_told() {
    let server = RedisServer::up();
    let rolecall = Installation::builder("forgetful").set("redis.url", server.url()).create().await;
    let client = redis::Client::open(server.url()).unwrap();
    let mut redis =
        eventually("Redis to answer", SOON, async || client.get_multiplexed_async_connection().await.ok())
            .await;
    for (setting, value, back) in [
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
        ("appendfsync", "everysec", "always"),
        ("appendonly", "no", "yes"),
    ] {
        let mut set = async |value: &str| {
            let mut command = redis::cmd("CONFIG");
            command.arg("SET").arg(setting).arg(value).query_async::<()>(&mut redis).await.unwrap();
        };
        set(value).await;
        let found = Findings::of(&rolecall, &[]);
        found.assert_told(
            "warning",
            &format!("Redis\": \"{setting} is"),
            &format!("CONFIG SET {setting} {back}"),
        );
        assert_eq!(found.at("warning").len(), 1);
        assert_eq!(found.code, Some(0));
        set(back).await;
    }
    assert_eq!(Findings::of(&rolecall, &[]).at("warning"), Vec::<String>::new());
    drop(server);
    let found = Findings::of(&rolecall, &[]);
    found.assert_told("fault", "Redis cannot be reached", "redis.url");
    assert_eq!(found.code, Some(1));
}

#[tokio::test]
async fn what_redis_does_not_let_us_see_is_told() {
    let server = RedisServer::up();
    let client = redis::Client::open(server.url()).unwrap();
    let mut redis =
        eventually("Redis to answer", SOON, async || client.get_multiplexed_async_connection().await.ok())
            .await;
    let mut user = redis::cmd("ACL");
    user.arg("SETUSER").arg("rolecall").arg(&["on", ">for-the-test", "~*", "&*", "+@all", "-config"]);
    user.query_async::<()>(&mut redis).await.unwrap();
    let url = server.url().replace("redis://", "redis://rolecall:for-the-test@");
    let rolecall = Installation::builder("unseen").set("redis.url", url).create().await;
    let found = Findings::of(&rolecall, &[]);
    found.assert_told("unseen", "our user may not ask", "CONFIG GET appendfsync");
    assert_eq!((found.at("warning"), found.code), (vec![], Some(0)));
}

#[tokio::test]
async fn that_nobody_could_call_is_told() {
    let mut rolecall = Installation::new("nobody").await;
    rolecall.unset("account.user");
    rolecall.unset("account.password");
    let found = Findings::of(&rolecall, &[]);
    found.assert_told("fault", "nobody could call", "rolecall accounts create");
    assert_eq!((found.at("fault").len(), found.code), (1, Some(1)));
}

#[tokio::test]
async fn messages_that_were_put_aside_are_told() {
    let rolecall = Running::start("aside").await;
    let url = rolecall.setting("rabbitmq.url").unwrap();
    let broker = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = broker.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let dead = format!("{}.dead", rolecall.setting("rabbitmq.prefix").unwrap());
    let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let sent = channel.basic_publish("".into(), dead.into(), mandatory, b"?", BasicProperties::default());
    assert!(sent.await.unwrap().await.unwrap().take_message().is_none(), "the queue is there");
    let found = Findings::of(&rolecall, &[]);
    found.assert_told("warning", "1 messages were put aside", "rolecall dead list");
    assert_eq!(found.code, Some(0));
}

#[tokio::test]
async fn a_control_database_that_is_not_ready_is_told() {
    let rolecall = Installation::builder("unmigrated").without_migrations().create().await;
    let found = Findings::of(&rolecall, &[]);
    found.assert_told("fault", "not migrated", "rolecall migrate");
    assert_eq!((found.at("fault").len(), found.code), (1, Some(1)));

    let rolecall = Installation::builder("rewriting").create().await;
    let superuser = rolecall.control.superuser().await;
    superuser.batch_execute("GRANT UPDATE ON audit_inbox TO PUBLIC").await.unwrap();
    Findings::of(&rolecall, &[]).assert_told("warning", "could rewrite the audit", "control.owner_url");
}

#[tokio::test]
async fn a_configuration_that_is_wrong_is_told_as_everywhere() {
    let rolecall = Installation::builder("keyless").without_key().create().await;
    let output = rolecall.run(&["doctor"]);
    assert_eq!(output.status.code(), Some(78), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("rolecall keys add"), "{output:?}");
}

#[tokio::test]
async fn a_broker_that_takes_nothing_or_is_away_is_told() {
    let stack = PrivateStack::up("doctor");
    let rolecall = Installation::builder("alarm").on(&stack).create().await;
    assert_eq!(Findings::of(&rolecall, &[]).code, Some(0));

    stack.run(&["rabbitmqctl", "set_vm_memory_high_watermark", "0.00001"]);
    let found = eventually("the alarm", SOON, async || {
        let found = Findings::of(&rolecall, &[]);
        (found.code == Some(1)).then_some(found)
    })
    .await;
    found.assert_told("fault", "it has blocked publishers", "rabbitmq-diagnostics alarms");

    stack.run(&["kill", "rabbitmq"]);
    let found = Findings::of(&rolecall, &[]);
    found.assert_told("fault", "RabbitMQ cannot be reached", "rabbitmq.url");
    assert_eq!(found.at("fault").len(), 1, "the others are well");
}
