//! Names of things in PostgreSQL, parsed once.
//!
//! A name is taken as it was sent or refused; it is never folded, cut or trimmed. PostgreSQL itself cuts an
//! identifier after 63 bytes without a word (`NAMEDATALEN` - 1, "Identifiers and Key Words" in its manual),
//! which is why the limit is checked here.

use std::fmt;

use regex::Regex;
use serde::{Deserialize, Deserializer, Serialize};

/// The longest name PostgreSQL keeps whole, in bytes.
pub const MAX_NAME_BYTES: usize = 63;

/// What is wrong with a name. The text says what to do about it and repeats nothing the caller sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// Zero bytes.
    #[error("must not be empty")]
    Empty,
    /// More than the limit in bytes.
    #[error("is {found} bytes long; at most {limit} are allowed")]
    TooLong {
        /// The length that was sent, in bytes.
        found: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// NUL, newline or another control character.
    #[error("must not contain control characters")]
    Control,
    /// The allowed pattern does not match.
    #[error("must match {pattern}")]
    Pattern {
        /// The pattern, anchored at both ends.
        pattern: String,
    },
    /// A name PostgreSQL keeps for itself.
    #[error("is reserved by PostgreSQL")]
    Reserved,
}

/// Which role and schema names are allowed. An operator may widen the pattern; length, control characters and
/// reserved names are not his to change.
#[derive(Debug, Clone)]
pub struct NameRules {
    pattern: Regex,
}

impl NameRules {
    /// Lower case, digits, `_ $ . @ -`; dashes and dots are real host names (`web-01.eu_8080`).
    pub const DEFAULT_PATTERN: &str = r"[a-z_][a-z0-9_$.@-]*";

    /// Rules with a pattern of the operator's; it is anchored at both ends.
    pub fn new(pattern: &str) -> Result<Self, regex::Error> {
        Ok(Self { pattern: Regex::new(&format!(r"\A(?:{pattern})\z"))? })
    }

    fn check(&self, text: &str) -> Result<(), NameFault> {
        check_form(text, MAX_NAME_BYTES)?;
        if is_reserved(text) {
            return Err(NameFault::Reserved);
        }
        if !self.pattern.is_match(text) {
            let pattern = self.pattern.as_str();
            let inner = pattern.strip_prefix(r"\A(?:").and_then(|p| p.strip_suffix(r")\z"));
            return Err(NameFault::Pattern { pattern: inner.unwrap_or(pattern).to_owned() });
        }
        Ok(())
    }
}

impl Default for NameRules {
    #[expect(clippy::expect_used, reason = "a constant pattern, compiled by every test")]
    fn default() -> Self {
        Self::new(Self::DEFAULT_PATTERN).expect("the default pattern is a valid regular expression")
    }
}

fn check_form(text: &str, limit: usize) -> Result<(), NameFault> {
    if text.is_empty() {
        return Err(NameFault::Empty);
    }
    if text.len() > limit {
        return Err(NameFault::TooLong { found: text.len(), limit });
    }
    if text.chars().any(char::is_control) {
        return Err(NameFault::Control);
    }
    Ok(())
}

/// `pg_*` is kept for system roles and schemas, `public` and `none` are not role names at all, and the rest are
/// keywords that stand for "whoever is logged in" where a role is expected (PostgreSQL: CREATE ROLE, GRANT).
fn is_reserved(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.starts_with("pg_")
        || matches!(
            lower.as_str(),
            "public" | "none" | "current_user" | "current_role" | "session_user" | "user"
        )
}

