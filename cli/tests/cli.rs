//! The binary from outside: help, output, exit codes. What needs servers is tested in the crate `rolecall-tests`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Runs the binary in an empty folder with these variables and no others.
fn rolecall(dir: &Path, args: &[&str], variables: &[(&str, &str)]) -> Output {
    rolecall_with_input(dir, args, variables, "")
}

fn rolecall_with_input(dir: &Path, args: &[&str], variables: &[(&str, &str)], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rolecall"))
        .args(args)
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Not every command reads its input; then the pipe is closed, which is no matter.
    _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A configuration that the services accept; the servers in it do not exist.
fn complete(dir: &Path, listen: &str) -> String {
    let file = dir.join("complete.toml");
    let key_file = dir.join("seal.keys");
    std::fs::write(&key_file, "").unwrap();
    let text = format!(
        "[api]\nlisten = '{listen}'\n[worker]\nlisten = '{listen}'\n\
         [rabbitmq]\nurl = 'amqp://u:p@127.0.0.1:1/%2f'\n[redis]\nurl = 'redis://127.0.0.1:1'\n\
         [control]\nurl = 'postgresql://w:p@127.0.0.1:1/rolecall'\n[seal]\nkey_file = '{}'\n",
        key_file.display()
    );
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn every_command_has_help_and_a_version() {
    let dir = folder();
    let commands: [&[&str]; 16] = [
        &[],
        &["api"],
        &["worker"],
        &["serve"],
        &["migrate"],
        &["keys", "add"],
        &["keys", "list"],
        &["keys", "retire"],
        &["dead", "list"],
        &["dead", "show"],
        &["dead", "replay"],
        &["dead", "drop"],
        &["accounts", "create"],
        &["config", "sample"],
        &["config", "check"],
        &["version"],
    ];
    for command in commands {
        let help = rolecall(dir.path(), &[command, &["--help"]].concat(), &[]);
        assert_eq!(help.status.code(), Some(0), "{command:?}");
        assert!(stdout(&help).contains("--config <FILE>"), "{command:?}");
        let version = rolecall(dir.path(), &[command, &["--version"]].concat(), &[]);
        assert_eq!(version.status.code(), Some(0), "{command:?}");
        assert!(stdout(&version).contains(env!("CARGO_PKG_VERSION")), "{command:?}");
    }
    let help = stdout(&rolecall(dir.path(), &["--help"], &[]));
    for code in ["Exit codes:", "  78  ", "  130  ", "  143  "] {
        assert!(help.contains(code.trim_end()), "{code} in {help}");
    }
}

#[test]
fn the_version_is_readable_by_scripts() {
    let dir = folder();
    let version = json(&rolecall(dir.path(), &["version", "--json"], &[]));
    assert_eq!(version["name"], "rolecall");
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let dir = folder();
    let wrong: [&[&str]; 4] = [
        &[],
        &["provision"],
        &["keys", "retire"],
        &["accounts", "create", "ci", "--password-stdin", "--password-file", "x"],
    ];
    for args in wrong {
        let output = rolecall(dir.path(), args, &[]);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn the_sample_is_the_committed_one() {
    let dir = folder();
    let sample = rolecall(dir.path(), &["config", "sample"], &[]);
    let committed =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/rolecall.sample.toml"));
    assert!(stdout(&sample) == committed.unwrap(), "rolecall config sample > docs/rolecall.sample.toml");
}

#[test]
fn all_configuration_faults_come_at_once_with_exit_code_78() {
    let dir = folder();
    std::fs::write(dir.path().join("rolecall.toml"), "[worker]\nlanse = 1\nbatch = 65\n").unwrap();
    let variables = [("ROLECALL__REDIS__URL", "http://u:hunter2@h"), ("ROLECALL__WROKER", "1")];
    for command in [&["config", "check"][..], &["api"], &["worker"], &["serve"]] {
        let output = rolecall(dir.path(), command, &variables);
        assert_eq!(output.status.code(), Some(78), "{command:?}");
        let text = stderr(&output);
        for part in [
            "7 faults in the configuration",
            "worker.lanse: there is no such key; did you mean worker.lanes?",
            "ROLECALL__WROKER: there is no key wroker",
            "worker.batch: must be",
            "rabbitmq.url: is missing",
            "redis.url: must have the form",
            "control.url: is missing",
            "`rolecall keys add`",
            "`rolecall config sample`",
        ] {
            assert!(text.contains(part), "{command:?}: {part} in {text}");
        }
        assert!(!text.contains("hunter2"), "{text}");
    }
    let output = rolecall(dir.path(), &["config", "check", "--json"], &variables);
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(json(&output)["faults"].as_array().unwrap().len(), 7);
}

#[test]
fn a_named_file_must_exist_and_the_usual_one_need_not() {
    let dir = folder();
    for (args, variables) in [
        (&["--config", "none.toml", "config", "check"][..], &[][..]),
        (&["config", "check", "--config", "none.toml"], &[]),
        (&["config", "check"], &[("ROLECALL_CONFIG", "none.toml")]),
    ] {
        let output = rolecall(dir.path(), args, variables);
        assert_eq!(output.status.code(), Some(78), "{args:?}");
        assert!(stderr(&output).contains("none.toml: cannot be read"), "{args:?}");
    }
    let complete = complete(dir.path(), "127.0.0.1:0");
    let output = rolecall(dir.path(), &["config", "check"], &[("ROLECALL_CONFIG", &complete)]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), "ok\n"));
    std::fs::rename(complete, dir.path().join("rolecall.toml")).unwrap();
    let output = rolecall(dir.path(), &["config", "check", "--json"], &[]);
    assert_eq!(json(&output)["ok"], true);
}

#[test]
fn keys_need_the_key_file_only() {
    let dir = folder();
    let key_file = dir.path().join("seal.keys");
    let variables = [("ROLECALL__SEAL__KEY_FILE", key_file.to_str().unwrap())];
    let keys = |args: &[&str]| rolecall(dir.path(), &[&["keys"], args, &["--json"]].concat(), &variables);

    let first = json(&keys(&["add"]))["id"].as_str().unwrap().to_owned();
    let list = json(&keys(&["list"]));
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!((&list[0]["id"], &list[0]["retired_at"]), (&first.clone().into(), &().into()));

    let refused = keys(&["retire", &first]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).starts_with("rolecall: "), "{}", stderr(&refused));

    let output = rolecall(dir.path(), &["keys", "list"], &[]);
    assert_eq!(output.status.code(), Some(78));
    let text = stderr(&output);
    assert!(text.contains("1 fault in") && text.contains("seal.key_file: is missing"), "{text}");
}

#[test]
fn migrating_needs_the_owner_and_says_so() {
    let dir = folder();
    let variables = [("ROLECALL__CONTROL__URL", "postgresql://w:p@127.0.0.1:1/rolecall")];
    let output = rolecall(dir.path(), &["migrate"], &variables);
    assert_eq!(output.status.code(), Some(78));
    let text = stderr(&output);
    assert!(text.contains("1 fault in") && text.contains("control.owner_url: is missing"), "{text}");
}

#[test]
fn a_weak_password_or_a_bad_name_makes_no_account() {
    let dir = folder();
    let variables = [("ROLECALL__CONTROL__URL", "postgresql://w:p@127.0.0.1:1/rolecall")];
    let create = |name: &str, input: &str| {
        let args = ["accounts", "create", name, "--password-stdin"];
        rolecall_with_input(dir.path(), &args, &variables, input)
    };
    for (name, password, part) in [
        ("ci", "hunter2\n", "fewer than 12 characters"),
        ("ci", "", "fewer than 12 characters"),
        ("cli:root", "correct horse battery\n", "without spaces, colons"),
    ] {
        let output = create(name, password);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let text = stderr(&output);
        assert!(text.contains(part) && !text.contains("hunter2"), "{text}");
        assert!(output.stdout.is_empty());
    }
    let args = ["accounts", "create", "ci", "--password-file", "none"];
    let output = rolecall(dir.path(), &args, &variables);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot read none"), "{}", stderr(&output));
    assert_eq!(rolecall(dir.path(), &args, &[]).status.code(), Some(78));
}

#[test]
fn a_taken_port_is_named_with_its_key() {
    let dir = folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let file = complete(dir.path(), &address);
    for (command, key) in [("api", "api.listen"), ("worker", "worker.listen"), ("serve", "api.listen")] {
        let output = rolecall(dir.path(), &[command, "--config", &file], &[]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        let text = stderr(&output);
        assert!(text.contains(&address) && text.contains(key) && text.contains("is taken"), "{text}");
    }
}

#[test]
fn the_dead_queue_is_not_touched_by_mistake() {
    let dir = folder();
    let file = complete(dir.path(), "127.0.0.1:0");
    for wrong in [
        &["dead", "replay"][..],
        &["dead", "replay", "x", "--all"],
        &["dead", "drop"],
        &["dead", "drop", "--all"],
        &["dead", "list", "--limit", "0"],
        &["dead", "list", "--limit", "10001"],
    ] {
        assert_eq!(rolecall(dir.path(), wrong, &[]).status.code(), Some(2), "{wrong:?}");
    }
    // A broker that is away is said, and not waited for any longer than the configuration allows.
    let impatient = [("ROLECALL__RABBITMQ__TIMEOUT_MILLISECONDS", "300")];
    let output = rolecall(dir.path(), &["dead", "list", "--config", &file], &impatient);
    assert_eq!((output.status.code(), stdout(&output)), (Some(1), String::new()));
    assert!(stderr(&output).contains("RabbitMQ cannot be reached"), "{}", stderr(&output));
}
