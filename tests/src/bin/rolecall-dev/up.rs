//! `make up`, `make down`, and the set-up that the demonstration shares with them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rolecall_tests::control::{ControlDatabase, unique};
use rolecall_tests::eventually::within;
use rolecall_tests::installation::{run_well, settings};
use rolecall_tests::process::Role;
use rolecall_tests::{Client, Stack, Target, binary};

use crate::background::Background;
use crate::place::{Place, free_port};
use crate::screen::{self, Screen};
use crate::{blocking, story};

const ROLES: [Role; 2] = [Role::Api, Role::Worker];

/// The name of the account.
const USER: &str = "demo";

/// Servers, settings, account: everything but the processes.
pub struct Setup {
    pub stack: Stack,
    pub environment: BTreeMap<String, String>,
    pub user: String,
    pub password: String,
}

impl Setup {
    /// Makes everything in a place, on its stack, which holds nothing of Rolecall's yet.
    pub async fn make(screen: &Screen, place: &Place, stack: Stack, [api, worker]: [u16; 2]) -> Self {
        let control = ControlDatabase::create(&stack).await;
        let targets = [1, 2].map(|number| Target::of(&stack, number));
        let mut settings = settings::of(&stack, &control, &targets, &place.file("seal.keys"), "rolecall");
        let password = unique();
        let own = [
            ("api.listen", format!("127.0.0.1:{api}")),
            ("worker.listen", format!("127.0.0.1:{worker}")),
            ("account.user", USER.to_owned()),
            ("account.password", password.clone()),
        ];
        settings.extend(own.map(|(key, value)| (key.to_owned(), value)));
        let environment = settings::environment(&settings);

        run_well(&environment, place.dir(), &["migrate"]);
        screen.done("rolecall migrate", "the control database has its tables");
        run_well(&environment, place.dir(), &["keys", "add"]);
        screen.done("rolecall keys add", "passwords are sealed with this key until they are taken");
        run_well(&environment, place.dir(), &["audit", "key", "create"]);
        screen.done("rolecall audit key create", "the audit is signed with this key");
        Self { stack, environment, user: USER.to_owned(), password }
    }

    /// What an earlier `up` made, if its stack is up.
    fn found(place: &Place, stack: &Stack) -> Option<Self> {
        let environment = read_variables(&place.read("env")?);
        let is_of =
            |key: &str, url: &str| environment.get(&settings::variable_of(key)).is_some_and(|v| v == url);
        if !is_of("redis.url", stack.get("STACK_REDIS_URL")) {
            return None;
        }
        let password = environment.get(&settings::variable_of("account.password"))?.clone();
        Some(Self { stack: stack.clone(), environment, user: USER.to_owned(), password })
    }

    fn url(&self) -> String {
        format!("http://{}", self.environment[&settings::variable_of("api.listen")])
    }

    fn health_url(&self, role: Role) -> String {
        let key = if role == Role::Worker { "worker.listen" } else { "api.listen" };
        format!("http://{}/readyz", self.environment[&settings::variable_of(key)])
    }
}

/// The stack of a place and the binary, the two things that take time.
pub async fn start_servers(screen: &Screen, place: &Place) -> Stack {
    place.make();
    let start = Instant::now();
    let stack = blocking({
        let place = place.clone();
        move || place.stack()
    })
    .await;
    let servers =
        format!("RabbitMQ, Redis, PostgreSQL: control and targets 1 and 2; {:.1?}", start.elapsed());
    screen.done("servers of its own, on free loopback ports", &servers);
    let program = blocking(binary::rolecall).await;
    screen.done("rolecall is built", &program.display().to_string());
    stack
}

