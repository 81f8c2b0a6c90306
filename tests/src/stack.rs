//! The private servers, started by the script `tests/stack/stack`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::leftovers;

/// A running stack: where its servers listen and where their files are.
#[derive(Debug, Clone)]
pub struct Stack {
    dir: PathBuf,
    env: BTreeMap<String, String>,
}

impl Stack {
    /// The stack all tests of a run share: in `ROLECALL_STACK_DIR`, or in `.stack` of the checkout. Starts it if
    /// it is not up, and removes the databases of earlier suites.
    ///
    /// # Panics
    /// When the script fails; its own message says why.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Stack> = OnceLock::new();
        SHARED.get_or_init(|| {
            let dir = std::env::var_os("ROLECALL_STACK_DIR")
                .map_or_else(|| checkout().join(".stack"), PathBuf::from);
            let stack = Self::up(&dir);
            leftovers::remove(&stack);
            stack
        })
    }

    /// Starts, or finds, the stack of a folder.
    ///
    /// # Panics
    /// When the script fails.
    pub fn up(dir: &Path) -> Self {
        Self::started(dir, &["up"])
    }

    /// The same with at least so many target clusters.
    ///
    /// # Panics
    /// When the script fails.
    pub fn with_targets(dir: &Path, count: usize) -> Self {
        Self::started(dir, &["up", "--targets", &count.to_string()])
    }

    fn started(dir: &Path, up: &[&str]) -> Self {
        script(dir, up);
        let env = script(dir, &["env"])
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.trim_matches(['\'', '"']).to_owned()))
            .collect();
        Self { dir: dir.to_owned(), env }
    }

    /// Runs the script on this stack: `stop`, `kill` or `start` with a service, `down`, `rabbitmqctl` …
    pub fn run(&self, args: &[&str]) -> String {
        script(&self.dir, args)
    }

    /// How many target clusters it has.
    pub fn target_count(&self) -> usize {
        self.get("STACK_TARGETS").parse().expect("a number of targets")
    }

    /// A value of `stack env`, such as `STACK_REDIS_URL`.
    ///
    /// # Panics
    /// When the script does not print it.
    pub fn get(&self, key: &str) -> &str {
        self.env.get(key).unwrap_or_else(|| panic!("`stack env` prints no {key}"))
    }
}

/// The top folder of the checkout.
pub fn checkout() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn script(dir: &Path, args: &[&str]) -> String {
    let output = command(dir, args)
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("cannot run tests/stack/stack: {error}"));
    assert!(output.status.success(), "tests/stack/stack {args:?} failed with {}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The script on a folder, whether or not a stack is up there.
pub fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(checkout().join("tests/stack/stack"));
    // The folder before the command: after `rabbitmqctl` every word is that program's own.
    command.arg("--dir").arg(dir).args(args).stdin(Stdio::null());
    command
}
