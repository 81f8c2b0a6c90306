//! `rolecall version`.

use crate::args::Output;
use crate::output::print;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub fn run(output: Output) -> anyhow::Result<()> {
    if output.json {
        let features: &[&str] = if cfg!(feature = "amqps") { &["amqps"] } else { &[] };
        print(
            &serde_json::json!({ "name": "rolecall", "version": VERSION, "features": features }).to_string(),
        )
    } else {
        print(&format!("rolecall {VERSION}"))
    }
}
