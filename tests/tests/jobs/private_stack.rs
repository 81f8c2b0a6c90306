//! Servers of one test's own, which may end them and read their logs. They end with the test.

use std::ops::Deref;
use std::path::PathBuf;

use rolecall_tests::Stack;
use rolecall_tests::stack::{checkout, script};

pub(crate) struct PrivateStack {
    stack: Stack,
    dir: PathBuf,
}

impl PrivateStack {
    /// Always in the same folder for a name, so that what a killed run left is ended first.
    pub(crate) fn up(name: &str) -> Self {
        let mut folder = std::env::var_os("ROLECALL_STACK_DIR")
            .map_or_else(|| checkout().join(".stack"), PathBuf::from)
            .into_os_string();
        folder.push(format!("-{name}"));
        let dir = PathBuf::from(folder);
        script(&dir, &["down"]);
        Self { stack: Stack::up(&dir), dir }
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
        // Not `script`: a panic here would hide the one that is under way.
        let stack = checkout().join("tests/stack/stack");
        let _ = std::process::Command::new(stack).arg("down").arg("--dir").arg(&self.dir).status();
    }
}
