//! Kinds of roles: one table of profiles, which an operator can change or extend in configuration.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Env, SchemaName};

/// The name of a kind: `[a-z][a-z0-9-]*`, at most 32 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KindName(String);

impl KindName {
    /// Parses a kind's name; says nothing about whether a profile of that name exists.
    pub fn parse(text: &str) -> Result<Self, InvalidKindName> {
        let bytes = text.as_bytes();
        let valid = (1..=32).contains(&bytes.len())
            && bytes[0].is_ascii_lowercase()
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidKindName) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Not the form of a kind's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a kind is named with [a-z][a-z0-9-]*, at most 32 bytes")]
pub struct InvalidKindName;

impl TryFrom<String> for KindName {
    type Error = InvalidKindName;

    fn try_from(text: String) -> Result<Self, InvalidKindName> {
        Self::parse(&text)
    }
}

impl From<KindName> for String {
    fn from(name: KindName) -> Self {
        name.0
    }
}

impl fmt::Display for KindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// From which fields of a request the role's name is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Naming {
    /// `servername` + `_` + `port`.
    ServernamePort,
    /// `env_prefix` + `_` + `farmname`.
    EnvPrefixFarmname,
    /// `username` as it is.
    Username,
}

/// Where a role's `search_path` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchPathScope {
    /// In the target's database only (`ALTER ROLE … IN DATABASE … SET`).
    Database,
    /// For the role in every database (`ALTER ROLE … SET`).
    Role,
}

/// Everything that distinguishes one kind of role from another. Every kind may log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// How the role is named.
    pub naming: Naming,
    /// `CONNECTION LIMIT`; -1 is no limit.
    pub connection_limit: i32,
    /// `CREATEDB`.
    #[serde(default)]
    pub createdb: bool,
    /// `CREATEROLE`.
    #[serde(default)]
    pub createrole: bool,
    /// Where `search_path` is set.
    #[serde(default = "default_scope")]
    pub search_path_scope: SearchPathScope,
    /// The `search_path` of a new role.
    #[serde(default = "default_schemas")]
    pub search_path: Vec<SchemaName>,
    /// Sets `default_transaction_read_only`, and grants reading of these schemas after the role is made:
    /// CONNECT, USAGE, SELECT on present tables and, by default privileges of the database's owner, future ones.
    #[serde(default)]
    pub read_only_schemas: Vec<SchemaName>,
    /// If not empty, the only environments in which this kind may be made.
    #[serde(default)]
    pub only_in_envs: Vec<Env>,
    /// Environments in which this kind may not be made.
    #[serde(default)]
    pub never_in_envs: Vec<Env>,
}

fn default_scope() -> SearchPathScope {
    SearchPathScope::Database
}

#[expect(clippy::expect_used, reason = "a constant name")]
fn default_schemas() -> Vec<SchemaName> {
    vec![SchemaName::from_stored("public").expect("a valid schema name")]
}

impl Profile {
    fn plain(naming: Naming, connection_limit: i32) -> Self {
        Self {
            naming,
            connection_limit,
            createdb: false,
            createrole: false,
            search_path_scope: SearchPathScope::Database,
            search_path: default_schemas(),
            read_only_schemas: Vec::new(),
            only_in_envs: Vec::new(),
            never_in_envs: Vec::new(),
        }
    }

    /// Whether roles of this kind only read.
    pub fn is_read_only(&self) -> bool {
        !self.read_only_schemas.is_empty()
    }

    /// Whether this kind may be made in that environment.
    pub fn allowed_in(&self, env: &Env) -> bool {
        (self.only_in_envs.is_empty() || self.only_in_envs.contains(env)) && !self.never_in_envs.contains(env)
    }
}

/// The table of kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profiles(BTreeMap<KindName, Profile>);

impl Profiles {
    /// The built-in kinds, with the operator's put over them by name.
    pub fn with_overrides(overrides: BTreeMap<KindName, Profile>) -> Self {
        let mut profiles = Self::default();
        profiles.0.extend(overrides);
        profiles
    }

    /// The profile of a kind.
    pub fn find(&self, kind: &KindName) -> Option<&Profile> {
        self.0.get(kind)
    }

    /// All kinds, by name.
    pub fn list(&self) -> impl Iterator<Item = (&KindName, &Profile)> {
        self.0.iter()
    }
}

impl Default for Profiles {
    #[expect(clippy::expect_used, reason = "constant names")]
    fn default() -> Self {
        let name = |text: &str| KindName::parse(text).expect("a valid kind");
        let not_in_prod = vec![Env::parse("prod").expect("a valid env")];
        let person = Profile::plain(Naming::Username, 20);
        let developer = Profile { never_in_envs: not_in_prod, ..person.clone() };
        let dba = Profile {
            createdb: true,
            createrole: true,
            search_path_scope: SearchPathScope::Role,
            ..person.clone()
        };
        Self(BTreeMap::from([
            (name("app"), Profile::plain(Naming::ServernamePort, 200)),
            (name("app-k8s"), Profile::plain(Naming::EnvPrefixFarmname, 200)),
            (name("devqa"), developer.clone()),
            (name("devlead"), developer),
            (name("readonly"), Profile { read_only_schemas: default_schemas(), ..person }),
            (name("dba"), dba),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> Profile {
        Profiles::default().find(&KindName::parse(name).unwrap()).unwrap().clone()
    }

    #[test]
    fn the_six_kinds_are_as_promised() {
        let limits: Vec<_> =
            Profiles::default().list().map(|(n, p)| (n.to_string(), p.connection_limit)).collect();
        let expected =
            [("app", 200), ("app-k8s", 200), ("dba", 20), ("devlead", 20), ("devqa", 20), ("readonly", 20)];
        assert_eq!(limits, expected.map(|(n, l)| (n.to_owned(), l)));
        assert!(kind("dba").createdb && kind("dba").createrole);
        assert_eq!(kind("dba").search_path_scope, SearchPathScope::Role);
        assert!(kind("readonly").is_read_only() && !kind("devqa").is_read_only());
    }

    #[test]
    fn developers_stay_out_of_prod() {
        let env = |e: &str| Env::parse(e).unwrap();
        for (name, in_prod) in
            [("devqa", false), ("devlead", false), ("app", true), ("readonly", true), ("dba", true)]
        {
            assert_eq!(kind(name).allowed_in(&env("prod")), in_prod, "{name}");
            assert!(kind(name).allowed_in(&env("dev")), "{name}");
        }
        let only = Profile { only_in_envs: vec![env("qa")], ..kind("app") };
        assert!(only.allowed_in(&env("qa")) && !only.allowed_in(&env("dev")));
    }
}
