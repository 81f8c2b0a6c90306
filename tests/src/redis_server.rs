//! A Redis that belongs to one test, which may stop, freeze and restart it. It ends with the test.

#![expect(clippy::expect_used, reason = "without its server a test can only end")]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// The server, its port and its folder.
pub struct RedisServer {
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
}

impl RedisServer {
    /// A server that has a port and is not started.
    ///
    /// # Panics
    /// When there is no free port or no folder for it.
    pub fn down() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            port: port.expect("a free port").port(),
            process: None,
        }
    }

    /// A server that is started. It may need a moment until it answers.
    pub fn up() -> Self {
        let mut server = Self::down();
        server.start();
        server
    }

    /// Where it listens, when it does.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Starts it, with the data it had.
    ///
    /// # Panics
    /// When there is no `redis-server`.
    pub fn start(&mut self) {
        let child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        self.process = Some(child.expect("redis-server starts"));
    }

    /// Kills it at once.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("killed");
            process.wait().expect("ended");
        }
    }

    /// Sends it a signal: `STOP` freezes it with its connections open, `CONT` lets it go on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal(&self, signal: &str) {
        let pid = self.process.as_ref().expect("it runs").id();
        let sent = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // A frozen process dies of SIGKILL too.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
