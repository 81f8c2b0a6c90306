//! Servers of one test's own, which may end them and read their logs. They end with the test.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use crate::stack::{Stack, checkout, command};

/// A stack beside the shared one. Derefs to the [`Stack`].
#[derive(Debug)]
pub struct PrivateStack {
    stack: Stack,
    dir: PathBuf,
}

impl PrivateStack {
    /// Always in the same folder for a name, so that what a killed run left is ended first.
    pub fn up(name: &str) -> Self {
        Self::with_targets(name, 2)
    }

    /// The same with so many target clusters.
    pub fn with_targets(name: &str, count: usize) -> Self {
        let mut folder = std::env::var_os("ROLECALL_STACK_DIR")
            .map_or_else(|| checkout().join(".stack"), PathBuf::from)
            .into_os_string();
        folder.push(format!("-{name}"));
        let dir = PathBuf::from(folder);
        down(&dir);
        Self { stack: Stack::with_targets(&dir, count), dir }
    }
}

impl Deref for PrivateStack {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &self.stack
    }
}

impl Drop for PrivateStack {
    fn drop(&mut self) {
        down(&self.dir);
    }
}

/// No panic when it fails: it would hide the one that is under way, and the next `up` cleans up as well.
fn down(dir: &Path) {
    command(dir, &["down"]).status().ok();
}
