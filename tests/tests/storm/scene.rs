//! What the storm rages over: three servers, one of them under two names, two apis and three workers.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use rolecall_tests::process::{Process, Role};
use rolecall_tests::{Client, Installation, PrivateStack, Target};

use crate::chance::Chance;

pub(crate) const HOSTS: usize = 3;
const APIS: usize = 2;
const WORKERS: usize = 3;

/// A registered database.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) database: String,
    /// The host as it is registered; two of these are one server.
    pub(crate) host: String,
    pub(crate) target: Target,
}

/// The addresses of the apis, which change when one is started again.
#[derive(Debug)]
pub(crate) struct Doors {
    client: Client,
    urls: Mutex<Vec<String>>,
}

impl Doors {
    /// A caller at one of them; another number, another one.
    pub(crate) fn at(&self, number: usize) -> Client {
        let urls = self.urls.lock().unwrap_or_else(PoisonError::into_inner);
        self.client.at(&urls[number % urls.len()])
    }

    fn change(&self, number: usize, url: String) {
        self.urls.lock().unwrap_or_else(PoisonError::into_inner)[number] = url;
    }
}

/// Rolecall's processes.
pub(crate) struct Fleet {
    apis: Vec<Process>,
    workers: Vec<Process>,
}

impl Fleet {
    pub(crate) async fn start(installation: &Installation) -> Self {
        let start =
            |role, count| futures_util::future::join_all((0..count).map(move |_| installation.start(role)));
        let (apis, workers) =
            futures_util::future::join(start(Role::Api, APIS), start(Role::Worker, WORKERS)).await;
        Self { apis, workers }
    }

    pub(crate) fn doors(&self, installation: &Installation) -> Doors {
        let urls = self.apis.iter().map(Process::url).collect();
        Doors { client: installation.client(&self.apis[0]), urls: Mutex::new(urls) }
    }

    /// Any process, by its place here.
    pub(crate) fn any(chance: &mut Chance) -> usize {
        chance.below(APIS + WORKERS)
    }

    pub(crate) fn any_worker(chance: &mut Chance) -> usize {
        APIS + chance.below(WORKERS)
    }

    pub(crate) fn process(&self, number: usize) -> &Process {
        self.apis.iter().chain(&self.workers).nth(number).unwrap()
    }

    /// Starts another in the place of one that ended.
    pub(crate) async fn replace(&mut self, number: usize, installation: &Installation, doors: &Doors) {
        if number < APIS {
            self.apis[number] = installation.start(Role::Api).await;
            doors.change(number, self.apis[number].url());
        } else {
            self.workers[number - APIS] = installation.start(Role::Worker).await;
        }
    }
}

/// An installation whose default log-in may be used under both names of the first server.
pub(crate) async fn install(stack: &PrivateStack) -> Installation {
    let hosts: Vec<_> = (1..=HOSTS).map(|number| Target::of(stack, number)).collect();
    let names: BTreeSet<_> = hosts.iter().map(Target::host).chain([other_name(&hosts[0])]).collect();
    let names: Vec<_> = names.into_iter().collect();
    Installation::builder("storm")
        .on(stack)
        .set("default_login.hosts", names.join(","))
        // What the product does unless told otherwise. It takes its time, so faults find it at work.
        .set("target.scram_iterations", "4096")
        // More and shorter steps than a whole share in one transaction.
        .set("worker.batch", "8")
        .create()
        .await
}

fn other_name(target: &Target) -> String {
    format!("localhost:{}", target.port)
}

/// Has the servers log when each session's transactions begin and end, and registers them.
pub(crate) async fn register(installation: &Installation, client: &Client) -> Vec<Place> {
    let mut places = Vec::new();
    for target in installation.targets() {
        let superuser = target.superuser("postgres").await;
        // Every statement is in the log anyway; these say when a COMMIT was done, and when a session was gone.
        for statement in [
            "ALTER SYSTEM SET log_duration = on",
            "ALTER SYSTEM SET log_disconnections = on",
            "SELECT pg_reload_conf()",
        ] {
            superuser.batch_execute(statement).await.unwrap();
        }
        client.put_target("dev", &target.database, &target.registration()).await.expect(201);
        let (database, host) = (target.database.clone(), target.host());
        places.push(Place { database, host, target: target.clone() });
    }
    let twice = installation.target(1);
    let database = format!("other_{}", installation.id);
    twice.create_database(&database).await;
    let mut registration = twice.registration();
    registration["hostname"] = "localhost".into();
    client.put_target("dev", &database, &registration).await.expect(201);
    places.push(Place { database, host: other_name(twice), target: twice.clone() });
    places
}
