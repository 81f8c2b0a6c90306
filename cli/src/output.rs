//! What is printed, and how a failure becomes an exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use rolecall_shared::config::ConfigFaults;
use rolecall_shared::domain::Failure;

/// `EX_CONFIG` of `sysexits.h`: something is wrong in the configuration.
pub const CONFIG_FAULT: u8 = 78;

/// `EX_DATAERR` of `sysexits.h`: something is wrong in a file that was given.
pub const DATA_FAULT: u8 = 65;

/// Prints to standard output; ends with a newline if the text does not.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    match write!(out, "{text}{newline}").and_then(|()| out.flush()) {
        // Whoever reads through `head` has seen what he wanted.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Says something on standard error.
pub fn note(text: &str) {
    // There is nowhere left to tell that standard error is gone.
    _ = writeln!(io::stderr().lock(), "{}", text.trim_end());
}

/// Says on standard error what went wrong and what to do next; returns the exit code for it.
pub fn failed(error: &anyhow::Error) -> ExitCode {
    let (text, code) = match error.downcast_ref::<ConfigFaults>() {
        Some(faults) => (told(faults), CONFIG_FAULT),
        None => (format!("rolecall: {error:#}{}\n", cause_of(error)), 1),
    };
    // There is nowhere left to tell that standard error is gone.
    _ = io::stderr().lock().write_all(text.as_bytes());
    ExitCode::from(code)
}

fn told(faults: &ConfigFaults) -> String {
    let count = faults.0.len();
    let mut text =
        format!("rolecall: {count} fault{} in the configuration\n", if count == 1 { "" } else { "s" });
    for fault in &faults.0 {
        text.push_str("  ");
        text.push_str(fault);
        text.push('\n');
    }
    text.push_str(
        "`rolecall config sample` shows every key; `rolecall config check` tells the faults again.\n",
    );
    text
}

/// A failure's internal cause. It stays out of HTTP answers, but the operator at the terminal is who needs it.
fn cause_of(error: &anyhow::Error) -> String {
    let cause = error.downcast_ref::<Failure>().and_then(Failure::cause_chain);
    cause.map_or_else(String::new, |cause| format!(": {cause}"))
}
