//! The binaries that are tested: built first, once, so that no test meets a stale one.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::stack::checkout;

/// The binary, built from the checkout in the profile of the tests.
///
/// `ROLECALL_BIN` names one that is built already. Else Cargo decides what is stale: once per process, and with
/// nextest, where every test is a process, once per run.
pub fn rolecall() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("ROLECALL_BIN") {
        Some(path) => {
            // Processes run in folders of their own.
            std::path::absolute(&path).expect("ROLECALL_BIN is a path")
        }
        None => build_once_per_run("rolecall", &[]),
    })
}

/// The same program with failpoints. It has a name of its own and shares the target folder, in which only the
/// product's own crates and what `fail` changes are compiled a second time.
pub fn with_failpoints() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| build_once_per_run("rolecall-failpoints", &["--features", "rolecall/failpoints"]))
}

fn build_once_per_run(name: &str, features: &[&str]) -> PathBuf {
    let Some(run) = std::env::var_os("NEXTEST_RUN_ID") else { return build(name, features) };
    let folder = profile_folder();
    let lock = File::create(folder.join("rolecall-tests.lock")).expect("the target folder can be written");
    lock.lock().expect("a file can be locked");
    // One file that names the latest run: nothing piles up, and another run's mark is no mark.
    let marker = folder.join(format!("{name}-tests.built"));
    let expected = format!("{}\n", run.to_string_lossy());
    if let Ok(text) = std::fs::read_to_string(&marker)
        && let Some(path) = text.strip_prefix(&expected)
    {
        return PathBuf::from(path);
    }
    let path = build(name, features);
    std::fs::write(&marker, format!("{expected}{}", path.display())).expect("the marker can be written");
    path
}

/// Builds and asks Cargo where it put the result, rather than guessing.
fn build(name: &str, features: &[&str]) -> PathBuf {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
        // The whole workspace's features, as `cargo test --workspace` has them: for the package alone Cargo would
        // build some dependencies once more.
        .args(["build", "--locked", "--quiet", "--workspace", "--bin", name])
        .args(features)
        .args(["--message-format", "json-render-diagnostics", "--profile", &profile()])
        .current_dir(checkout())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("cannot run cargo: {error}"));
    assert!(output.status.success(), "cargo cannot build {name}: {}", output.status);
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name && message["target"]["kind"][0] == "bin")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo says where the binary is")
}

/// The folder of the profile this code was built in: it lies in `target/debug/deps`, or `target/release`, …
fn profile_folder() -> PathBuf {
    let own = std::env::current_exe().expect("a running program has a path");
    let folder = own.ancestors().skip(1).find(|folder| !folder.ends_with("deps"));
    folder.expect("a program lies in a folder").to_owned()
}

fn profile() -> String {
    match profile_folder().file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => "dev".to_owned(),
        Some(name) => name.to_owned(),
    }
}
