//! One process of Rolecall: started, asked whether it is ready, ended well or suddenly.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use crate::eventually::within;
use crate::{binary, installation};

/// How long a process may take to be ready, and to end.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `rolecall api`
    Api,
    /// `rolecall worker`
    Worker,
    /// `rolecall serve`: both
    Serve,
}

impl Role {
    /// The command.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Serve => "serve",
        }
    }
}

/// A running process. Dropped, it is killed; if the test is failing by then, the end of its log is printed, which is
/// why the panics here do not show it.
#[derive(Debug)]
pub struct Process {
    role: Role,
    child: Mutex<Child>,
    pid: u32,
    log: PathBuf,
    // Looked up in the log once, which gets longer with every request.
    url: OnceLock<String>,
    http: reqwest::Client,
}

impl Process {
    /// Starts it with these variables; its log goes to a file in `dir`.
    pub fn spawn(role: Role, environment: &BTreeMap<String, String>, dir: &Path) -> Self {
        Self::spawn_binary(binary::rolecall(), role, environment, dir)
    }

    /// The same with another binary of the product.
    pub fn spawn_binary(
        binary: &Path,
        role: Role,
        environment: &BTreeMap<String, String>,
        dir: &Path,
    ) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let log = dir.join(format!("{}-{number}.log", role.as_str()));
        let file = File::create(&log).expect("the log can be written");
        let child = installation::command_of(binary, environment, dir)
            .arg(role.as_str())
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file can be shared"))
            .stderr(file)
            .spawn()
            .expect("the binary can be run");
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a plain client");
        Self { role, pid: child.id(), child: Mutex::new(child), log, url: OnceLock::new(), http }
    }

    /// Waits for `/readyz` to answer 200.
    pub async fn ready(&self) {
        let is_ready = || async {
            self.assert_runs();
            let url = format!("{}/readyz", self.find_url()?);
            let answer = self.http.get(url).send().await.ok()?;
            answer.status().is_success().then_some(())
        };
        let is_ready = within(PATIENCE, is_ready).await.is_some();
        assert!(
            is_ready,
            "rolecall {} is not ready after {PATIENCE:?}:\n{}",
            self.role.as_str(),
            self.log_tail()
        );
    }

    fn assert_runs(&self) {
        if let Some(status) = self.has_ended() {
            panic!("rolecall {} ended with {status}", self.role.as_str());
        }
    }

    /// The status it ended with, if it has ended.
    pub fn has_ended(&self) -> Option<ExitStatus> {
        self.child().try_wait().expect("a child can be waited for")
    }

    /// Where it listens, such as `http://127.0.0.1:41234`; it says so in its log.
    pub fn url(&self) -> String {
        self.find_url().expect("the log says where it listens")
    }

    fn find_url(&self) -> Option<String> {
        if let Some(url) = self.url.get() {
            return Some(url.clone());
        }
        let part = match self.role {
            Role::Api | Role::Serve => "api",
            Role::Worker => "worker",
        };
        let url = format!("http://{}", self.address(part)?);
        Some(self.url.get_or_init(|| url).clone())
    }

    /// The address on which a part of it (`api`, `api-tls`, `worker`) listens, once it does.
    pub fn address(&self, part: &str) -> Option<SocketAddr> {
        self.log_text().lines().find_map(|line| listening_address(line, part))
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Everything it logged so far.
    pub fn log_text(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .expect("the log can be read")
    }

    /// The last lines of its log; says so if it cannot be read, since a failing test asks for it.
    pub fn log_tail(&self) -> String {
        let text = match std::fs::read(&self.log) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => return format!("--- {} cannot be read: {error} ---", self.log.display()),
        };
        let lines: Vec<_> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(40)..];
        format!("--- the end of {} ---\n{}\n---", self.log.display(), tail.join("\n"))
    }

    /// Resident memory in bytes; none where there is no `/proc`.
    pub fn resident_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib * 1024)
    }

    /// Whether it has a TCP connection from this port of loopback. Linux alone.
    pub fn has_port(&self, port: u16) -> bool {
        let Some(inode) = inode_of(port) else { return false };
        let wanted = format!("socket:[{inode}]");
        let mut files = fs::read_dir(format!("/proc/{}/fd", self.pid())).into_iter().flatten().flatten();
        files.any(|file| fs::read_link(file.path()).is_ok_and(|link| link.as_os_str() == wanted.as_str()))
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn stop(&self) -> ExitStatus {
        self.signal("TERM");
        self.ended().await
    }

    /// Waits for the end.
    pub async fn ended(&self) -> ExitStatus {
        let status = within(PATIENCE, || async { self.has_ended() }).await;
        status.unwrap_or_else(|| panic!("rolecall {} still runs after {PATIENCE:?}", self.role.as_str()))
    }

    /// Ends it at once, as a power cut would: SIGKILL.
    pub fn kill(&self) {
        let mut child = self.child();
        // Fails only for a process that has ended, which is what is wanted.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Stops it from doing anything, as a paused machine would: SIGSTOP. [`Self::thaw`] lets it go on.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Sends a signal by name (`TERM`, `HUP`, …), if it still runs.
    pub fn signal(&self, name: &str) {
        // The child is not waited for while it is locked, so its id cannot belong to another process by now.
        let mut child = self.child();
        if child.try_wait().is_ok_and(|ended| ended.is_none()) {
            send(name, self.pid);
        }
    }

    fn child(&self) -> std::sync::MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "for whoever reads why the test failed")]
            {
                eprintln!("{}", self.log_tail());
            }
        }
    }
}

/// Sends a signal by its name to a process. The shell's own `kill`: a bare machine has no other.
pub fn send(name: &str, pid: u32) -> bool {
    Command::new("sh")
        .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The address in a log line, text or JSON, that says that this part is `listening`.
fn listening_address(line: &str, part: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening")?;
    let (_, rest) = rest.split_once(&format!("\"{part}\""))?;
    rest.split(|c: char| !(c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '[' | ']')))
        .find_map(|word| word.parse().ok())
}

/// The inode of the TCP socket with this local port (`/proc/net/tcp`, proc(5)).
fn inode_of(port: u16) -> Option<String> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    table.lines().skip(1).find_map(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let (_, local) = columns.get(1)?.split_once(':')?;
        let is_it = u16::from_str_radix(local, 16).ok()? == port;
        is_it.then(|| columns.get(9).map(|inode| (*inode).to_owned())).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::listening_address;

    #[test]
    fn the_address_is_found_in_text_and_in_json() {
        for line in [
            r#"2026-01-01T10:00:00Z  INFO rolecall: listening part="api" addr=127.0.0.1:41234"#,
            r#"{"level":"INFO","fields":{"message":"listening","part":"api","addr":"127.0.0.1:41234"}}"#,
        ] {
            assert_eq!(listening_address(line, "api").unwrap().port(), 41234, "{line}");
            assert_eq!(listening_address(line, "worker"), None, "{line}");
        }
        assert_eq!(listening_address("connected to 127.0.0.1:41234", "api"), None);
    }
}
