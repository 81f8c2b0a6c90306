//! A folder of its own for each command: `.run/demo`, `.run/up`. Ignored by git, closed to other users: the files
//! in it hold passwords.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rolecall_tests::stack::{self, Stack, checkout};

/// The folder. Its files are written with the owner's rights only.
#[derive(Debug, Clone)]
pub struct Place {
    dir: PathBuf,
}

impl Place {
    pub fn demo() -> Self {
        Self::named("demo")
    }

    pub fn up() -> Self {
        Self::named("up")
    }

    fn named(name: &str) -> Self {
        let checkout = checkout().canonicalize().expect("the checkout is there");
        Self { dir: checkout.join(".run").join(name) }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A file's path as people in the checkout would write it.
    pub fn shown(&self, name: &str) -> String {
        let file = self.file(name);
        let checkout = self.dir.ancestors().nth(2).unwrap_or(&self.dir);
        file.strip_prefix(checkout).unwrap_or(&file).display().to_string()
    }

    pub fn make(&self) {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o711).create(&self.dir);
        made.unwrap_or_else(|error| panic!("cannot make {}: {error}", self.dir.display()));
    }

    pub fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.file(name)).ok()
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.file(name);
        let written = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
        written.unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }

    fn stack_dir(&self) -> PathBuf {
        self.file("stack")
    }

    /// The stack of this place, started if it is not up.
    pub fn stack(&self) -> Stack {
        Stack::up(&self.stack_dir())
    }

    /// Which of the stack's servers run; none when there is no stack.
    pub fn stack_status(&self) -> Option<String> {
        // The script's own exit code 3 says that something is down; the list says what.
        let output = stack::command(&self.stack_dir(), &["status"])
            .stderr(Stdio::null())
            .output()
            .expect("the stack's script can be run");
        let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        (!text.is_empty()).then_some(text)
    }

    /// Ends the servers and removes everything, also after a run that was killed.
    pub fn remove(&self) {
        if self.stack_dir().exists() {
            let done = stack::command(&self.stack_dir(), &["down"])
                // Out of reach of Ctrl-C: it must come to its end.
                .process_group(0)
                .status()
                .expect("the stack's script can be run");
            assert!(done.success(), "the servers in {} are not all ended; see above", self.dir.display());
        }
        if self.dir.exists() {
            std::fs::remove_dir_all(&self.dir)
                .unwrap_or_else(|error| panic!("cannot remove {}: {error}", self.dir.display()));
        }
    }
}

/// The port that is wanted, or a free one if somebody has it.
pub fn free_port(wanted: u16) -> u16 {
    let bind = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let listener = bind(wanted).or_else(|_| bind(0)).expect("a loopback port is free");
    listener.local_addr().expect("a bound socket has an address").port()
}
