//! The mail server `tests/mail-server/server.py`, with a certificate of a test's own.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rolecall_tests::stack::checkout;
use serde_json::Value;
use tempfile::TempDir;

/// Who may log in, and with what.
pub(crate) const LOGIN: &str = "smtp_user = 'rolecall'\nsmtp_password = 'in-and-out'";

/// A running server. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct MailServer {
    child: Child,
    output: BufReader<ChildStdout>,
    ports: Value,
    dir: TempDir,
    // It ends when this is closed, also if the test is killed.
    _input: ChildStdin,
}

/// A mail that was taken.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Envelope and session.
    pub(crate) facts: Value,
    /// Head and body.
    pub(crate) mail: String,
}

impl MailServer {
    /// Starts it on free ports; its certificate is for `localhost` and no address.
    pub(crate) fn start() -> Self {
        install();
        let dir = tempfile::tempdir().expect("a folder");
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let (certificate, key) = (dir.path().join("ca.pem"), dir.path().join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).expect("a file can be written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("a file can be written");
        let folder = checkout().join("tests/mail-server");
        let mut child = Command::new(folder.join(".venv/bin/python"))
            .arg(folder.join("server.py"))
            .args([&certificate, &key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Python can be run");
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let mut output = BufReader::new(output);
        let ports = said(&mut output);
        Self { child, output, ports, dir, _input: input }
    }

    /// A channel that leads to one of its listeners: `starttls`, `implicit` or `plain`.
    pub(crate) fn channel(&self, listener: &str, more: &str) -> String {
        self.channel_to("localhost", listener, more, "['Ada <ada@example.com>']")
    }

    pub(crate) fn channel_to(&self, host: &str, listener: &str, more: &str, to: &str) -> String {
        let (port, tls) = (&self.ports[listener], if listener == "plain" { "none" } else { listener });
        format!(
            "type = 'email'\nsmtp_host = '{host}'\nsmtp_port = {port}\nsmtp_tls = '{tls}'\n\
             from = 'Rolecall <rolecall@example.com>'\nto = {to}\n{more}"
        )
    }

    /// Trusts this server's certificate, and logs in.
    pub(crate) fn trusted(&self) -> String {
        format!("smtp_ca_file = '{}'\n{LOGIN}", self.certificate().display())
    }

    pub(crate) fn certificate(&self) -> std::path::PathBuf {
        self.dir.path().join("ca.pem")
    }

    pub(crate) fn port(&self, listener: &str) -> String {
        self.ports[listener].to_string()
    }

    /// The next mail that it takes.
    pub(crate) fn takes(&mut self) -> Taken {
        let facts = said(&mut self.output);
        let mail = STANDARD.decode(facts["mail"].as_str().expect("a mail")).expect("base64");
        Taken { facts, mail: String::from_utf8(mail).expect("text") }
    }
}

impl Taken {
    /// A header's value, unfolded; empty if there is none.
    pub(crate) fn header(&self, name: &str) -> String {
        let (head, _) = self.mail.split_once("\r\n\r\n").expect("a head");
        let mut lines: VecDeque<_> = head.lines().collect();
        while let Some(line) = lines.pop_front() {
            let Some(value) = line.strip_prefix(&format!("{name}: ")) else { continue };
            let folded = lines.iter().take_while(|line| line.starts_with(' ')).map(|line| line.trim_start());
            return std::iter::once(value).chain(folded).collect::<Vec<_>>().join(" ");
        }
        String::new()
    }

    pub(crate) fn body(&self) -> &str {
        self.mail.split_once("\r\n\r\n").expect("a body").1.trim_end()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        // Fails only for a process that has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn said(output: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    output.read_line(&mut line).expect("it says what it does");
    serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line:?}"))
}

/// Once per process; the script itself is repeatable and lets one in at a time.
fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let script: &Path = &checkout().join("tests/mail-server/install");
        let status = Command::new(script).stdin(Stdio::null()).status().expect("the script can be run");
        assert!(status.success(), "tests/mail-server/install: {status}; its own message says why");
    });
}
