//! `rolecall targets list|export`.

use std::collections::BTreeMap;
use std::path::Path;

use comfy_table::{ContentArrangement, Table, presets};
use rolecall_api::target_file;
use rolecall_shared::config;
use rolecall_shared::control::Host;
use rolecall_shared::domain::{HostKey, Login, Target};
use serde_json::json;

use crate::args::{ExportFormat, Output};
use crate::commands::accounts::on_control;
use crate::output::print;
use crate::registry_file;

/// Free text is cut after so many characters in a table.
const MAX_NOTES: usize = 40;

pub fn list(file: Option<&Path>, output: Output) -> anyhow::Result<()> {
    let settings = config::Control::load(file)?;
    let (targets, hosts) = on_control(&settings, async |control| {
        Ok((control.list_all_targets().await?, control.list_hosts().await?))
    })?;
    if output.json {
        let targets: Vec<_> = targets.iter().map(target_file::shown).collect();
        return print(&json!({ "targets": targets }).to_string());
    }
    if targets.is_empty() {
        return print("there is no target; `rolecall targets add` and `import` make them");
    }
    let hosts: BTreeMap<_, _> = hosts.iter().map(|host| (&host.key, host)).collect();
    let mut table = table(["TARGET", "HOST", "LOG-IN", "STATE", "NOTES"]);
    for target in &targets {
        table.add_row([
            target.key.to_string(),
            target.host.to_string(),
            login(target),
            state(target, &hosts),
            in_short(&target.notes),
        ]);
    }
    print(&table.trim_fmt())
}

pub fn export(file: Option<&Path>, format: ExportFormat) -> anyhow::Result<()> {
    let settings = config::Control::load(file)?;
    let targets = on_control(&settings, async |control| control.list_all_targets().await)?;
    let targets: Vec<_> = targets.iter().map(target_file::stated).collect();
    print(&match format {
        ExportFormat::Json => format!("{:#}", json!({ "targets": targets })),
        ExportFormat::Csv => registry_file::write_csv(&targets)?,
    })
}

/// A table without lines, whose columns are as wide as what is in them.
pub(super) fn table<const N: usize>(names: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(names);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

fn login(target: &Target) -> String {
    match &target.login {
        Login::Default => "default".to_owned(),
        Login::Own { user, .. } => in_short(user),
    }
}

fn state(target: &Target, hosts: &BTreeMap<&HostKey, &Host>) -> String {
    let host = hosts.get(&target.host);
    let is = |switched: bool, word: &'static str| switched.then_some(word);
    let words = [
        is(!target.active, "inactive"),
        is(host.is_some_and(|host| host.paused.is_some()), "paused"),
        is(host.is_some_and(|host| host.draining.is_some()), "draining"),
    ];
    let words: Vec<_> = words.into_iter().flatten().collect();
    if words.is_empty() { "active".to_owned() } else { words.join(", ") }
}

/// Somebody's text on one line of a terminal.
fn in_short(text: &str) -> String {
    let short: String = text.chars().take(MAX_NOTES).collect();
    let more = if text.chars().nth(MAX_NOTES).is_some() { "…" } else { "" };
    format!("{}{more}", short.escape_debug())
}
