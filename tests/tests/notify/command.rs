//! `rolecall notify`.

use std::process::Output;

use rolecall_tests::Installation;
use rolecall_tests::installation::run;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::mail_server::MailServer;
use crate::vendor::{Mood, Room, Vendor};

const FILE: &str = "[notify.channels.dba-room]\ntype = 'slack'\nurl = 'https://hooks.slack.com/services/T0/B0/hunter2'\n\
    [notify.channels.mail]\ntype = 'email'\nsmtp_host = 'mail.example.com'\nsmtp_user = 'u'\nsmtp_password = 'hunter2'\n\
    from = 'rolecall@example.com'\nto = ['dba@example.com']\n\
    [notify.channels.teams]\ntype = 'webhook'\nurl = 'https://x.example.com/?sig=hunter2'\ntoken = 'hunter2'\n\
    [notify.rules.failed]\nevents = ['ticket.failed']\nenvs = ['prod']\nchannels = ['dba-room', 'mail']\n\
    [notify.rules.hosts]\nevents = ['host.*']\nchannels = ['dba-room']\ntemplate = 'Look at {host}!'\n\
    [notify.rules.dbas]\nevents = ['ticket.succeeded']\nkinds = ['dba']\nchannels = ['mail']\n";

/// A configuration that has nothing but notifications.
struct Configured(TempDir);

impl Configured {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("rolecall.toml"), text).expect("a file can be written");
        Self(dir)
    }

    fn notify(&self, arguments: &[&str]) -> Output {
        let output =
            run(&std::collections::BTreeMap::new(), self.0.path(), &[&["notify"][..], arguments].concat());
        let text = [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat();
        assert!(!text.contains("hunter2"), "a secret is in {text}");
        output
    }

    fn told(&self, arguments: &[&str]) -> (String, Option<i32>) {
        let output = self.notify(arguments);
        (String::from_utf8(output.stdout).expect("text"), output.status.code())
    }

    fn json(&self, arguments: &[&str]) -> (Value, Option<i32>) {
        let output = self.notify(&[arguments, &["--json"]].concat());
        (serde_json::from_slice(&output.stdout).expect("JSON"), output.status.code())
    }
}

#[test]
fn channels_and_rules_are_listed_without_what_opens_them() {
    let configured = Configured::new(FILE);
    let (text, code) = configured.told(&["list"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        text,
        "channel dba-room (slack): https://hooks.slack.com\n\
         channel mail (email): mail.example.com:587, to dba@example.com\n\
         channel teams (webhook): https://x.example.com\n\
         rule dbas: ticket.succeeded, kinds dba -> mail\n\
         rule failed: ticket.failed, envs prod -> dba-room mail\n\
         rule hosts: host.paused host.resumed host.unreachable host.recovered -> dba-room\n"
    );
    let (listed, _) = configured.json(&["list"]);
    assert_eq!(listed["channels"][0]["type"], "slack");
    assert_eq!(listed["rules"][2]["template"], "Look at {host}!");
    let (none, code) = Configured::new("").told(&["list"]);
    assert!(none.starts_with("there is no channel and no rule") && code == Some(0), "{none}");
}

#[test]
fn an_explanation_says_which_rules_match_and_why_not() {
    let configured = Configured::new(FILE);
    let (text, code) = configured.told(&["explain", "ticket.failed", "--env", "prod", "--kind", "app"]);
    assert_eq!(code, Some(0));
    assert_eq!(
        text,
        "dbas does not match: the event is not among its events\n\
         failed matches -> dba-room mail\n    \
         create_role of web_8080 on prod/app failed: role_not_found. \
         /api/v2/tickets/00000000-0000-0000-0000-000000000000\n\
         hosts does not match: the event is not among its events\n"
    );
    for (arguments, matching, reason) in [
        (&["explain", "ticket.failed", "--env", "dev"][..], None, "the environment is not among its envs"),
        (&["explain", "ticket.failed"], None, "the environment is not among its envs"),
        (&["explain", "ticket.succeeded", "--kind", "app"], None, "the kind is not among its kinds"),
        (&["explain", "ticket.succeeded", "--kind", "dba"], Some("dbas"), ""),
        (&["explain", "host.paused", "--env", "dev"], Some("hosts"), ""),
    ] {
        let (said, code) = configured.json(arguments);
        let rules = said["rules"].as_array().expect("rules");
        let matches: Vec<_> = rules.iter().filter(|rule| rule["matches"] == true).collect();
        assert_eq!(code, Some(i32::from(matching.is_none())), "{said}");
        match matching {
            Some(name) => assert!(matches.len() == 1 && matches[0]["rule"] == name, "{said}"),
            None => {
                assert!(matches.is_empty() && rules.iter().any(|rule| rule["reason"] == reason), "{said}");
            }
        }
    }
    let (said, _) = configured.json(&["explain", "host.paused"]);
    assert_eq!(said["rules"][2]["text"], "Look at db1.example.com:5432!");
    assert_eq!(configured.notify(&["explain", "login.failed"]).status.code(), Some(2));
}

// The command is waited for while the rooms of this process answer it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_message_comes_and_its_answer_is_told() {
    let (slack, mut mail) = (Room::open(Vendor::Slack).await, MailServer::start());
    let certificate = mail.certificate().display().to_string();
    let installation = Installation::builder("notify-test")
        .set("notify.channels.room.type", "slack")
        .set("notify.channels.room.url", slack.url())
        .set("notify.channels.room.trusted", "true")
        .set("notify.channels.mail.type", "email")
        .set("notify.channels.mail.smtp_host", "localhost")
        .set("notify.channels.mail.smtp_port", mail.port("starttls"))
        .set("notify.channels.mail.smtp_ca_file", certificate)
        .set("notify.channels.mail.smtp_user", "rolecall")
        .set("notify.channels.mail.smtp_password", "in-and-out")
        .set("notify.channels.mail.from", "rolecall@example.com")
        .set("notify.channels.mail.to", "ada@example.com,nobody@example.com")
        .create()
        .await;
    let test = |arguments: &[&str]| {
        let output = installation.run(&[&["notify", "test"][..], arguments].concat());
        let text = [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat();
        assert!(!text.contains("slack-token") && !text.contains("in-and-out"), "{text}");
        (text, output.status.code())
    };
    assert_eq!(test(&["room"]), ("room (slack) took it: 200 ok\n".to_owned(), Some(0)));
    assert_eq!(slack.text(), "This is a test message of Rolecall.");
    let refused =
        "mail (email) took it: 250 2.0.0 Queued as 4711; refused: 550 5.1.1 There is no such mailbox\n";
    assert_eq!(test(&["mail"]), (refused.to_owned(), Some(0)));
    assert_eq!(mail.takes().header("Subject"), "[Rolecall] webhook.ping");
    slack.is(Mood::Busy);
    assert_eq!(test(&["room"]), ("room (slack) did not take it: 429 rate_limited\n".to_owned(), Some(1)));
    let (said, code) = test(&["room", "--json"]);
    let said: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((&said["taken"], &said["retry_after_seconds"], code), (&json!(false), &json!(30), Some(1)));
    let (said, code) = test(&["rom"]);
    assert_eq!(
        (said.as_str(), code),
        ("rolecall: there is no channel rom; `rolecall notify list` names them\n", Some(1))
    );
}
