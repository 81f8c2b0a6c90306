//! What stands in every server when a job is over and no worker runs, in a form in which two cases can be compared:
//! names and ids are replaced by what they are.

use std::collections::BTreeMap;
use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use redis::AsyncCommands;
use rolecall_tests::{Process, eventually};
use serde_json::Value;

use crate::operation::Operation;
use crate::scene::{Case, Scene};

const SOON: Duration = Duration::from_secs(20);

#[derive(Debug, PartialEq)]
pub(crate) struct EndState {
    /// As the caller sees it.
    ticket: Value,
    /// Every event of the ticket, in order.
    audit: Vec<String>,
    /// The ticket's rows of history, without times and attempts.
    history: Value,
    /// Keys of this ticket, and whether each will go by itself; and whatever else stays for good, which is the word that
    /// the store is whole.
    redis: BTreeMap<String, bool>,
    /// Messages by queue, once nobody holds one.
    rabbitmq: BTreeMap<&'static str, u32>,
    /// The role in the catalogs of its server.
    role: Value,
    /// Of the last password that was handed out; none where there is none.
    logs_in: Option<bool>,
}

/// Everything a server knows about a role but its password.
const ROLE: &str = "
    SELECT json_agg(json_build_object(
        'attributes', ARRAY[r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin],
        'connections', r.rolconnlimit,
        'mark', shobj_description(r.oid, 'pg_authid'),
        'settings', (SELECT json_agg(json_build_array(d.datname, s.setconfig))
                     FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase
                     WHERE s.setrole = r.oid),
        'member_of', (SELECT json_agg(b.rolname ORDER BY b.rolname)
                      FROM pg_auth_members m JOIN pg_roles b ON b.oid = m.roleid WHERE m.member = r.oid),
        'rights', (SELECT json_agg(x ORDER BY x) FROM (
            SELECT 'database ' || a.privilege_type
            FROM pg_database d, aclexplode(d.datacl) a WHERE a.grantee = r.oid
            UNION ALL SELECT 'schema ' || n.nspname || ' ' || a.privilege_type
            FROM pg_namespace n, aclexplode(n.nspacl) a WHERE a.grantee = r.oid
            UNION ALL SELECT 'table ' || c.relname || ' ' || a.privilege_type
            FROM pg_class c, aclexplode(c.relacl) a WHERE a.grantee = r.oid
            UNION ALL SELECT 'future ' || p.defaclobjtype::text || ' ' || a.privilege_type
            FROM pg_default_acl p, aclexplode(p.defaclacl) a WHERE a.grantee = r.oid) rights (x))
    ))::text FROM pg_roles r WHERE r.rolname = $1";

const HISTORY: &str = "
    SELECT json_agg(json_build_object('state', state, 'ending', ending, 'operation', operation, 'role', role))::text
    FROM history WHERE ticket = $1::text::uuid";

impl EndState {
    /// Lets a worker finish what it has, stops it, and reads what stands then.
    pub(crate) async fn after(
        worker: &Process,
        scene: &Scene,
        case: &Case,
        (ticket, password): (&str, Option<String>),
    ) -> Self {
        let queues = Queues::of(scene).await;
        queues.at_rest().await;
        assert!(worker.stop().await.success());

        let plain = |text: &str| {
            let text = text.replace(ticket, "TICKET").replace(&case.role, "ROLE");
            match &case.maker {
                Some(maker) => text.replace(maker, "MAKER"),
                None => text,
            }
        };
        let json = |text: Option<String>| match text {
            Some(text) => without_times(serde_json::from_str(&plain(&text)).unwrap()),
            None => Value::Null,
        };
        let target = scene.on();
        let control = scene.control.superuser().await;
        let history = control.query_one(HISTORY, &[&ticket]).await.unwrap().get(0);
        let shown = scene.client.ticket(ticket).await.expect(200).body;
        let audit = scene.client.audit(&format!("ticket={ticket}&limit=200")).await.expect(200);
        let mut audit: Vec<_> =
            audit.list("items").iter().map(|row| row["event"].as_str().unwrap().to_owned()).collect();
        audit.reverse();
        Self {
            ticket: json(Some(shown.to_string())),
            audit,
            history: json(history),
            redis: left_in_redis(scene, ticket).await,
            rabbitmq: queues.left().await,
            role: json(target.text(ROLE, &[&case.role]).await),
            logs_in: match password {
                Some(password) => Some(target.accepts(&case.role, &password).await),
                None => None,
            },
        }
    }