/// Starts what is not running, and says how to call it.
pub async fn up(screen: &Screen) -> i32 {
    screen.title("Rolecall on this machine");
    let place = Place::up();
    let stack = start_servers(screen, &place).await;
    let setup = if let Some(found) = Setup::found(&place, &stack) {
        found
    } else {
        let setup = Setup::make(screen, &place, stack, [free_port(5000), free_port(5001)]).await;
        place.write("env", &write_variables(&setup.environment));
        place.write("curl", &format!("user = \"{}:{}\"\nsilent\nshow-error\n", setup.user, setup.password));
        setup
    };
    for role in ROLES {
        let process = Background::of(&place, role);
        let was_running = process.pid().is_some();
        let pid = process.start(&setup.environment);
        wait_until_ready(&process, &setup.health_url(role)).await;
        let how = if was_running { "runs already" } else { "started" };
        screen.done(role.as_str(), &format!("{how} as process {pid}, log {}", place.shown(&process.log())));
    }
    let client = Client::new(&setup.url(), &setup.user, &setup.password);
    let targets = [1, 2].map(|number| Target::of(&setup.stack, number));
    for (env, database, target) in story::targets(&targets) {
        let answer = client.put_target(env, database, &target.registration()).await;
        assert!(matches!(answer.status, 200 | 201), "a target is not registered: {answer}");
        screen.done(&format!("target {env}/{database}"), &target.host());
    }
    say_how_to_call(&place, &setup);
    0
}

async fn wait_until_ready(process: &Background, url: &str) {
    let http = reqwest::Client::builder().no_proxy().build().expect("a plain client");
    let is_ready = within(Duration::from_secs(30), || async {
        assert!(process.pid().is_some(), "it ended:\n{}", process.log_tail());
        http.get(url).send().await.ok()?.error_for_status().ok().map(drop)
    });
    assert!(is_ready.await.is_some(), "it is not ready:\n{}", process.log_tail());
}

fn say_how_to_call(place: &Place, setup: &Setup) {
    let (url, curl, env) = (setup.url(), place.shown("curl"), place.shown("env"));
    screen::line(&format!(
        r#"
It listens on {url}, documentation on {url}/docs.
User {user}, password {password} (kept in {curl}, readable by you only).

A role, its ticket, its password:

    curl -K {curl} {url}/api/v2/jobs --json '{{"operation":"create_role","kind":"app","env":"dev","database":"myapp_dev","servername":"web01","port":8080}}'
    curl -K {curl} "{url}/api/v2/tickets/ID?wait=20"
    curl -K {curl} -X POST {url}/api/v2/tickets/ID/secret

The commands of the binary find this installation with the variables of {env}:

    (set -a; . {env}; {program} keys list)

`make down` ends it and removes its data."#,
        user = setup.user,
        program = binary::rolecall().display(),
        password = setup.password,
    ));
}

/// Ends everything that `up` started, and what a killed demonstration left.
pub async fn down(screen: &Screen) -> i32 {
    let place = Place::up();
    for role in [Role::Worker, Role::Api] {
        if let Some(pid) = Background::of(&place, role).stop().await {
            screen.done(role.as_str(), &format!("process {pid} ended"));
        }
    }
    blocking(|| [Place::up(), Place::demo()].iter().for_each(Place::remove)).await;
    screen.done("down", "servers ended, data removed");
    0
}

/// Says what runs.
pub async fn status() -> i32 {
    let place = Place::up();
    let Some(servers) = blocking({
        let place = place.clone();
        move || place.stack_status()
    })
    .await
    else {
        screen::line("Nothing is up; `make up` starts it.");
        return 3;
    };
    let mut all_up = servers.lines().all(|line| line.split_whitespace().nth(2) == Some("up"));
    for role in ROLES {
        let pid = Background::of(&place, role).pid();
        all_up &= pid.is_some();
        let pid = pid.map_or_else(|| "down".to_owned(), |pid| format!("up         {pid}"));
        screen::line(&format!("{:<17} {pid}", role.as_str()));
    }
    screen::line(&servers);
    if all_up { 0 } else { 3 }
}

fn write_variables(variables: &BTreeMap<String, String>) -> String {
    let lines: Vec<_> = variables
        .iter()
        .map(|(name, value)| format!("{name}='{}'\n", value.replace('\'', r"'\''")))
        .collect();
    lines.concat()
}

fn read_variables(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| {
            let value = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).unwrap_or(value);
            (name.to_owned(), value.replace(r"'\''", "'"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_read_back_as_written() {
        let variables = [("A", "plain"), ("B", "it's = here"), ("C", "")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(read_variables(&write_variables(&variables)), variables);
    }
}
