//! What an account may do: lists of patterns, and the one function that decides.
//!
//! A pattern is `<permission>:<env>/<database>:<kind>`. Each part is a word, a word with a trailing `*` (what begins
//! with it), or `*` alone; the permission is a word or `*`. There is no other wildcard, and no pattern means more than
//! it says: `submit:dev/app:devqa` is not `submit:dev/app2:devqa`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{DatabaseName, Env, KindName, TargetKey};

/// The most patterns in one list.
pub const MAX_PATTERNS: usize = 100;
/// The most bytes of one pattern: a database and a kind as long as they may be, and a little.
pub const MAX_PATTERN_BYTES: usize = 160;

macro_rules! permissions {
    ($($(#[$meta:meta])* $name:ident = $text:literal;)+) => {
        /// What can be allowed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Permission {
            $($(#[$meta])* $name,)+
        }

        impl Permission {
            /// Every permission.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word in patterns.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

permissions! {
    /// Submit jobs, and cancel one's own.
    Submit = "submit";
    /// Take the passwords of one's own tickets.
    Reveal = "reveal";
    /// See targets, their hosts and roles, and other people's tickets, never their passwords.
    Read = "read";
    /// Register, change, check and remove targets.
    Registry = "registry";
    /// Pause, drain and resume hosts.
    Hosts = "hosts";
    /// See and change accounts and other people's API tokens.
    Accounts = "accounts";
    /// Read the audit.
    Audit = "audit";
}

/// One part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    /// `*`.
    Any,
    /// `word*`.
    Prefix(String),
    /// `word`.
    Exact(String),
}

impl Part {
    fn parse(text: &str) -> Option<Self> {
        let word = text.strip_suffix('*').unwrap_or(text);
        let is_plain = !word.contains('*') && !word.chars().any(|c| c.is_whitespace() || c.is_control());
        match (word.is_empty(), word.len() < text.len()) {
            _ if !is_plain => None,
            (true, false) => None,
            (true, true) => Some(Self::Any),
            (false, true) => Some(Self::Prefix(word.to_owned())),
            (false, false) => Some(Self::Exact(word.to_owned())),
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Prefix(prefix) => text.starts_with(prefix),
            Self::Exact(word) => word == text,
        }
    }

    /// It matches all that is needed: one word, or every one.
    fn covers(&self, needed: Option<&str>) -> bool {
        needed.map_or(*self == Self::Any, |text| self.matches(text))
    }

    /// It matches something of what is needed.
    fn meets(&self, needed: Option<&str>) -> bool {
        needed.is_none_or(|text| self.matches(text))
    }

    /// It matches whatever the other one matches.
    fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Prefix(prefix), Self::Prefix(text) | Self::Exact(text)) => text.starts_with(prefix),
            (Self::Exact(word), Self::Exact(text)) => word == text,
            (Self::Prefix(_) | Self::Exact(_), Self::Any) | (Self::Exact(_), Self::Prefix(_)) => false,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Prefix(word) => write!(f, "{word}*"),
            Self::Exact(word) => f.write_str(word),
        }
    }
}

/// A pattern. None of a permission is `*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    permission: Option<Permission>,
    env: Part,
    database: Part,
    kind: Part,
}

/// Not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a pattern is <permission>:<env>/<database>:<kind> with at most {MAX_PATTERN_BYTES} bytes; the permission is submit, \
     reveal, read, registry, hosts, accounts, audit or *; every other part is a word, a word that ends in *, or *"
)]
pub struct InvalidPattern;

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        Self::parse(text).filter(|_| text.len() <= MAX_PATTERN_BYTES).ok_or(InvalidPattern)
    }
}

impl Pattern {
    /// The name of a database may hold what separates the parts; those of environments and kinds cannot.
    fn parse(text: &str) -> Option<Self> {
        let (permission, rest) = text.split_once(':')?;
        let (env, rest) = rest.split_once('/')?;
        let (database, kind) = rest.rsplit_once(':')?;
        let permission = match permission {
            "*" => None,
            word => Some(*Permission::ALL.iter().find(|permission| permission.as_str() == word)?),
        };
        let (env, kind) = (Part::parse(env)?, Part::parse(kind)?);
        Some(Self { permission, env, database: Part::parse(database)?, kind })
    }

    /// `*:*/*:*`.
    pub fn everything() -> Self {
        Self { permission: None, env: Part::Any, database: Part::Any, kind: Part::Any }
    }

    fn is_for(&self, permission: Permission) -> bool {
        self.permission.is_none_or(|own| own == permission)
    }

    fn covers(&self, need: &Need<'_>) -> bool {
        self.is_for(need.permission)
            && self.env.covers(need.env.map(Env::as_str))
            && self.database.covers(need.database.map(DatabaseName::as_str))
            && self.kind.covers(need.kind.map(KindName::as_str))
    }

    fn meets(&self, need: &Need<'_>) -> bool {
        self.is_for(need.permission)
            && self.env.meets(need.env.map(Env::as_str))
            && self.database.meets(need.database.map(DatabaseName::as_str))
            && self.kind.meets(need.kind.map(KindName::as_str))
    }

