//! Everything one Rolecall needs, apart from all others: a control database, databases on the targets, prefixes in
//! the broker and in Redis, a seal key, an account, and the settings that name them.
//!
//! Never starts a process that stays: see [`Process`]. Tested by every suite.

mod builder;
pub mod settings;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rolecall_shared::failpoints::Failpoint;
use serde_json::Value;
use tempfile::TempDir;

pub use builder::Builder;

use crate::binary;
use crate::client::Client;
use crate::control::ControlDatabase;
use crate::process::{Process, Role};
use crate::stack::Stack;
use crate::target::Target;

/// One Rolecall, ready to be started.
#[derive(Debug)]
pub struct Installation {
    /// Unique; in the names of all it made.
    pub id: String,
    /// The servers it uses.
    pub stack: Stack,
    /// Its control database, migrated.
    pub control: ControlDatabase,
    /// The bootstrap account's name.
    pub user: String,
    /// The bootstrap account's password.
    pub password: String,
    settings: BTreeMap<String, String>,
    targets: Vec<Target>,
    // Keeps the folder alive; it goes with the installation.
    dir: TempDir,
}

impl Installation {
    /// With the stack that all tests share and the settings that suit tests. The name is for people, in logs.
    pub async fn new(name: &str) -> Self {
        Self::builder(name).create().await
    }

    /// To change settings first.
    pub fn builder(name: &str) -> Builder {
        Builder::new(name)
    }

    /// The target on the stack's cluster of that number, from 1.
    pub fn target(&self, number: usize) -> &Target {
        &self.targets[number - 1]
    }

    /// The targets, one on each cluster.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// A role name that no other installation on the same clusters uses.
    pub fn role(&self, name: &str) -> String {
        format!("{name}_{}", self.id)
    }

    /// Its own folder: logs, the key file.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A setting by its key, such as `redis.prefix`.
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(String::as_str)
    }

    /// Changes a setting for processes that are started from now on.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.settings.insert(key.to_owned(), value.into());
    }

    /// Leaves a setting to its default.
    pub fn unset(&mut self, key: &str) {
        self.settings.remove(key);
    }

    /// The settings as the variables of a process.
    pub fn environment(&self) -> BTreeMap<String, String> {
        settings::environment(&self.settings)
    }

    /// Starts a process and waits until it is ready.
    pub async fn start(&self, role: Role) -> Process {
        let process = self.spawn(role);
        process.ready().await;
        process
    }

    /// Starts a process and does not wait.
    pub fn spawn(&self, role: Role) -> Process {
        Process::spawn(role, &self.environment(), self.dir.path())
    }

    /// Starts a process that ends by SIGABRT where it reaches this point, and waits until it is ready.
    pub async fn start_to_die_at(&self, role: Role, point: Failpoint) -> Process {
        let process = self.spawn_to_die_at(role, point);
        process.ready().await;
        process
    }

    /// The same, and does not wait: it may meet its end before it is ready.
    pub fn spawn_to_die_at(&self, role: Role, point: Failpoint) -> Process {
        let mut environment = self.environment();
        environment.insert("FAILPOINTS".to_owned(), format!("{}=return", point.name()));
        Process::spawn_binary(binary::with_failpoints(), role, &environment, self.dir.path())
    }

    /// Runs a command of the binary to its end, for example `["keys", "list"]`.
    pub fn run(&self, arguments: &[&str]) -> Output {
        run(&self.environment(), self.dir.path(), arguments)
    }

    /// Runs a command of the binary, which must succeed, and reads its JSON; it must be told `--json`.
    pub fn command_json(&self, arguments: &[&str]) -> Value {
        let out = run_well(&self.environment(), self.dir(), arguments);
        serde_json::from_str(&out).expect("the command prints JSON")
    }

    /// Makes an account as an operator makes one, with options such as `["--access", "read:*/*:*"]`; its password.
    pub fn make_account(&self, name: &str, options: &[&str]) -> String {
        let made = self.command_json(&[&["accounts", "create", name, "--json"][..], options].concat());
        made["password"].as_str().expect("a password").to_owned()
    }

    /// A caller with the bootstrap account.
    pub fn client(&self, api: &Process) -> Client {
        Client::new(&api.url(), &self.user, &self.password)
    }

    /// The key file of the seal.
    pub fn key_file(&self) -> PathBuf {
        self.dir.path().join("seal.keys")
    }
}

/// Runs a command of the binary to its end, with these variables and hardly any others.
pub fn run(environment: &BTreeMap<String, String>, dir: &Path, arguments: &[&str]) -> Output {
    command(environment, dir)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", binary::rolecall().display()))
}

/// The same, which must succeed; its standard output.
pub fn run_well(environment: &BTreeMap<String, String>, dir: &Path, arguments: &[&str]) -> String {
    let output = run(environment, dir, arguments);
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "rolecall {arguments:?} failed with {}:\n{out}{err}", output.status);
    out.into_owned()
}

/// The binary without the variables of whoever runs the tests: none of theirs may change what is tested. Nor may a
/// `rolecall.toml` of theirs: it works in its own folder.
pub fn command(environment: &BTreeMap<String, String>, dir: &Path) -> Command {
    command_of(binary::rolecall(), environment, dir)
}

/// The same with another binary of the product.
pub fn command_of(binary: &Path, environment: &BTreeMap<String, String>, dir: &Path) -> Command {
    let mut command = Command::new(binary);
    command.current_dir(dir).env_clear().env("NO_COLOR", "1").env("RUST_BACKTRACE", "1");
    for name in ["PATH", "HOME", "TMPDIR", "LANG", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(environment);
    command
}