    /// It ended once, and left no role.
    #[track_caller]
    pub(crate) fn assert_settled_without_role(&self) {
        assert_eq!(self.audit, ["ticket.succeeded"], "{self:#?}");
        assert_eq!(self.role, Value::Null, "{self:#?}");
        assert_eq!(self.rabbitmq, BTreeMap::from([("dead", 0), ("host", 0)]), "{self:#?}");
    }

    /// The measure of all others must itself be right.
    pub(crate) fn assert_is_whole(&self, operation: Operation) {
        let (secret, events) = if operation.makes_secret() {
            (Some(true), vec!["ticket.succeeded", "secret.taken"])
        } else {
            (None, vec!["ticket.succeeded"])
        };
        assert_eq!(self.logs_in, secret, "{self:#?}");
        assert_eq!(self.audit, events, "{self:#?}");
        assert_eq!(self.history.as_array().map(Vec::len), Some(1), "{self:#?}");
        assert_eq!(self.role.as_array().map(Vec::len), Some(1), "{self:#?}");
        let redis = BTreeMap::from([("ticket:TICKET".to_owned(), true), ("whole".to_owned(), false)]);
        assert_eq!(self.redis, redis, "{self:#?}");
        assert_eq!(self.rabbitmq, BTreeMap::from([("dead", 0), ("host", 0)]), "{self:#?}");
    }
}

/// Times and counts that differ from run to run; a crash costs an attempt.
fn without_times(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(name, _)| !(name.ends_with("_at") || name == "attempts" || name == "deadline"))
            .map(|(name, value)| (name, without_times(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(without_times).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// What is there of this ticket, with whether it has a lifetime; and what is there of anything else without one.
/// Tickets that ended before are final and have a lifetime, as this one must.
async fn left_in_redis(scene: &Scene, ticket: &str) -> BTreeMap<String, bool> {
    let client = redis::Client::open(scene.setting("redis.url").unwrap()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let prefix = format!("{}:", scene.setting("redis.prefix").unwrap());
    let keys: Vec<String> = redis.keys(format!("{prefix}*")).await.unwrap();
    let mut left = BTreeMap::new();
    for key in keys {
        let lives: i64 = redis.pttl(&key).await.unwrap();
        // -2: gone by now, as a lease or the memory of a bell.
        if lives != -2 && (lives == -1 || key.contains(ticket)) {
            left.insert(key.trim_start_matches(&prefix).replace(ticket, "TICKET"), lives > 0);
        }
    }
    left
}

/// The host's queue and the dead queue, as the broker counts them.
struct Queues {
    connection: Connection,
    channel: lapin::Channel,
    host: String,
    dead: String,
}

impl Queues {
    async fn of(scene: &Scene) -> Self {
        let url = scene.setting("rabbitmq.url").unwrap();
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let prefix = scene.setting("rabbitmq.prefix").unwrap();
        let host = format!("{prefix}.host.{}", scene.on().host());
        Self { connection, channel, host, dead: format!("{prefix}.dead") }
    }

    /// Waits until a worker has nothing left to do: no job is ready, and nobody holds any.
    async fn at_rest(&self) {
        eventually("the host's queue to be done with", SOON, async || {
            (self.count(&self.host).await == (0, 0)).then_some(())
        })
        .await;
    }

    /// What is left when no worker runs any more: as soon as the broker has seen the last one go, all that was not
    /// acknowledged is counted.
    async fn left(self) -> BTreeMap<&'static str, u32> {
        let mut left = BTreeMap::new();
        for (name, queue) in [("host", &self.host), ("dead", &self.dead)] {
            let messages = eventually("nobody to consume", SOON, async || {
                let (messages, consumers) = self.count(queue).await;
                (consumers == 0).then_some(messages)
            })
            .await;
            left.insert(name, messages);
        }
        self.connection.close(200, "done".into()).await.unwrap();
        left
    }

    /// Messages that are ready, and consumers.
    async fn count(&self, queue: &str) -> (u32, u32) {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared =
            self.channel.queue_declare(queue.into(), passive, FieldTable::default()).await.unwrap();
        (declared.message_count(), declared.consumer_count())
    }
}
