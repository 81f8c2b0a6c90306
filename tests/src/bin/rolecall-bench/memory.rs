//! Memory of a process.

use std::fmt;

/// The largest resident set a process ever had, in KiB (`VmHWM`, proc(5)).
#[derive(Debug, Clone, Copy)]
pub struct Peak(u64);

impl Peak {
    /// Reads it from `/proc`.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn of(pid: u32) -> Self {
        let path = format!("/proc/{pid}/status");
        let status = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        Self(line.trim().trim_end_matches(" kB").parse().unwrap_or_else(|_| panic!("{path} has no VmHWM")))
    }
}

impl fmt::Display for Peak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0 * 10 / 1024;
        write!(f, "{}.{} MiB", tenths / 10, tenths % 10)
    }
}
