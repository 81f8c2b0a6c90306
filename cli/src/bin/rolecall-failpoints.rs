//! The `rolecall` binary with failpoints, which `FAILPOINTS` of the environment arms. For tests alone.

#![expect(clippy::print_stderr, reason = "there is no log yet")]

use std::process::ExitCode;

fn main() -> ExitCode {
    match rolecall_shared::failpoints::arm() {
        Ok(_armed) => rolecall::main(),
        Err(unknown) => {
            eprintln!("{unknown}");
            ExitCode::FAILURE
        }
    }
}
