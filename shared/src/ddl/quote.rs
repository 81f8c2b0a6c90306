//! Quoting: one function for identifiers, one for literals.
//!
//! Both suppose a text without NUL. Names have none by their types, catalog names and our own texts cannot have
//! any, and the driver refuses a query with one before it is sent.

use std::fmt;

/// Writes as a quoted identifier: `"` around it, each `"` within it doubled.
///
/// Inside double quotes nothing else is special: no backslash, no dollar, no folding of case ("Identifiers and
/// Key Words" in PostgreSQL's manual). Always quoted, keywords or not, so that no list of them is needed.
pub(super) struct Identifier<'a>(pub(super) &'a str);

/// Writes as a string literal: `'` around it, each `'` within it doubled.
///
/// Whether a backslash in a plain literal is special depends on the server's `standard_conforming_strings`. A text
/// that has one is therefore written as an escape string, `E'…'` with doubled backslashes, which means the same
/// under either setting; a text without one means the same anyhow.
pub(super) struct Literal<'a>(pub(super) &'a str);

impl fmt::Display for Identifier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escape = if self.0.contains('\\') { "E" } else { "" };
        write!(f, "{escape}'{}'", self.0.replace('\\', r"\\").replace('\'', "''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers() {
        for (text, quoted) in [
            ("web-01.eu_8080", r#""web-01.eu_8080""#),
            ("$user", r#""$user""#),
            (r#"a"b"#, r#""a""b""#),
            (r#"""#, r#""""""#),
            (r"a\b'c", r#""a\b'c""#),
            ("", r#""""#),
        ] {
            assert_eq!(Identifier(text).to_string(), quoted);
        }
    }

    #[test]
    fn literals() {
        for (text, quoted) in [
            ("plain", "'plain'"),
            ("o'brien", "'o''brien'"),
            ("'", "''''"),
            (r"\", r"E'\\'"),
            (r"\'; DROP ROLE x; --", r"E'\\''; DROP ROLE x; --'"),
            ("", "''"),
        ] {
            assert_eq!(Literal(text).to_string(), quoted);
        }
    }
}
