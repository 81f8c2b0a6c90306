//! Texts of notifications with placeholders, as an operator writes them: `{role} on {env}/{database}`.
//!
//! A placeholder stands for one value of an event and for nothing else: no conditions, no calls, no other files. The
//! operator's own words are left as they are; values are escaped by whoever renders, for where the text goes.

use std::borrow::Cow;
use std::fmt;

/// The longest template, in bytes.
pub const MAX_TEMPLATE_BYTES: usize = 2_000;

macro_rules! placeholders {
    ($($(#[$meta:meta])* $name:ident = $text:literal;)+) => {
        /// What a template can name. None of it is a password or opens one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Placeholder {
            $($(#[$meta])* $name,)+
        }

        impl Placeholder {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// As it is written between braces.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

placeholders! {
    /// The event's name: `ticket.failed`.
    Event = "event";
    /// When it happened (RFC 3339, UTC).
    Time = "time";
    /// The target's environment.
    Env = "env";
    /// The target's database.
    Database = "database";
    /// `hostname:port`.
    Host = "host";
    /// The role's kind.
    Kind = "kind";
    /// The role.
    Role = "role";
    /// The operation: `create_role`.
    Operation = "operation";
    /// What came of it: `created`.
    Outcome = "outcome";
    /// Why not, as a stable code.
    Code = "code";
    /// Who did it, or asked for it.
    Account = "account";
    /// The ticket's id.
    Ticket = "ticket";
    /// Where the ticket is; says nothing to who may not read it.
    TicketUrl = "ticket_url";
    /// How many events of this ticket there were, this one included.
    Sequence = "sequence";
    /// The name of the rule that matched.
    Rule = "rule";
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Words(String),
    Value(Placeholder),
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFault {
    /// Nothing would be sent.
    #[error("is empty")]
    Empty,
    /// Over [`MAX_TEMPLATE_BYTES`].
    #[error("is longer than {MAX_TEMPLATE_BYTES} bytes")]
    TooLong,
    /// `{` without `}`, or the other way round.
    #[error("has a brace without its other half; write {{{{ or }}}} for a brace that is meant as one")]
    Brace,
    /// No such placeholder.
    #[error("`{{{}}}` is no placeholder; known are {}", .0.escape_debug(), known())]
    Unknown(String),
}

fn known() -> String {
    let names: Vec<_> =
        Placeholder::ALL.iter().map(|placeholder| format!("{{{}}}", placeholder.as_str())).collect();
    names.join(" ")
}

impl Template {
    /// Reads `{name}`, and `{{` and `}}` as braces.
    pub fn parse(text: &str) -> Result<Self, TemplateFault> {
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(TemplateFault::TooLong);
        }
        if text.trim().is_empty() {
            return Err(TemplateFault::Empty);
        }
        let (mut parts, mut words, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            words.push_str(&rest[..at]);
            let found = &rest[at..];
            if found.starts_with("{{") || found.starts_with("}}") {
                words.push_str(&found[..1]);
                rest = &found[2..];
                continue;
            }
            let inner = found.strip_prefix('{').ok_or(TemplateFault::Brace)?;
            let (name, after) = inner.split_once('}').ok_or(TemplateFault::Brace)?;
            let placeholder = Placeholder::ALL.iter().find(|known| known.as_str() == name);
            let placeholder = placeholder.ok_or_else(|| TemplateFault::Unknown(name.to_owned()))?;
            if !words.is_empty() {
                parts.push(Part::Words(std::mem::take(&mut words)));
            }
            parts.push(Part::Value(*placeholder));
            rest = after;
        }
        words.push_str(rest);
        if !words.is_empty() {
            parts.push(Part::Words(words));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// The text with each placeholder's value in its place. `value` has escaped what it gives.
    pub fn render<'v>(&self, value: impl Fn(Placeholder) -> Cow<'v, str>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Words(words) => text.push_str(words),
                Part::Value(placeholder) => text.push_str(&value(*placeholder)),
            }
        }
        text
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str) -> String {
        Template::parse(text).unwrap().render(|placeholder| format!("<{}>", placeholder.as_str()).into())
    }

    #[test]
    fn placeholders_are_replaced_and_braces_can_be_written() {
        assert_eq!(rendered("{role} on {env}/{database}"), "<role> on <env>/<database>");
        assert_eq!(rendered("{{{role}}} and {{role}}, ünï"), "{<role>} and {role}, ünï");
        assert_eq!(rendered("no placeholder"), "no placeholder");
        for placeholder in Placeholder::ALL {
            let text = format!("{{{}}}", placeholder.as_str());
            assert_eq!(rendered(&text), format!("<{}>", placeholder.as_str()));
        }
    }

    #[test]
    fn a_value_is_never_read_as_a_template() {
        let template = Template::parse("{role}").unwrap();
        assert_eq!(template.render(|_| "{env} {{".into()), "{env} {{");
    }

    #[test]
    fn what_is_no_template_says_why() {
        let fault = |text: &str| Template::parse(text).unwrap_err();
        assert_eq!(fault(" \n"), TemplateFault::Empty);
        for text in ["{role", "role}", "{", "}", "{{role}", "{role}}", "{é"] {
            assert_eq!(fault(text), TemplateFault::Brace, "{text}");
        }
        for name in ["", "password", " role", "Role", "role.name"] {
            assert_eq!(fault(&format!("a {{{name}}}")), TemplateFault::Unknown(name.to_owned()));
        }
        let told = fault("{user}").to_string();
        assert!(told.starts_with("`{user}` is no placeholder; known are {event} {time} {env}"), "{told}");
        assert!(fault("}").to_string().contains("write {{ or }} for"));
    }

    #[test]
    fn the_longest_template_is_taken_and_a_longer_one_is_not() {
        assert!(Template::parse(&"x".repeat(MAX_TEMPLATE_BYTES)).is_ok());
        assert_eq!(Template::parse(&"x".repeat(MAX_TEMPLATE_BYTES + 1)), Err(TemplateFault::TooLong));
    }
}
