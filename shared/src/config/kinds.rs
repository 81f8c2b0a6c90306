//! The operator's changes to the table of kinds: `[kinds.NAME]` changes a built-in kind key by key or adds one.

use std::collections::BTreeMap;

use super::keys;
use super::reader::Reader;
use super::shape::{Key, Names};
use crate::domain::kind::{Naming, SearchPathScope};
use crate::domain::{Env, KindName, NameRules, Profile, Profiles, SchemaName};

pub(super) fn profiles(reader: &mut Reader, rules: &NameRules) -> Profiles {
    let mut overrides = BTreeMap::new();
    for name in reader.names_under("kinds") {
        match KindName::parse(&name) {
            Ok(kind) => {
                let profile = profile(reader, &kind, rules);
                overrides.insert(kind, profile);
            }
            Err(error) => reader.fault(&format!("kinds.{name}"), error),
        }
    }
    Profiles::with_overrides(overrides)
}

/// The built-in profile with the stated keys put over it, or a new one, which has to say how its roles are named
/// and how many connections they get: there is no safe guess for either.
fn profile(reader: &mut Reader, kind: &KindName, rules: &NameRules) -> Profile {
    let name = kind.as_str();
    let naming = reader.choice_if_set(&keys::KIND_NAMING.within(name)).map(|word| match word.as_str() {
        "servername_port" => Naming::ServernamePort,
        "env_prefix_farmname" => Naming::EnvPrefixFarmname,
        _ => Naming::Username,
    });
    let limit = reader
        .number_if_set(&keys::KIND_CONNECTIONS.within(name))
        .and_then(|limit| i32::try_from(limit).ok());
    let mut profile = match (Profiles::default().find(kind), naming, limit) {
        (Some(built_in), _, _) => built_in.clone(),
        (None, Some(naming), Some(connection_limit)) => blank(naming, connection_limit),
        (None, _, _) => {
            for path in [&keys::KIND_NAMING.within(name).path, &keys::KIND_CONNECTIONS.within(name).path] {
                if !reader.has_section(path) {
                    reader.fault(
                        path,
                        format_args!("is missing: {name} is no built-in kind, so it has no default"),
                    );
                }
            }
            // Stands in while the other keys are read; a fault is in the list.
            blank(Naming::Username, 0)
        }
    };
    profile.naming = naming.unwrap_or(profile.naming);
    profile.connection_limit = limit.unwrap_or(profile.connection_limit);
    attributes(reader, name, &mut profile);
    lists(reader, name, rules, &mut profile);
    profile
}

/// What a new kind has before its other keys are read; the table of keys says the same.
fn blank(naming: Naming, connection_limit: i32) -> Profile {
    Profile {
        naming,
        connection_limit,
        createdb: false,
        createrole: false,
        search_path_scope: SearchPathScope::Database,
        search_path: SchemaName::from_stored("public").into_iter().collect(),
        read_only_schemas: Vec::new(),
        only_in_envs: Vec::new(),
        never_in_envs: Vec::new(),
    }
}

fn attributes(reader: &mut Reader, name: &str, profile: &mut Profile) {
    if let Some(flag) = reader.flag_if_set(&keys::KIND_CREATEDB.within(name)) {
        profile.createdb = flag;
    }
    if let Some(flag) = reader.flag_if_set(&keys::KIND_CREATEROLE.within(name)) {
        profile.createrole = flag;
    }
    if let Some(scope) = reader.choice_if_set(&keys::KIND_SCOPE.within(name)) {
        profile.search_path_scope =
            if scope == "role" { SearchPathScope::Role } else { SearchPathScope::Database };
    }
}

fn lists(reader: &mut Reader, name: &str, rules: &NameRules, profile: &mut Profile) {
    let schema = |text: &str| SchemaName::parse(text, rules);
    let search_path = keys::KIND_SEARCH_PATH.within(name);
    match reader.names_if_set(&search_path) {
        Some(names) if names.is_empty() => reader.fault(&search_path.path, "must name at least one schema"),
        Some(names) => profile.search_path = reader.parsed(&search_path.path, names, schema),
        None => {}
    }
    replace(reader, &keys::KIND_READ_ONLY.within(name), schema, &mut profile.read_only_schemas);
    replace(reader, &keys::KIND_ONLY_IN.within(name), Env::parse, &mut profile.only_in_envs);
    replace(reader, &keys::KIND_NEVER_IN.within(name), Env::parse, &mut profile.never_in_envs);
    if let Some(env) = profile.only_in_envs.iter().find(|env| profile.never_in_envs.contains(env)) {
        let text = format!("{env} is in kinds.{name}.never_in_envs too");
        reader.fault(&keys::KIND_ONLY_IN.within(name).path, text);
    }
}

fn replace<T, E: std::fmt::Display>(
    reader: &mut Reader,
    key: &Key<Names>,
    parse: impl Fn(&str) -> Result<T, E>,
    list: &mut Vec<T>,
) {
    if let Some(names) = reader.names_if_set(key) {
        *list = reader.parsed(&key.path, names, parse);
    }
}
