//! `standardwebhooks` of two registries for `v1`, `PyNaCl` and `node:crypto` for `v1a`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rolecall_tests::stack::checkout;
use serde_json::json;

use crate::case::{Keys, Webhook};

/// The folder of the verifiers, with what they need installed.
pub fn verifiers() -> PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    let install = || {
        let folder = checkout().join("tests/webhook-verifiers");
        let status = Command::new(folder.join("install")).stdin(Stdio::null()).status();
        let status = status.expect("the script can be run");
        assert!(status.success(), "tests/webhook-verifiers/install: {status}; its own message says why");
        folder
    };
    INSTALLED.get_or_init(install).clone()
}

/// Asks a verifier about each case; the answers must be as expected.
fn ask(mut command: Command, cases: &[(String, String, Webhook, bool)]) {
    let mut child = command
        .current_dir(verifiers())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the verifier can be run");
    let mut input = child.stdin.take().expect("a pipe");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    for (what, key, webhook, expected) in cases {
        let headers: serde_json::Map<_, _> = webhook
            .headers
            .pairs()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        let line = json!({ "key": key, "headers": headers, "body": webhook.body });
        writeln!(input, "{line}").expect("it reads");
        let answer = output.next().expect("it answers").expect("in UTF-8");
        assert_eq!(answer, expected.to_string(), "{what}, with {}", &key[..6]);
    }
    drop(input);
    assert!(child.wait().expect("it ends").success());
}

/// Every case with the keys that a receiver would have.
fn cases() -> Vec<(String, String, Webhook, bool)> {
    let keys = Keys::generate();
    let mut cases = Vec::new();
    let mut add = |what: &str, key: &rolecall_shared::seal::WebhookKey, webhook: &Webhook, expected: bool| {
        cases.push((what.to_owned(), key.verifying().to_text().to_string(), webhook.clone(), expected));
    };
    for (what, webhook) in keys.good() {
        add(what, &keys.hmac, &webhook, true);
        add(what, &keys.ed25519, &webhook, true);
        add(what, &keys.others[0], &webhook, false);
        add(what, &keys.others[1], &webhook, false);
    }
    let rotating = Webhook::signed(&[&keys.hmac, &keys.ed25519, &keys.old_hmac, &keys.old_ed25519]);
    for key in [&keys.hmac, &keys.ed25519, &keys.old_hmac, &keys.old_ed25519] {
        add("rotation", key, &rotating, true);
        add("one signature", key, &Webhook::signed(&[key]), true);
    }
    add("the other kind", &keys.hmac, &Webhook::signed(&[&keys.ed25519]), false);
    add("the other kind", &keys.ed25519, &Webhook::signed(&[&keys.hmac]), false);
    for (what, webhook) in keys.bad() {
        // The libraries leave ids to their callers, and `PyNaCl` and `node:crypto` know of no time.
        let is_about_id = what == "a full stop in the id";
        let is_about_time = what.starts_with("six minutes");
        if !is_about_id {
            add(what, &keys.hmac, &webhook, false);
        }
        if !is_about_id && !is_about_time && !what.contains("signatures") {
            add(what, &keys.ed25519, &webhook, false);
        }
    }
    cases
}

#[test]
fn libraries_in_python_verify_what_we_sign_and_nothing_else() {
    let mut command = Command::new(verifiers().join(".venv/bin/python"));
    command.arg("verify.py");
    ask(command, &cases());
}

#[test]
fn libraries_in_node_verify_what_we_sign_and_nothing_else() {
    let mut command = Command::new("node");
    command.arg("verify.mjs");
    ask(command, &cases());
}
