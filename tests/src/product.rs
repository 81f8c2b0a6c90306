//! What the product says of itself: its settings and its commands. Suites about files and documents compare with it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::binary;

/// Every key with the default or example that the sample file shows for it. Kinds stand there under the name `app`.
pub fn settings() -> BTreeMap<String, toml::Value> {
    // A line of prose has a space after its `#`, a key or section that is commented out has none.
    let lines: String = rolecall_shared::config::sample()
        .lines()
        .map(|line| line.strip_prefix('#').unwrap_or(line))
        .filter(|line| !line.starts_with(' '))
        .flat_map(|line| [line, "\n"])
        .collect();
    let table: toml::Table = lines.parse().expect("the sample without its comments is TOML");
    let mut settings = BTreeMap::new();
    collect("", &table, &mut settings);
    settings
}

fn collect(above: &str, table: &toml::Table, settings: &mut BTreeMap<String, toml::Value>) {
    for (name, value) in table {
        match value.as_table() {
            Some(inner) => collect(&format!("{above}{name}."), inner, settings),
            None => drop(settings.insert(format!("{above}{name}"), value.clone())),
        }
    }
}

/// The key that a variable sets: `ROLECALL__REDIS__URL` is `redis.url`.
pub fn key_of(variable: &str) -> Option<String> {
    Some(variable.strip_prefix("ROLECALL__")?.to_lowercase().replace("__", "."))
}

/// Every command with its words, such as `keys add`; those that only have commands below them, too.
pub fn commands() -> BTreeSet<String> {
    let mut commands = BTreeSet::new();
    list(&[], &mut commands);
    commands
}

fn list(above: &[String], commands: &mut BTreeSet<String>) {
    let output = Command::new(binary::rolecall()).args(above).arg("--help").output().expect("rolecall runs");
    assert!(output.status.success(), "rolecall {above:?} --help: {}", output.status);
    let help = String::from_utf8(output.stdout).expect("help is UTF-8");
    let names = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .map_while(|line| line.strip_prefix("  "))
        // A description that goes on in the next line is indented further.
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next());
    for name in names {
        let command = [above, &[name.to_owned()]].concat();
        if name != "help" {
            list(&command, commands);
        }
        commands.insert(command.join(" "));
    }
}
