//! `rolecall webhooks listen`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Lines, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use rolecall_tests::{binary, installation};
use serde_json::Value;
use tempfile::TempDir;

use crate::case::{BODY, Keys, Webhook};

/// A running listener.
struct Listening {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
    http: reqwest::Client,
    _dir: TempDir,
}

impl Listening {
    fn start(keys: &str, arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut child = command(&dir, keys, arguments).spawn().expect("the binary can be run");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let first = lines.next().expect("it says where it listens").expect("in UTF-8");
        let at = first.find("http://").unwrap_or_else(|| panic!("{first}"));
        let url = first[at..].split(['"', ' ']).next().unwrap_or_default().to_owned();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { child, lines, url, http, _dir: dir }
    }

    async fn send(&self, webhook: &Webhook) -> (u16, String) {
        let mut request = self.http.post(format!("{}/hook", self.url));
        for (name, value) in webhook.headers.pairs() {
            request = request.header(name, value);
        }
        let answer = request.body(webhook.body.clone()).send().await.expect("it answers");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("a line").expect("in UTF-8")
    }

    fn json(&mut self) -> Value {
        serde_json::from_str(&self.line()).expect("JSON")
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Fails only for a process that has ended, which is what is wanted.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn command(dir: &TempDir, keys: &str, arguments: &[&str]) -> Command {
    let variables = [("ROLECALL_WEBHOOK_KEYS".to_owned(), keys.to_owned())];
    let variables: BTreeMap<_, _> = variables.into_iter().filter(|(_, keys)| !keys.is_empty()).collect();
    let mut command = installation::command_of(binary::rolecall(), &variables, dir.path());
    command.args(["webhooks", "listen", "--port", "0"]).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[tokio::test]
async fn it_says_of_each_webhook_whether_it_can_be_believed() {
    let keys = Keys::generate();
    let texts = format!("{} {}", *keys.hmac.to_text(), *keys.ed25519.verifying().to_text());
    let (good, bad) = (keys.good(), keys.bad());
    let count = (good.len() + bad.len()).to_string();
    let mut listening = Listening::start(&texts, &["--json", "--count", &count]);
    for (at, (what, webhook)) in good.iter().enumerate() {
        assert_eq!(listening.send(webhook).await, (200, String::new()), "{what}");
        let line = listening.json();
        assert_eq!(line["verified"], true, "{what}: {line}");
        assert_eq!((&line["fault"], line["path"].as_str()), (&Value::Null, Some("/hook")));
        assert_eq!(line["seen_before"], at > 0, "{what}");
        assert_eq!(line["body"], serde_json::from_str::<Value>(BODY).expect("JSON"));
        assert_eq!(line["id"], webhook.headers.id.as_str());
    }
    for (what, webhook) in bad {
        let (status, text) = listening.send(&webhook).await;
        assert_eq!(status, 401, "{what}");
        let line = listening.json();
        assert_eq!(line["verified"], false, "{what}: {line}");
        assert!(line["fault"]["code"].is_string(), "{line}");
        assert_eq!(line["fault"]["detail"], text.trim_end(), "{what}");
    }
    assert!(listening.child.wait().expect("it ends").success(), "after so many it ends well");
}

#[tokio::test]
async fn it_answers_as_it_is_told_and_needs_no_key() {
    let keys = Keys::generate();
    let mut listening = Listening::start("", &["--answer", "503", "--count", "1"]);
    let webhook = Webhook::signed(&[&keys.hmac]).with(|webhook| webhook.body = "\u{1b}[2J plain".to_owned());
    assert_eq!(listening.send(&webhook).await, (503, String::new()));
    let line = listening.line();
    assert!(line.ends_with("/hook msg_00000000000000000000000012345678 not verified: no key"), "{line}");
    assert_eq!(listening.line(), "\\u{1b}[2J plain");
    assert!(listening.child.wait().expect("it ends").success());
}

#[tokio::test]
async fn keys_are_read_from_a_file() {
    let keys = Keys::generate();
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("keys");
    std::fs::write(&file, format!("\n{}\n", *keys.ed25519.verifying().to_text())).expect("a file");
    let file = file.to_str().expect("a path");
    let listening = Listening::start("", &["--key-file", file, "--json"]);
    assert_eq!(listening.send(&Webhook::signed(&[&keys.ed25519])).await.0, 200);
    assert_eq!(listening.send(&Webhook::signed(&[&keys.hmac])).await.0, 401);
}

#[test]
fn a_key_that_is_none_is_refused_and_not_repeated() {
    let keys = Keys::generate();
    let dir = tempfile::tempdir().expect("a folder");
    let private = keys.ed25519.to_text();
    for (key, says) in [(private.as_str(), "whpk_"), ("whsec_0123456789", "base64"), ("secret", "whsec_")] {
        let mut child = command(&dir, key, &[]).spawn().expect("the binary can be run");
        let mut text = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut text).expect("in UTF-8");
        assert_eq!(child.wait().expect("it ends").code(), Some(1));
        assert!(text.contains(says), "{text}");
        assert!(!text.contains(&key[6..]) || key == "secret", "{text}");
    }
}
