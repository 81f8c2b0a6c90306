//! What an OpenID issuer's token may be signed with, and what one of its claims has to be.

use std::fmt;

use regex::Regex;

macro_rules! algorithms {
    ($($(#[$meta:meta])* $name:ident = $text:literal;)+) => {
        /// How a token may be signed (RFC 7518, section 3.1; RFC 8037 for `EdDSA`): with a private key, so that what
        /// verifies it cannot make one. `none` and the `HS…` family have no value here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum SignatureAlgorithm {
            $($(#[$meta])* $name,)+
        }

        impl SignatureAlgorithm {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// As it stands in a token's header.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

algorithms! {
    /// RSA with PKCS #1 v1.5 padding and SHA-256.
    Rs256 = "RS256";
    /// The same with SHA-384.
    Rs384 = "RS384";
    /// The same with SHA-512.
    Rs512 = "RS512";
    /// RSA with PSS padding and SHA-256.
    Ps256 = "PS256";
    /// The same with SHA-384.
    Ps384 = "PS384";
    /// The same with SHA-512.
    Ps512 = "PS512";
    /// ECDSA on P-256 with SHA-256.
    Es256 = "ES256";
    /// ECDSA on P-384 with SHA-384.
    Es384 = "ES384";
    /// Ed25519.
    EdDsa = "EdDSA";
}

impl SignatureAlgorithm {
    /// Exactly as written in RFC 7518.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.as_str() == text)
    }
}

/// Claims that name a branch or tag, and so may be matched by a pattern: GitHub's `ref`, `base_ref` and `head_ref`,
/// GitLab's `ref` and `ref_path`. In every other claim a `*` would let in owners nobody thought of.
pub const REF_CLAIMS: [&str; 4] = ["ref", "base_ref", "head_ref", "ref_path"];

/// Claims that say whose code it is: without one of them every user of a public issuer would be let in. GitHub's
/// first, then GitLab's; `sub` is both.
pub const OWNER_CLAIMS: [&str; 9] = [
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "project_path",
    "project_id",
    "namespace_path",
    "namespace_id",
    "sub",
];

/// What a claim has to be: a text, or for [`REF_CLAIMS`] a pattern in which `*` is any run of characters but `/`, and
/// `**` any run at all. Case counts.
#[derive(Debug, Clone)]
pub struct ClaimPattern {
    text: String,
    /// Only if there is a `*` in it.
    pattern: Option<Regex>,
}

/// The longest pattern; Git's own references are shorter.
const MAX_PATTERN_BYTES: usize = 512;

/// Why a text is no pattern for a claim.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClaimPattern {
    /// Nothing to compare with.
    #[error("is empty")]
    Empty,
    /// A `*` where it would let in too much.
    #[error(
        "has a `*`, which is a pattern only in {}: state every value in full, or the owner's id or name by itself",
        REF_CLAIMS.join(", ")
    )]
    NotARef,
    /// Longer than any reference.
    #[error("is too long for a pattern")]
    TooLong,
}

impl ClaimPattern {
    /// What this claim has to be.
    pub fn parse(claim: &str, text: &str) -> Result<Self, InvalidClaimPattern> {
        if text.is_empty() {
            return Err(InvalidClaimPattern::Empty);
        }
        let pattern = match (text.contains('*'), REF_CLAIMS.contains(&claim)) {
            (false, _) => None,
            (true, false) => return Err(InvalidClaimPattern::NotARef),
            (true, true) if text.len() > MAX_PATTERN_BYTES => return Err(InvalidClaimPattern::TooLong),
            (true, true) => Some(compile(text).ok_or(InvalidClaimPattern::TooLong)?),
        };
        Ok(Self { text: text.to_owned(), pattern })
    }

    /// Whether this value of the claim will do.
    pub fn matches(&self, value: &str) -> bool {
        self.pattern.as_ref().map_or(value == self.text, |pattern| pattern.is_match(value))
    }

    /// As the operator wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for ClaimPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A regular expression, because the crate's matching takes time in proportion to the value, whatever the pattern is.
fn compile(text: &str) -> Option<Regex> {
    let mut expression = String::from(r"\A(?s:");
    for (n, run) in text.split("**").enumerate() {
        expression.push_str(if n > 0 { ".*" } else { "" });
        let parts: Vec<_> = run.split('*').map(regex::escape).collect();
        expression.push_str(&parts.join("[^/]*"));
    }
    expression.push_str(r")\z");
    Regex::new(&expression).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_a_segment_and_two_do_not() {
        let matches = |pattern, value| ClaimPattern::parse("ref", pattern).unwrap().matches(value);
        for (pattern, value) in [
            ("refs/heads/main", "refs/heads/main"),
            ("refs/heads/*", "refs/heads/main"),
            ("refs/heads/*", "refs/heads/"),
            ("refs/heads/release-*", "refs/heads/release-1.2"),
            ("refs/*/v*", "refs/tags/v1"),
            ("refs/heads/**", "refs/heads/team/a/b"),
            ("**", "refs/pull/1/merge"),
            ("***", "a/b"),
        ] {
            assert!(matches(pattern, value), "{pattern} {value}");
        }
        for (pattern, value) in [
            ("refs/heads/main", "refs/heads/main2"),
            ("refs/heads/main", "refs/heads/Main"),
            ("refs/heads/*", "refs/heads/a/b"),
            ("refs/heads/*", "refs/tags/a"),
            ("refs/heads/*", "xrefs/heads/a"),
            ("refs/heads/*", "refs/heads/a/"),
            ("refs.heads.*", "refs/heads/a"),
            ("refs/heads/release-*", "refs/heads/release"),
            ("main*", "x\nmain"),
        ] {
            assert!(!matches(pattern, value), "{pattern} {value}");
        }
    }

    #[test]
    fn elsewhere_a_star_is_refused() {
        let parse = |claim: &str, text: &str| ClaimPattern::parse(claim, text).map(|_| ());
        assert_eq!(parse("repository", "acme/*"), Err(InvalidClaimPattern::NotARef));
        assert_eq!(parse("sub", "repo:acme/app:*"), Err(InvalidClaimPattern::NotARef));
        assert_eq!(parse("environment", "prod*"), Err(InvalidClaimPattern::NotARef));
        assert_eq!(parse("ref", ""), Err(InvalidClaimPattern::Empty));
        assert_eq!(parse("ref", &"x*".repeat(257)), Err(InvalidClaimPattern::TooLong));
        assert_eq!(parse("head_ref", "*"), Ok(()));
    }

    #[test]
    fn algorithms_are_named_exactly() {
        for algorithm in SignatureAlgorithm::ALL {
            assert_eq!(SignatureAlgorithm::parse(algorithm.as_str()), Some(*algorithm));
        }
        for text in ["none", "HS256", "rs256", "EDDSA", "ES512", ""] {
            assert_eq!(SignatureAlgorithm::parse(text), None, "{text}");
        }
    }
}
