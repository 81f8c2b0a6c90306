//! A process that stays when the command that started it ends.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rolecall_tests::eventually::within;
use rolecall_tests::installation;
use rolecall_tests::process::{Role, send};

use crate::place::Place;

/// How long it may take to finish what it has; above the processes' own grace time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process of `up`, running or not.
#[derive(Debug)]
pub struct Background {
    place: Place,
    role: Role,
}

impl Background {
    pub fn of(place: &Place, role: Role) -> Self {
        Self { place: place.clone(), role }
    }

    fn pid_file(&self) -> String {
        format!("{}.pid", self.role.as_str())
    }

    /// The name of its log file.
    pub fn log(&self) -> String {
        format!("{}.log", self.role.as_str())
    }

    /// Its process id while it runs. The file also says when the process began: after a restart of the machine
    /// the id may belong to somebody else.
    pub fn pid(&self) -> Option<u32> {
        let text = self.place.read(&self.pid_file())?;
        let (pid, began) = text.trim().split_once(' ')?;
        let pid = pid.parse().ok()?;
        (beginning(pid)? == began).then_some(pid)
    }

    /// Starts it unless it runs; its process id.
    pub fn start(&self, environment: &BTreeMap<String, String>) -> u32 {
        if let Some(pid) = self.pid() {
            return pid;
        }
        let path = self.place.file(&self.log());
        let log = OpenOptions::new().create(true).append(true).open(path).expect("the log can be written");
        #[expect(clippy::zombie_processes, reason = "it outlives this command, and is init's child then")]
        let child = installation::command(environment, self.place.dir())
            .arg(self.role.as_str())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            // Ctrl-C in this terminal is not for it.
            .process_group(0)
            .spawn()
            .expect("the binary can be run");
        let pid = child.id();
        let began = beginning(pid).expect("a child that nobody waited for has a beginning");
        self.place.write(&self.pid_file(), &format!("{pid} {began}\n"));
        pid
    }

    /// Ends it, first politely; which process id it had.
    pub async fn stop(&self) -> Option<u32> {
        let pid = self.pid()?;
        send("TERM", pid);
        let has_ended = || async { self.pid().is_none().then_some(()) };
        if within(PATIENCE, has_ended).await.is_none() {
            send("KILL", pid);
        }
        Some(pid)
    }

    /// The last lines it logged.
    pub fn log_tail(&self) -> String {
        let text = self.place.read(&self.log()).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// When a running process began, in whatever form this system tells it; none for a process that has ended.
fn beginning(pid: u32) -> Option<String> {
    if let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        // proc(5): the second field is the name in parentheses, which may hold anything; state is the third and the
        // start time, in ticks since boot, the twenty-second.
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let is_over = matches!(*fields.first()?, "Z" | "X");
        return fields.get(19).filter(|_| !is_over).map(|ticks| (*ticks).to_owned());
    }
    let output = Command::new("ps").args(["-o", "lstart=", "-p", &pid.to_string()]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join("-");
    (!text.is_empty()).then_some(text)
}