macro_rules! name_type {
    ($(#[$meta:meta])* $name:ident, $limit:expr) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The name as it was sent.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Takes a name that this product wrote before (a message, a row): only length and control
            /// characters are checked, because the operator may have changed the pattern since.
            pub fn from_stored(text: &str) -> Result<Self, NameFault> {
                check_form(text, $limit)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::from_stored(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

name_type! {
    /// A role on a target: 1 to 63 bytes, allowed by [`NameRules`], not reserved.
    RoleName, MAX_NAME_BYTES
}
name_type! {
    /// A schema in a `search_path`, or `$user`.
    SchemaName, MAX_NAME_BYTES
}
name_type! {
    /// A database of a target: 1 to 63 bytes without control characters. It exists already and somebody with
    /// the right to register targets named it, so the pattern for new names does not apply.
    DatabaseName, MAX_NAME_BYTES
}
name_type! {
    /// An environment such as `dev` or `prod`: `[a-z0-9][a-z0-9_-]*`, at most 32 bytes.
    Env, MAX_ENV_BYTES
}

const MAX_ENV_BYTES: usize = 32;
const ENV_PATTERN: &str = "[a-z0-9][a-z0-9_-]*";

impl RoleName {
    /// Parses a caller's text.
    pub fn parse(text: &str, rules: &NameRules) -> Result<Self, NameFault> {
        rules.check(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl SchemaName {
    /// The entry that stands for the schema of the role's own name.
    pub const USER: &str = "$user";

    /// Parses a caller's text. `$user` is read with and without its double quotes, since both spellings are
    /// in use: PostgreSQL shows `"$user"`, people write `$user`.
    pub fn parse(text: &str, rules: &NameRules) -> Result<Self, NameFault> {
        if text == Self::USER || text == "\"$user\"" {
            return Ok(Self(Self::USER.to_owned()));
        }
        if text == "public" || text == "pg_catalog" {
            return Ok(Self(text.to_owned()));
        }
        rules.check(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl DatabaseName {
    /// Parses a caller's text.
    pub fn parse(text: &str) -> Result<Self, NameFault> {
        Self::from_stored(text)
    }
}

impl Env {
    /// Parses a caller's text.
    pub fn parse(text: &str) -> Result<Self, NameFault> {
        check_form(text, MAX_ENV_BYTES)?;
        let bytes = text.as_bytes();
        let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        if plain(&bytes[0]) && bytes.iter().all(|b| plain(b) || matches!(b, b'_' | b'-')) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameFault::Pattern { pattern: ENV_PATTERN.to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(text: &str) -> Result<RoleName, NameFault> {
        RoleName::parse(text, &NameRules::default())
    }

    #[test]
    fn real_names_pass_unchanged() {
        for name in
            ["jsmith", "web01_8080", "web-01.eu_8080", "dv_gearservice", "_x", "a$b", "ops@corp", "index"]
        {
            assert_eq!(role(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn sixty_three_bytes_pass_and_sixty_four_do_not() {
        assert!(role(&"a".repeat(63)).is_ok());
        assert_eq!(role(&"a".repeat(64)), Err(NameFault::TooLong { found: 64, limit: 63 }));
        // Bytes count, not characters: 32 two-byte letters are 64 bytes.
        assert_eq!(role(&"é".repeat(32)), Err(NameFault::TooLong { found: 64, limit: 63 }));
    }

    #[test]
    fn nothing_is_folded_cut_or_trimmed() {
        let pattern = || NameFault::Pattern { pattern: NameRules::DEFAULT_PATTERN.to_owned() };
        for name in
            ["JSmith", " a", "a ", "a b", "o'brien", "a\"b", "a;b", "1abc", "José", "a/b", "a\\b", "-a"]
        {
            assert_eq!(role(name), Err(pattern()), "{name:?}");
        }
        for name in ["a\0b", "a\nb", "a\n", "a\u{7f}b", "a\u{85}b"] {
            assert_eq!(role(name), Err(NameFault::Control), "{name:?}");
        }
        assert_eq!(role(""), Err(NameFault::Empty));
    }

    #[test]
    fn reserved_names_are_refused_in_any_case_and_under_any_pattern() {
        let wide = NameRules::new(".*").unwrap();
        for name in ["pg_x", "PG_x", "public", "Public", "none", "current_user", "session_user", "user"] {
            assert_eq!(RoleName::parse(name, &wide), Err(NameFault::Reserved), "{name:?}");
        }
        assert_eq!(RoleName::parse("JSmith", &wide).unwrap().as_str(), "JSmith");
    }

    #[test]
    fn a_widened_pattern_stays_anchored() {
        let rules = NameRules::new("a|b").unwrap();
        assert!(RoleName::parse("a", &rules).is_ok());
        assert!(RoleName::parse("ab", &rules).is_err());
        assert!(NameRules::new("[").is_err());
    }

    #[test]
    fn schemas_may_be_public_and_the_users_own() {
        let rules = NameRules::default();
        for (text, name) in [("$user", "$user"), ("\"$user\"", "$user"), ("public", "public"), ("app", "app")]
        {
            assert_eq!(SchemaName::parse(text, &rules).unwrap().as_str(), name);
        }
        assert!(SchemaName::parse("public; ALTER ROLE x CREATEROLE", &rules).is_err());
        assert!(SchemaName::parse("a,b", &rules).is_err());
    }

    #[test]
    fn environments_are_short_and_plain() {
        for env in ["dev", "prod-eu", "qa_2", "1"] {
            assert_eq!(Env::parse(env).unwrap().as_str(), env);
        }
        assert!(Env::parse(&"e".repeat(32)).is_ok());
        assert_eq!(Env::parse(&"e".repeat(33)), Err(NameFault::TooLong { found: 33, limit: 32 }));
        for env in ["", "Dev", "dev/x", "-dev", "dev x", "dév"] {
            assert!(Env::parse(env).is_err(), "{env:?}");
        }
    }
}
