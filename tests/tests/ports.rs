//! Nothing of ours uses a server's default port: whoever runs these tests may have servers of their own there.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

use rolecall_tests::{Running, Stack};
use serde_json::json;

/// PostgreSQL, RabbitMQ, Redis, and the port mapper of RabbitMQ's runtime.
const DEFAULT_PORTS: [u16; 4] = [5432, 5672, 6379, 4369];

#[tokio::test]
async fn neither_servers_nor_processes_use_a_default_port() {
    // Listeners on these ports, as another stack would have; and whoever connects to them is seen.
    let traps: Vec<_> = DEFAULT_PORTS.into_iter().filter_map(trap).collect();
    let own = OwnStack::up();

    let rolecall = Running::on(own.stack(), "ports").await;
    let target = rolecall.target(1);
    let role = rolecall.role("ada");
    let job = json!({ "operation": "create_role", "kind": "devqa", "username": role,
                      "env": "dev", "database": target.database });
    let ended = rolecall.client.run(&job).await.expect_outcome("created");
    let secret = rolecall.client.take_secret(&ended.id()).await.expect(200);
    assert!(target.accepts(&role, secret.text("password")).await);

    for trap in &traps {
        let visitor = trap.accept().map(|(_, from)| from).map_err(|error| error.kind());
        assert_eq!(visitor, Err(ErrorKind::WouldBlock), "somebody connected to {trap:?}");
    }
    for (name, value) in rolecall.environment() {
        let is_named = DEFAULT_PORTS.iter().any(|port| value.contains(&format!(":{port}")));
        assert!(!is_named, "{name} names a default port");
    }
    let mut pids = own.pids();
    assert!(pids.len() >= 5, "a broker, Redis and three clusters: {pids:?}");
    pids.extend([rolecall.api.pid(), rolecall.worker.pid()]);
    let used = ports_of(&pids);
    assert!(used.contains(&target.port), "the sockets of {pids:?} were not found: {used:?}");
    for port in DEFAULT_PORTS {
        assert!(!used.contains(&port), "{port} is used, among {used:?}");
    }
}

/// A listener that must not be visited; none where another server has the port.
fn trap(port: u16) -> Option<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
    listener.set_nonblocking(true).expect("a listener can be asked without waiting");
    Some(listener)
}

/// A stack that is started while the traps are set, and ended with the test.
struct OwnStack {
    stack: Stack,
    _dir: tempfile::TempDir,
}

impl OwnStack {
    fn up() -> Self {
        let dir = tempfile::Builder::new().prefix("rolecall-ports-").tempdir().expect("a temporary folder");
        Self { stack: Stack::up(&dir.path().join("stack")), _dir: dir }
    }

    fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The main processes of its servers: `stack status` ends its lines with them.
    fn pids(&self) -> Vec<u32> {
        let status = self.stack.run(&["status"]);
        let words = status.lines().flat_map(|line| line.split_whitespace().skip(3));
        words.filter_map(|word| word.parse().ok()).collect()
    }
}

impl Drop for OwnStack {
    fn drop(&mut self) {
        self.stack.run(&["down"]);
    }
}

/// The ports of all TCP sockets of these processes, on both ends.
fn ports_of(pids: &[u32]) -> BTreeSet<u16> {
    let inodes: BTreeSet<_> = pids.iter().flat_map(|pid| socket_inodes(*pid)).collect();
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .flat_map(|table| {
            table.lines().skip(1).filter_map(|line| ports_of_line(line, &inodes)).collect::<Vec<_>>()
        })
        .flatten()
        .collect()
}

/// proc(5): a table line is `sl local_address rem_address st … inode`, addresses in hexadecimal.
fn ports_of_line(line: &str, inodes: &BTreeSet<String>) -> Option<[u16; 2]> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let port = |address: &str| u16::from_str_radix(address.rsplit_once(':')?.1, 16).ok();
    inodes.contains(*fields.get(9)?).then_some([port(fields[1])?, port(fields[2])?])
}

fn socket_inodes(pid: u32) -> Vec<String> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    files
        .filter_map(|file| std::fs::read_link(file.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect()
}
