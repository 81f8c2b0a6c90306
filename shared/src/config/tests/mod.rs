//! Ground to stand on, and what is loaded when nothing is wrong.

mod faults;
mod notify;
mod oidc;
mod sample;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::{Control, Seal, Settings, read, sections};
use crate::domain::{KindName, Profiles, RoleName};

/// A folder with a key file and one secret, and the variables of a configuration without a fault.
struct Ground {
    dir: TempDir,
    variables: BTreeMap<String, String>,
}

impl Ground {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key_file = dir.path().join("seal.keys");
        std::fs::write(&key_file, "").unwrap();
        let variables = [
            ("ROLECALL__RABBITMQ__URL", "amqp://u:p@localhost:5672/%2f"),
            ("ROLECALL__REDIS__URL", "redis://localhost:6379/0"),
            ("ROLECALL__CONTROL__URL", "postgresql://w:p@localhost/rolecall"),
            ("ROLECALL__SEAL__KEY_FILE", key_file.to_str().unwrap()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { dir, variables }
    }

    fn with(mut self, variables: &[(&str, &str)]) -> Self {
        self.variables
            .extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self
    }

    fn without(mut self, variable: &str) -> Self {
        self.variables.remove(variable);
        self
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn load(&self, file: &str) -> Result<Settings, Vec<String>> {
        let file = (Path::new("rolecall.toml"), file);
        Settings::from_sources(Some(file), &self.variables).map_err(|faults| faults.0)
    }

    fn faults(&self, file: &str) -> Vec<String> {
        match self.load(file) {
            Ok(_) => Vec::new(),
            Err(faults) => faults,
        }
    }
}

#[test]
fn the_least_configuration_has_the_documented_defaults() {
    let settings = Ground::new().load("").unwrap();
    assert_eq!(settings.api.listen.to_string(), "127.0.0.1:5000");
    assert_eq!(settings.api.max_wait, Duration::from_secs(50));
    assert_eq!(settings.api.confirm_timeout, Duration::from_millis(1500));
    assert_eq!(settings.worker.listen.unwrap().to_string(), "127.0.0.1:5001");
    assert_eq!((settings.worker.lanes, settings.worker.batch, settings.worker.attempts), (16, 64, 3));
    assert_eq!(settings.target.scram_iterations, 4096);
    assert_eq!(settings.target.backoff_first, Duration::from_millis(200));
    assert_eq!(settings.tickets.max_deadline, Duration::from_hours(24));
    assert_eq!(settings.profiles, Profiles::default());
    assert!(settings.account.is_none() && settings.default_login.is_none());
}

#[test]
fn the_api_listens_on_loopback_unless_told_otherwise() {
    let api = |file: &str| Ground::new().load(&format!("[api]\n{file}")).unwrap().api;
    let default = api("");
    assert!(default.tls.is_none() && default.unix_socket.is_none());
    assert_eq!((default.max_connections, default.idle), (4096, Duration::from_secs(75)));
    for listen in ["127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        assert_eq!(api(&format!("listen = '{listen}'")).listen.to_string(), listen);
    }
    assert!(api("listen = '0.0.0.0:1'\nallow_plain_http = true").listen.ip().is_unspecified());
    let files = "tls_certificate_file = '/c'\ntls_key_file = '/k'";
    assert!(api(files).tls.is_none());
    let tls = api(&format!("tls_listen = '0.0.0.0:5443'\n{files}")).tls.unwrap();
    assert_eq!((tls.certificate_file.as_path(), tls.key_file.as_path()), (Path::new("/c"), Path::new("/k")));
    let socket = api("unix_socket = '/run/a.sock'\nunix_socket_mode = '600'").unix_socket.unwrap();
    assert_eq!((socket.path.as_path(), socket.mode), (Path::new("/run/a.sock"), 0o600));
}

#[test]
fn the_environment_beats_the_file_and_is_never_guessed_at() {
    let ground = Ground::new().with(&[
        ("ROLECALL__WORKER__LANES", "7"),
        ("ROLECALL__LOG__JSON", "true"),
        ("ROLECALL__WORKER__LISTEN", "off"),
        ("ROLECALL__ACCOUNT__USER", "true"),
        ("ROLECALL__ACCOUNT__PASSWORD", "0123,a"),
        ("ROLECALL__DEFAULT_LOGIN__USER", "dba"),
        ("ROLECALL__DEFAULT_LOGIN__PASSWORD", "1e5"),
        ("ROLECALL__DEFAULT_LOGIN__HOSTS", "db1:5432, db2:5433"),
        ("ROLECALL__TARGET__PROTECTED_ROLES", "007,Postgres"),
        ("ROLECALL__KINDS__APP__CONNECTION_LIMIT", "50"),
        ("OTHER__WORKER__LANES", "9"),
    ]);
    let settings = ground.load("[worker]\nlanes = 3\nbatch = 8").unwrap();
    assert_eq!((settings.worker.lanes, settings.worker.batch), (7, 8));
    assert!(settings.log.json && settings.worker.listen.is_none());
    let account = settings.account.unwrap();
    assert_eq!((account.user.as_str(), account.password.expose_secret()), ("true", "0123,a"));
    let login = settings.default_login.unwrap();
    assert_eq!(login.password.expose_secret(), "1e5");
    let hosts: Vec<_> = login.hosts.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["db1:5432", "db2:5433"]);
    let roles: Vec<_> = settings.target.protected_roles.iter().map(RoleName::as_str).collect();
    assert_eq!(roles, ["007", "Postgres"]);
    let app = settings.profiles.find(&KindName::parse("app").unwrap()).unwrap();
    assert_eq!(app.connection_limit, 50);
}

#[test]
fn every_secret_can_be_a_file() {
    let ground = Ground::new();
    let password = ground.file("password", b"hunter2\r\n");
    let rabbit = ground.file("rabbit", b"amqp://u:fromfile@localhost/\n");
    let redis = ground.file("redis", b"redis://u:fromfile@localhost");
    let control = ground.file("control", b"postgresql://w:fromfile@localhost/rolecall\n");
    let ground = ground
        .without("ROLECALL__RABBITMQ__URL")
        .without("ROLECALL__REDIS__URL")
        .without("ROLECALL__CONTROL__URL")
        .with(&[
            ("ROLECALL__RABBITMQ__URL_FILE", &rabbit),
            ("ROLECALL__REDIS__URL_FILE", &redis),
            ("ROLECALL__CONTROL__URL_FILE", &control),
            ("ROLECALL__CONTROL__OWNER_URL_FILE", &control),
            ("ROLECALL__ACCOUNT__USER", "a"),
            ("ROLECALL__DEFAULT_LOGIN__USER", "dba"),
            ("ROLECALL__DEFAULT_LOGIN__PASSWORD_FILE", &password),
        ]);
    let settings = ground.load(&format!("[account]\npassword_file = '{password}'")).unwrap();
    assert_eq!(settings.account.unwrap().password.expose_secret(), "hunter2");
    assert_eq!(settings.default_login.unwrap().password.expose_secret(), "hunter2");
    let control = settings.control;
    for url in [&settings.rabbitmq.url, &settings.redis.url, &control.url, &control.owner_url.unwrap()] {
        assert!(url.expose_secret().contains("fromfile") && !url.expose_secret().ends_with('\n'));
    }
}

#[test]
fn the_names_of_pg_user_api_are_read_and_step_back() {
    let pg = [
        ("PG_API_USER", "api"),
        ("PG_API_PASS", "one"),
        ("PG_ADMIN_USER", "postgres"),
        ("PG_ADMIN_PASS", "two"),
    ];
    let settings = Ground::new().with(&pg).load("[account]\nuser = 'file'\npassword = 'file'").unwrap();
    let account = settings.account.unwrap();
    assert_eq!((account.user.as_str(), account.password.expose_secret()), ("api", "one"));
    let login = settings.default_login.unwrap();
    assert_eq!((login.user.as_str(), login.password.expose_secret()), ("postgres", "two"));
    assert!(login.hosts.is_empty());

    let ground = Ground::new().with(&pg);
    let file = ground.file("password", b"three");
    let ours = [("ROLECALL__ACCOUNT__USER", "ours"), ("ROLECALL__ACCOUNT__PASSWORD_FILE", file.as_str())];
    let account = ground.with(&ours).load("").unwrap().account.unwrap();
    assert_eq!((account.user.as_str(), account.password.expose_secret()), ("ours", "three"));

    let faults = Ground::new().with(&[("PG_API_USER", "api"), ("PG_API_PASS", "")]).faults("");
    assert_eq!(faults, ["account.password: is empty"]);
}

#[test]
fn kinds_are_changed_key_by_key_and_added() {
    let file = "[kinds.dba]\nconnection_limit = 5\n[kinds.etl]\nnaming = 'username'\nconnection_limit = -1\n\
                read_only_schemas = ['app']\nonly_in_envs = ['dev']\nsearch_path_scope = 'role'";
    let profiles = Ground::new().load(file).unwrap().profiles;
    let find = |name: &str| profiles.find(&KindName::parse(name).unwrap()).unwrap().clone();
    let dba = find("dba");
    assert!(dba.connection_limit == 5 && dba.createdb && dba.createrole);
    let etl = find("etl");
    assert!(etl.connection_limit == -1 && etl.is_read_only() && !etl.createdb);
    assert_eq!(etl.search_path[0].as_str(), "public");
    assert_eq!(find("app"), Profiles::default().find(&KindName::parse("app").unwrap()).unwrap().clone());
}

#[test]
fn debug_text_holds_no_secret() {
    let ground = Ground::new().with(&[
        ("ROLECALL__ACCOUNT__USER", "a"),
        ("ROLECALL__ACCOUNT__PASSWORD", "hunter2"),
        ("ROLECALL__RABBITMQ__URL", "amqp://u:hunter2@h/"),
        ("ROLECALL__CONTROL__OWNER_URL", "postgresql://o:hunter2@h/d"),
    ]);
    assert!(!format!("{:?}", ground.load("").unwrap()).contains("hunter2"));
}

#[test]
fn a_command_checks_only_the_section_it_needs() {
    let variables = Ground::new().with(&[("ROLECALL__WORKER__LANES", "0")]).variables;
    let control: Control = read(None, &variables, Vec::new(), sections::control).unwrap();
    assert_eq!(control.pool, 8);
    let faults = read(None, &variables, Vec::new(), sections::control_for_migration).unwrap_err().0;
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("control.owner_url: is missing (`rolecall migrate`"), "{faults:?}");
    let only = BTreeMap::from([("ROLECALL__SEAL__KEY_FILE".to_owned(), "/not/there/yet".to_owned())]);
    let seal: Seal = read(None, &only, Vec::new(), sections::seal).unwrap();
    assert_eq!(seal.key_file, Path::new("/not/there/yet"));
    let typo = Some((Path::new("x.toml"), "[contrl]\nurl = 'x'"));
    let faults = read(typo, &variables, Vec::new(), sections::seal).unwrap_err().0;
    assert_eq!(faults, ["contrl.url: there is no such key; did you mean control.url?"]);
}
