//! The commented sample file, printed from the table of keys.

use std::fmt::Write as _;

use super::keys::{ALL, NOTIFY_SECTIONS, SECTIONS};
use super::shape::Entry;
use super::sources::same;

const HEAD: &str = "\
# Rolecall: every key, with its default where it has one. Printed by `rolecall config sample`.
#
# Looked for in this order: --config FILE or ROLECALL_CONFIG, ./rolecall.toml, /etc/rolecall/rolecall.toml.
# Every key can be set in the environment, which beats the file: worker.lanes is ROLECALL__WORKER__LANES,
# and lists are separated by commas there. Every secret can be the path of a file instead, under its key
# with _file behind it; stating both is refused. `rolecall config check` tells all faults at once.
";

/// A `rolecall.toml` in which every key is explained and commented out, with its default or an example.
pub fn sample() -> String {
    let mut text = HEAD.to_owned();
    for (section, about) in SECTIONS.iter().chain(NOTIFY_SECTIONS) {
        text.push('\n');
        comment(&mut text, about);
        // A section of one thing among many is an example as a whole.
        let mark = if section.contains('.') { "#" } else { "" };
        _ = writeln!(text, "{mark}[{section}]");
        for key in ALL.iter() {
            if let Some((above, name)) = key.path().rsplit_once('.')
                && same(above, section)
            {
                entry(&mut text, name, *key);
            }
        }
    }
    text
}

fn entry(text: &mut String, name: &str, key: &dyn Entry) {
    text.push('\n');
    comment(text, key.doc());
    comment(text, &format!("({})", key.expects()));
    if name == "**" {
        for line in key.example().iter().flat_map(|example| example.lines()) {
            _ = writeln!(text, "#{line}");
        }
        return;
    }
    if let Some(example) = key.example().filter(|_| key.default().is_some()) {
        _ = writeln!(text, "# Example: {name} = {example}");
    }
    if let Some(value) = key.default().or_else(|| key.example()) {
        _ = writeln!(text, "#{name} = {value}");
    }
    if key.is_secret() {
        let file = key.path().replace('.', "_");
        _ = writeln!(text, "#{name}_file = \"/run/secrets/{file}\"");
    }
}

fn comment(text: &mut String, about: &str) {
    for line in about.lines() {
        _ = writeln!(text, "# {line}");
    }
}
