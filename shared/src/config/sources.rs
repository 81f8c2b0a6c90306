//! Where values come from: the file, then the variables over it, merged by the `config` crate.
//!
//! Every variable is fed to the merge as the text it is. The crate could guess types (`try_parsing`) and split
//! lists, but it guesses before anybody knows the key: a password `0123` would become the number 123. The table
//! of keys knows the type, so the reader converts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{Config, Environment, File, FileFormat, Map, Source, Value};

use super::keys;

/// Names from pg-user-api, and the keys they stand for.
pub(super) const ALIASES: [(&str, &str); 4] = [
    ("PG_API_USER", "account.user"),
    ("PG_API_PASS", "account.password"),
    ("PG_ADMIN_USER", "default_login.user"),
    ("PG_ADMIN_PASS", "default_login.password"),
];

/// What the names of our variables begin with.
pub(super) const PREFIX: &str = "ROLECALL__";

/// Places that are looked in when no file is named, in this order.
const PLACES: [&str; 2] = ["rolecall.toml", "/etc/rolecall/rolecall.toml"];

/// The variable for a key.
pub(super) fn variable_of(path: &str) -> String {
    format!("{PREFIX}{}", path.to_uppercase().replace('.', "__"))
}

/// The named file, which must be readable, or the first of the usual places that exists.
pub(super) fn read_file(named: Option<&Path>) -> Result<Option<(PathBuf, String)>, String> {
    let found = match named {
        Some(path) => Some(path.to_owned()),
        None => PLACES.iter().map(PathBuf::from).find(|path| path.exists()),
    };
    let Some(path) = found else { return Ok(None) };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) => Err(format!("{}: cannot be read: {error}", path.display())),
    }
}

/// The variables of this process that are ours. Others may hold anything; ours must be UTF-8.
pub(super) fn own_variables(faults: &mut Vec<String>) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        if !name.starts_with(PREFIX) && !ALIASES.iter().any(|(alias, _)| *alias == name) {
            continue;
        }
        match value.into_string() {
            Ok(value) => _ = variables.insert(name, value),
            Err(_) => faults.push(format!("{name}: is not UTF-8")),
        }
    }
    variables
}

/// The tree of all values that were given, with faults for what cannot be in it. None if the file cannot be read
/// at all: then nobody knows what is missing.
pub(super) fn merge(
    file: Option<(&Path, &str)>,
    variables: &BTreeMap<String, String>,
    faults: &mut Vec<String>,
) -> Option<Map<String, Value>> {
    let mut builder = Config::builder();
    let variables = known_variables(variables, faults);
    if let Some((path, text)) = file {
        match text.parse::<toml::Table>() {
            Ok(table) => {
                unknown_in_file(&table, faults);
                builder = builder.add_source(File::from_str(text, FileFormat::Toml));
            }
            Err(error) => {
                faults.push(syntax_fault(path, text, &error));
                return None;
            }
        }
    }
    builder = builder.add_source(
        Environment::with_prefix("ROLECALL").prefix_separator("__").separator("__").source(Some(variables)),
    );
    let tree = builder.build().and_then(|config| config.collect()).ok();
    if tree.is_none() {
        // The crate's own text quotes the file, and with it perhaps a password.
        faults.push("the file has a value of a type that no key has".to_owned());
    }
    tree
}

/// Line and reason, without the line itself: it may hold a password.
fn syntax_fault(path: &Path, text: &str, error: &toml::de::Error) -> String {
    let before = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = 1 + text.as_bytes()[..before].split(|byte| *byte == b'\n').skip(1).count();
    let reason = error.message().lines().collect::<Vec<_>>().join("; ");
    format!("{}: line {line}: is not TOML: {reason}", path.display())
}

/// The variables whose keys exist, under their own names; aliases step back behind what they stand for.
fn known_variables(variables: &BTreeMap<String, String>, faults: &mut Vec<String>) -> Map<String, String> {
    let mut known = Map::new();
    for (alias, path) in ALIASES {
        let name = variable_of(path);
        let is_stated = variables.contains_key(&name) || variables.contains_key(&format!("{name}_FILE"));
        if let (Some(value), false) = (variables.get(alias), is_stated) {
            known.insert(name, value.clone());
        }
    }
    for (name, value) in variables {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let path = rest.to_lowercase().replace("__", ".");
        if is_known(&path) {
            known.insert(name.clone(), value.clone());
        } else {
            let hint = nearest(&path)
                .map_or_else(String::new, |near| format!("; did you mean {}?", variable_of(&near)));
            faults.push(format!("{name}: there is no key {path}{hint}"));
        }
    }
    known
}

fn unknown_in_file(table: &toml::Table, faults: &mut Vec<String>) {
    let mut unknown = Vec::new();
    collect_unknown(table, "", &mut unknown);
    faults.extend(unknown.into_iter().map(|path| {
        let hint = nearest(&path).map_or_else(String::new, |near| format!("; did you mean {near}?"));
        format!("{path}: there is no such key{hint}")
    }));
}

fn collect_unknown(table: &toml::Table, above: &str, unknown: &mut Vec<String>) {
    for (name, value) in table {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match value {
            _ if is_known(&path) => {}
            // An empty section of a known name says nothing, which is no fault.
            toml::Value::Table(inner) if !inner.is_empty() || is_section(&path) => {
                collect_unknown(inner, &path, unknown);
            }
            toml::Value::String(_)
            | toml::Value::Integer(_)
            | toml::Value::Float(_)
            | toml::Value::Boolean(_)
            | toml::Value::Datetime(_)
            | toml::Value::Array(_)
            | toml::Value::Table(_) => unknown.push(path),
        }
    }
}

fn is_section(path: &str) -> bool {
    let depth = path.split('.').count();
    keys::ALL.iter().any(|key| {
        let section: Vec<_> = key.path().split('.').take(depth).collect();
        depth < key.path().split('.').count() && same(&section.join("."), path)
    })
}

/// Whether a path is in the table, `…_file` of secrets included.
fn is_known(path: &str) -> bool {
    keys::ALL.iter().any(|key| {
        same(key.path(), path)
            || key.is_secret() && path.strip_suffix("_file").is_some_and(|path| same(key.path(), path))
    })
}

/// Compares part by part; `*` is any one part, `**` at the end is one or more.
pub(super) fn same(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), path.split('.').collect());
    if pattern.last() == Some(&"**") && path.len() >= pattern.len() {
        pattern.pop();
        path.truncate(pattern.len());
    }
    pattern.len() == path.len() && pattern.iter().zip(&path).all(|(p, part)| p == part || *p == "*")
}

/// The known key that is spelled most alike, if any is alike at all.
fn nearest(path: &str) -> Option<String> {
    let parts: Vec<_> = path.split('.').collect();
    keys::ALL
        .iter()
        .filter(|key| !key.path().ends_with("**"))
        .flat_map(|key| {
            // Names that the operator chose are right; what is sought is what stands between them.
            let chosen = |(n, part)| if part == "*" { *parts.get(n).unwrap_or(&part) } else { part };
            let key_path = key.path().split('.').enumerate().map(chosen).collect::<Vec<_>>().join(".");
            let file = key.is_secret().then(|| format!("{key_path}_file"));
            std::iter::once(key_path).chain(file)
        })
        .map(|known| (strsim::normalized_damerau_levenshtein(&known, path), known))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}
