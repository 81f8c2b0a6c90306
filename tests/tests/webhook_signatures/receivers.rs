//! The receivers of the document, run and asked over HTTP.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rolecall_tests::eventually;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

use crate::case::{Keys, Webhook};
use crate::document::block;
use crate::libraries::verifiers;
use crate::receiver_in_rust;

const PATIENCE: Duration = Duration::from_secs(30);

/// Sends one and returns the status.
async fn send(http: &reqwest::Client, address: SocketAddr, webhook: &Webhook) -> u16 {
    let mut request = http.post(format!("http://{address}/")).header("content-type", "application/json");
    for (name, value) in webhook.headers.pairs() {
        request = request.header(name, value);
    }
    let answer = request.body(webhook.body.clone()).send().await.expect("the receiver answers");
    answer.status().as_u16()
}

/// Takes what it has to take and refuses the rest, and still takes it afterwards.
async fn prove(address: SocketAddr, keys: &Keys) {
    // A connection each, as Rolecall has it.
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(PATIENCE);
    let http = http.build().expect("a client");
    let up = async || TcpStream::connect(address).await.ok();
    drop(eventually("the receiver to listen", PATIENCE, up).await);
    for (what, webhook) in keys.good() {
        assert_eq!(send(&http, address, &webhook).await, 200, "{what}");
    }
    for (what, webhook) in keys.bad() {
        assert_eq!(send(&http, address, &webhook).await, 401, "{what}");
    }
    let bare = http.post(format!("http://{address}/")).body("{}").send().await.expect("the receiver answers");
    assert_eq!(bare.status(), 401);
    assert_eq!(send(&http, address, &Webhook::signed(&[&keys.hmac, &keys.ed25519])).await, 200);
}

/// A program of the document. Dropped, it is killed.
struct Program {
    child: Child,
    _dir: TempDir,
}

impl Program {
    /// Listens on `port`, which is free.
    fn start(program: &Path, name: &str, code: &str, keys: &Keys, port: u16) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join(name), code).expect("a file can be written");
        let child = Command::new(program)
            .arg(name)
            .current_dir(dir.path())
            .env("PORT", port.to_string())
            .env("WEBHOOK_KEYS", &*keys.hmac.to_text())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it can be run");
        Self { child, _dir: dir }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails only for a process that has ended, which is what is wanted.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_receiver_in_python_takes_what_is_signed_and_nothing_else() {
    let (keys, address) = (Keys::generate(), free_port());
    let python = verifiers().join(".venv/bin/python");
    let _program = Program::start(&python, "receiver.py", &block("Python", "python"), &keys, address.port());
    prove(address, &keys).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_receiver_in_node_takes_what_is_signed_and_nothing_else() {
    verifiers();
    let (keys, address) = (Keys::generate(), free_port());
    let code = block("Node.js", "js");
    let _program = Program::start(Path::new("node"), "receiver.mjs", &code, &keys, address.port());
    prove(address, &keys).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_receiver_in_rust_takes_what_is_signed_and_nothing_else() {
    let keys = Keys::generate();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let app = receiver_in_rust::app(receiver_in_rust::keys(&keys.hmac.to_text()).expect("a key"));
    TaskTracker::new().spawn(async move { axum::serve(listener, app).await });
    prove(address, &keys).await;
}

/// One process for each connection, as inetd does it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_receiver_in_shell_takes_what_is_signed_and_nothing_else() {
    verifiers();
    let keys = Keys::generate();
    let dir = tempfile::tempdir().expect("a folder");
    let script = dir.path().join("receiver.sh");
    std::fs::write(&script, block("Shell", "bash")).expect("a file can be written");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let public_key = keys.ed25519.verifying().to_text().to_string();
    let is_over = Arc::new(AtomicBool::new(false));
    let inetd = std::thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let output = stream.try_clone().expect("a socket can be shared");
                let status = Command::new("bash")
                    .arg(&script)
                    .env("WEBHOOK_PUBLIC_KEY", &public_key)
                    .stdin(OwnedFd::from(stream))
                    .stdout(OwnedFd::from(output))
                    .stderr(Stdio::null())
                    .status();
                status.expect("bash can be run");
            }
        }
    });
    prove(address, &keys).await;
    is_over.store(true, Ordering::SeqCst);
    drop(std::net::TcpStream::connect(address));
    inetd.join().expect("it ends");
}
