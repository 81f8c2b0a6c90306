//! `rolecall keys add|list|retire`.

use std::path::Path;

use rolecall_shared::config::Seal;
use rolecall_shared::domain::{Clock as _, SystemClock};
use rolecall_shared::seal::{KeyState, SEALS_AFTER, add_key, list_keys, retire_key};
use serde_json::{Value, json};

use crate::args::Output;
use crate::output::print;

pub fn add(file: Option<&Path>, output: Output) -> anyhow::Result<()> {
    let key_file = Seal::load(file)?.key_file;
    let key = add_key(&key_file, SystemClock.now(), SEALS_AFTER)?;
    if output.json {
        return print(&as_json(&key).to_string());
    }
    print(&format!(
        "added {} to {}; it seals from {} on\nBring the file to every machine that runs api or worker before then.",
        key.id,
        key_file.display(),
        key.seals_from
    ))
}

pub fn list(file: Option<&Path>, output: Output) -> anyhow::Result<()> {
    let keys = list_keys(&Seal::load(file)?.key_file)?;
    if output.json {
        return print(&keys.iter().map(as_json).collect::<Value>().to_string());
    }
    print(&keys.iter().map(in_words).collect::<Vec<_>>().join("\n"))
}

pub fn retire(file: Option<&Path>, id: &str, output: Output) -> anyhow::Result<()> {
    let key = retire_key(&Seal::load(file)?.key_file, id, SystemClock.now())?;
    if output.json {
        return print(&as_json(&key).to_string());
    }
    print(&in_words(&key))
}

fn in_words(key: &KeyState) -> String {
    match key.retired_at {
        Some(at) => format!("{}  retired at {at}", key.id),
        None => format!("{}  seals from {}", key.id, key.seals_from),
    }
}

fn as_json(key: &KeyState) -> Value {
    json!({ "id": key.id, "seals_from": key.seals_from, "retired_at": key.retired_at })
}