    fn includes(&self, other: &Self) -> bool {
        (self.permission.is_none() || self.permission == other.permission)
            && self.env.includes(&other.env)
            && self.database.includes(&other.database)
            && self.kind.includes(&other.kind)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let permission = self.permission.map_or("*", Permission::as_str);
        write!(f, "{permission}:{}/{}:{}", self.env, self.database, self.kind)
    }
}

impl TryFrom<String> for Pattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

/// What an act needs. What is none is needed for every one: all environments, all databases, all kinds.
#[derive(Debug, Clone, Copy)]
pub struct Need<'a> {
    permission: Permission,
    env: Option<&'a Env>,
    database: Option<&'a DatabaseName>,
    kind: Option<&'a KindName>,
}

impl<'a> Need<'a> {
    /// Everywhere.
    pub fn everywhere(permission: Permission) -> Self {
        Self { permission, env: None, database: None, kind: None }
    }

    /// On a target, for roles of every kind.
    pub fn on(permission: Permission, target: &'a TargetKey) -> Self {
        let TargetKey { env, database } = target;
        Self { permission, env: Some(env), database: Some(database), kind: None }
    }

    /// Where the parts are stated; everywhere else for those that are not.
    pub fn within(permission: Permission, env: Option<&'a Env>, database: Option<&'a DatabaseName>) -> Self {
        Self { permission, env, database, kind: None }
    }

    /// For roles of this kind only.
    #[must_use]
    pub fn of_kind(self, kind: &'a KindName) -> Self {
        Self { kind: Some(kind), ..self }
    }
}

impl fmt::Display for Need<'_> {
    /// The narrowest pattern that would allow it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let env = self.env.map_or("*", Env::as_str);
        let database = self.database.map_or("*", DatabaseName::as_str);
        let kind = self.kind.map_or("*", KindName::as_str);
        write!(f, "{}:{env}/{database}:{kind}", self.permission.as_str())
    }
}

/// A list of what is allowed and one of what is not. An empty `access` allows nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grants {
    /// What is allowed.
    pub access: Vec<Pattern>,
    /// What is not, whatever `access` says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<Pattern>,
}

impl Grants {
    fn allow(&self, need: &Need<'_>) -> bool {
        self.access.iter().any(|pattern| pattern.covers(need))
            && !self.deny.iter().any(|pattern| pattern.meets(need))
    }

    /// The same done to both lists.
    fn map(&self, of: impl Fn(&[Pattern]) -> Vec<Pattern>) -> Self {
        Self { access: of(&self.access), deny: of(&self.deny) }
    }

    fn allow_some(&self, need: &Need<'_>) -> bool {
        self.access.iter().any(|pattern| pattern.meets(need))
            && !self.deny.iter().any(|pattern| pattern.covers(need))
    }
}

/// Everything that limits a caller: the lists of the account, and of what stands between it and the caller, such as an
/// API token's scope. What is allowed is what all of them allow; without any it is everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rights(Vec<Grants>);

impl Rights {
    /// Everything, as an administrator has it.
    pub fn all() -> Self {
        Self::default()
    }

    /// What these lists allow.
    pub fn listed(grants: Grants) -> Self {
        Self(vec![grants])
    }

    /// The same, and no more than `grants`.
    #[must_use]
    pub fn within(mut self, grants: Grants) -> Self {
        self.0.push(grants);
        self
    }

    /// Whether nothing limits them.
    pub fn are_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of it is allowed.
    pub fn allow(&self, need: &Need<'_>) -> bool {
        self.0.iter().all(|grants| grants.allow(need))
    }

    /// Whether some of it is allowed: some kind on a target, some target of all.
    pub fn allow_some(&self, need: &Need<'_>) -> bool {
        self.0.iter().all(|grants| grants.allow_some(need))
    }

    /// Whether whoever has these may give this pattern to somebody.
    pub fn may_give(&self, pattern: &Pattern) -> bool {
        self.0.iter().all(|grants| grants.access.iter().any(|own| own.includes(pattern)))
    }

    /// The same, but jobs may be submitted only where the passwords of their kind may be taken too: for a job whose kind
    /// nobody knows before it runs, and whose password its submitter takes at once.
    #[must_use]
    pub fn to_submit_and_reveal(&self) -> Self {
        let of = |patterns: &[Pattern]| {
            let reveals = patterns.iter().filter(|pattern| pattern.is_for(Permission::Reveal));
            reveals
                .map(|pattern| Pattern { permission: Some(Permission::Submit), ..pattern.clone() })
                .collect()
        };
        let where_revealed = self.0.iter().map(|grants| grants.map(of));
        Self(self.0.iter().cloned().chain(where_revealed).collect())
    }

    /// What of them a job in this environment is judged by when it runs.
    #[must_use]
    pub fn for_jobs_in(&self, env: &Env) -> Self {
        let concerns =
            |pattern: &&Pattern| pattern.is_for(Permission::Submit) && pattern.env.matches(env.as_str());
        let of = |patterns: &[Pattern]| patterns.iter().filter(concerns).cloned().collect();
        Self(self.0.iter().map(|grants| grants.map(of)).collect())
    }
}

#[cfg(test)]
mod tests;
