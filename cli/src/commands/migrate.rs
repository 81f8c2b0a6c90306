//! `rolecall migrate`.

use std::path::Path;

use rolecall_shared::{config, control};

use crate::args::Output;
use crate::output::print;

pub fn run(file: Option<&Path>, output: Output) -> anyhow::Result<()> {
    let settings = config::Control::load_for_migration(file)?;
    let applied = super::block_on(async { Ok(control::migrate(&settings).await?) })?;
    if output.json {
        print(&serde_json::json!({ "applied": applied }).to_string())
    } else if applied.is_empty() {
        print("nothing to do: the control database is of this version")
    } else {
        print(&format!("applied {}", applied.join(", ")))
    }
}
