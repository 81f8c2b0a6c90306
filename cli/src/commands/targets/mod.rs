//! `rolecall targets …`: the registry, changed by an operator.
//!
//! `import`, `add` and `set` are one thing: rows of fields that become a plan, of which everything that is wrong is told
//! before anything is done, and which is then carried out in one transaction (`change`). Tested in
//! `tests/tests/registry`.

mod change;
mod check;
mod difference;
mod import;
mod list;
mod single;
mod trust;

use std::path::Path;
use std::process::ExitCode;

use rolecall_api::registry::Waiting;

use crate::args::Targets;

pub fn run(file: Option<&Path>, command: &Targets) -> anyhow::Result<ExitCode> {
    match command {
        Targets::List(output) => list::list(file, *output)?,
        Targets::Export { format } => list::export(file, *format)?,
        Targets::Add(asked) => return change::add(file, asked),
        Targets::Set(asked) => return change::set(file, asked),
        Targets::Import(asked) => return import::run(file, asked),
        Targets::Check { targets, output, .. } => return check::run(file, targets, *output),
        Targets::Rm { target, fail_waiting, output } => {
            single::remove(file, target, waiting(*fail_waiting), *output)?;
        }
        Targets::Pause { target, reason, output } => single::pause(file, target, reason, *output)?,
        Targets::Resume { target, output } => single::resume(file, target, *output)?,
        Targets::Trust { host, output } => trust::add(file, host, *output)?,
        Targets::Distrust { host, output } => trust::remove(file, host, *output)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn waiting(fail: bool) -> Waiting {
    if fail { Waiting::Fail } else { Waiting::Refuse }
}
