//! An installation with a host that works and one that is paused, and its Redis to be lost.

use std::path::PathBuf;
use std::process::Command;

use futures_util::future::join_all;
use lapin::options::QueueDeleteOptions;
use lapin::{Connection, ConnectionProperties};
use rolecall_tests::process::Role;
use rolecall_tests::{Installation, Running, Stack, Target, eventually};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::callers::{PATIENCE, Password};

/// A job that was accepted.
pub(crate) struct Asked {
    pub(crate) ticket: String,
    pub(crate) key: String,
    pub(crate) role: String,
    pub(crate) job: Value,
}

/// A host whose roles are locked.
pub(crate) struct Held(Client);

impl Held {
    pub(crate) fn release(self) {
        drop(self.0);
    }
}

pub(crate) struct Scene {
    pub(crate) client: rolecall_tests::Client,
    running: Running,
    /// Lanes move from one process to the other meanwhile.
    _second: rolecall_tests::Process,
    name: String,
}

impl Scene {
    pub(crate) async fn start(stack: &Stack, name: &str) -> Self {
        let running = Installation::builder(name)
            .on(stack)
            // Many batches, so that the loss meets every step of one.
            .set("worker.batch", "8")
            .set("worker.stale_seconds", "1")
            .start()
            .await;
        let second = running.start(Role::Worker).await;
        Self { client: running.client.clone(), running, _second: second, name: name.to_owned() }
    }

    pub(crate) fn open_host(&self) -> &Target {
        self.running.target(1)
    }

    pub(crate) fn paused_host(&self) -> &Target {
        self.running.target(2)
    }

    /// Creates, submitted at once; again where the answer says so.
    pub(crate) async fn submit(&self, name: &str, jobs: usize, on: &Target) -> Vec<Asked> {
        join_all((0..jobs).map(async |number| {
            let role = self.running.role(&format!("{name}{number}"));
            let key = format!("{}-{name}-{number}", self.name);
            let job = json!({
                "operation": "create_role", "kind": "devqa", "username": role,
                "env": "dev", "database": on.database, "deadline": "10m",
            });
            let answer = eventually("a job to be accepted", PATIENCE, async || {
                let answer = self.client.submit_once(&key, &job).await;
                (answer.status != 503).then_some(answer)
            })
            .await;
            assert!([200, 202].contains(&answer.status), "{answer}");
            Asked { ticket: answer.id(), key, role, job }
        }))
        .await
    }

    /// Jobs that ended on the host that works; their passwords are not taken.
    pub(crate) async fn finished(&self, name: &str, jobs: usize) -> Vec<String> {
        let asked = self.submit(name, jobs, self.open_host()).await;
        for asked in &asked {
            self.client.wait(&asked.ticket).await.expect_outcome("created");
        }
        asked.into_iter().map(|asked| asked.ticket).collect()
    }

    /// Jobs on the host that is paused first.
    pub(crate) async fn waiting(&self, name: &str, jobs: usize) -> Vec<Asked> {
        self.pause().await;
        self.submit(name, jobs, self.paused_host()).await
    }

    pub(crate) async fn pause(&self) {
        self.act("pause").await;
    }

    pub(crate) async fn resume(&self) {
        self.act("resume").await;
    }

    /// Pausing and resuming need Redis for the bell, which may just be coming back.
    async fn act(&self, act: &str) {
        let database = &self.paused_host().database;
        eventually(act, PATIENCE, async || {
            (self.client.target_act("dev", database, act).await.status == 200).then_some(())
        })
        .await;
    }

    /// Keeps the host that works from making roles, until it is let go on.
    pub(crate) async fn hold(&self) -> Held {
        Held(self.open_host().lock_roles().await)
    }

    /// Waits until a worker has one of them in hand.
    pub(crate) async fn begins(&self, burst: &[Asked]) {
        eventually("a job to run", PATIENCE, async || {
            // Those who submit at once are first in any order.
            let tickets = join_all(burst.iter().map(|asked| self.client.ticket(&asked.ticket))).await;
            tickets.iter().any(|ticket| ticket.text("state") == "running").then_some(())
        })
        .await;
    }

    /// Whether the password works; one that was lost, and only such a one, is reset, and then works.
    pub(crate) async fn works_or_is_reset(&self, asked: &Asked, password: Password) -> bool {
        let database = asked.job["database"].as_str().unwrap();
        let target = self.running.targets().iter().find(|target| target.database == database).unwrap();
        match password {
            Password::Is(password) => {
                assert!(
                    target.accepts(&asked.role, &password).await,
                    "{}: handed out and refused",
                    asked.role
                );
                false
            }
            Password::Taken => panic!("{}: taken, but nobody took it", asked.ticket),
            Password::Lost => {
                let reset = json!({
                    "operation": "reset_password", "username": asked.role, "env": "dev", "database": database,
                });
                let ended = self.client.run(&reset).await.expect_outcome("password_reset");
                let taken = self.client.take_secret(&ended.id()).await.expect(200);
                assert!(target.accepts(&asked.role, taken.text("password")).await, "{}", asked.role);
                true
            }
        }
    }

    /// One ending in the audit for each, and one in history.
    pub(crate) async fn assert_ended_once(&self, asked: impl Iterator<Item = &Asked>) {
        let control = self.running.control.superuser().await;
        let count =
            "SELECT count(*) FROM audit_inbox WHERE ticket = $1::text::uuid AND event = 'ticket.succeeded'";
        for asked in asked {
            let rows: i64 = control.query_one(count, &[&asked.ticket]).await.unwrap().get(0);
            assert_eq!(rows, 1, "{}", asked.ticket);
        }
    }

    pub(crate) async fn empty_redis(&self) {
        let client = redis::Client::open(self.running.setting("redis.url").unwrap()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        redis::cmd("FLUSHALL").query_async::<()>(&mut connection).await.unwrap();
    }

    /// Of the host that is paused.
    pub(crate) async fn delete_queue(&self) {
        let url = self.running.setting("rabbitmq.url").unwrap();
        let broker = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let prefix = self.running.setting("rabbitmq.prefix").unwrap();
        let queue = format!("{prefix}.host.{}", self.paused_host().host());
        let channel = broker.create_channel().await.unwrap();
        let lost = channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
        assert!(lost > 0, "nothing waited");
        broker.close(200, "deleted".into()).await.unwrap();
    }

    pub(crate) fn stop_redis(&self) {
        self.running.stack.run(&["kill", "redis"]);
    }

    pub(crate) async fn start_redis(&self) {
        self.running.stack.run(&["start", "redis"]);
        eventually("the api to be ready", PATIENCE, async || {
            (self.client.get("/readyz").await.status == 200).then_some(())
        })
        .await;
    }

    fn redis_file(&self) -> PathBuf {
        PathBuf::from(self.running.stack.get("STACK_REDIS_DATA")).join("appendonlydir")
    }

    pub(crate) fn remove_redis_file(&self) {
        std::fs::remove_dir_all(self.redis_file()).unwrap();
    }

    /// As a backup that copies files would: what was confirmed before is in it.
    pub(crate) fn copy_redis_file(&self) -> PathBuf {
        let copy = self.redis_file().with_extension(&self.name);
        copy_folder(&self.redis_file(), &copy);
        copy
    }

    pub(crate) fn replace_redis_file(&self, copy: &PathBuf) {
        self.remove_redis_file();
        copy_folder(copy, &self.redis_file());
    }
}

/// With owners and modes: the server does not run as whoever runs the tests.
fn copy_folder(from: &PathBuf, to: &PathBuf) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(status.success(), "cp -a {} {}", from.display(), to.display());
}
