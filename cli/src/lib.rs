//! The program `rolecall`: the command line, and the only place where the parts are put together.
//!
//! A library only because three binaries start it: `rolecall`, `rolecall-failpoints` for tests, and
//! `rolecall-no-authentication` for benchmarks.
//!
//! * `args`: what can be typed.
//! * `commands`: one file per command; `run` is what the services have in common.
//! * `compose`: from settings to a running api or worker.
//! * `output`: what is printed, and how a failure becomes an exit code.
//! * `operator`: who typed it, for the audit.
//! * `registry_file`: files with targets. `looking`: logging in to targets to see what can be done there.
//!
//! Tested by starting the binary: `tests/cli.rs`.

mod args;
mod commands;
mod compose;
mod looking;
mod operator;
mod output;
mod registry_file;

use std::process::ExitCode;

use clap::Parser as _;

/// Does what the command line says; the exit code.
pub fn main() -> ExitCode {
    let args = args::Args::parse();
    match commands::dispatch(&args) {
        Ok(code) => code,
        Err(error) => output::failed(&error),
    }
}
