//! What a key's value looks like: its type, range and default. One entry of the table answers the loader and the
//! sample file alike, which is why the two cannot drift apart.

use std::borrow::Cow;
use std::time::Duration;

/// One key: where it stands, what it means, what it may be.
#[derive(Debug, Clone)]
pub(super) struct Key<S> {
    /// `section.name`; a `*` stands for a name that the operator chooses.
    pub path: Cow<'static, str>,
    /// For people, in the sample file.
    pub doc: &'static str,
    /// Type, range, default.
    pub shape: S,
}

impl<S: Copy> Key<S> {
    /// The key of one named thing: `kinds.*.naming` within `app` is `kinds.app.naming`.
    pub fn within(&self, name: &str) -> Self {
        Self { path: self.path.replacen('*', name, 1).into(), doc: self.doc, shape: self.shape }
    }
}

/// A whole number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    pub default: i64,
    pub min: i64,
    pub max: i64,
}

/// A span of time, as a whole number of the unit that ends the key's name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Period {
    pub default: i64,
    pub min: i64,
    pub max: i64,
}

impl Key<Period> {
    /// So many of the key's unit.
    pub fn span(&self, count: i64) -> Duration {
        let count = count.unsigned_abs();
        if self.path.ends_with("_milliseconds") {
            Duration::from_millis(count)
        } else {
            Duration::from_secs(count)
        }
    }
}

/// True or false.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flag {
    pub default: bool,
}

/// A text with a default.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    pub default: &'static str,
}

/// One of a few words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub default: &'static str,
    pub of: &'static [&'static str],
}

/// An IP address with a port.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address {
    pub default: &'static str,
    pub may_be_off: bool,
}

/// A list of texts; in the environment separated by commas.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    pub default: &'static [&'static str],
    pub example: &'static [&'static str],
}

/// A text that nobody can guess.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain {
    pub example: &'static str,
    pub needed_by: &'static str,
}

/// A secret, given by itself or as the path of a file under the same key with `_file` behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Secret {
    pub example: &'static str,
    pub needed_by: &'static str,
}

/// Claims and their values; the operator chooses the names, which may hold dots. The path ends in `**`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claims {
    /// Names and values as they are written in TOML.
    pub example: &'static [(&'static str, &'static str)],
}

/// A key without its type, for the list of all keys.
pub(super) trait Entry: Sync {
    /// Where it stands.
    fn path(&self) -> &str;
    /// What it means.
    fn doc(&self) -> &str;
    /// What it may be, in words.
    fn expects(&self) -> String;
    /// The default as it is written in TOML.
    fn default(&self) -> Option<String>;
    /// What the sample shows where there is no default.
    fn example(&self) -> Option<String> {
        None
    }
    /// Whether `…_file` exists beside it.
    fn is_secret(&self) -> bool {
        false
    }
}

macro_rules! entry {
    ($shape:ty { $($rest:item)+ }) => {
        impl Entry for Key<$shape> {
            fn path(&self) -> &str {
                &self.path
            }
            fn doc(&self) -> &str {
                self.doc
            }
            $($rest)+
        }
    };
}

entry!(Number {
    fn expects(&self) -> String {
        format!("a whole number from {} to {}", self.shape.min, self.shape.max)
    }
    fn default(&self) -> Option<String> {
        Some(self.shape.default.to_string())
    }
});
entry!(Period {
    fn expects(&self) -> String {
        format!("a whole number from {} to {}", self.shape.min, self.shape.max)
    }
    fn default(&self) -> Option<String> {
        Some(self.shape.default.to_string())
    }
});
entry!(Flag {
    fn expects(&self) -> String {
        "true or false".to_owned()
    }
    fn default(&self) -> Option<String> {
        Some(self.shape.default.to_string())
    }
});
entry!(Text {
    fn expects(&self) -> String {
        "a text".to_owned()
    }
    fn default(&self) -> Option<String> {
        Some(quoted(self.shape.default))
    }
});
entry!(Choice {
    fn expects(&self) -> String {
        let words: Vec<_> = self.shape.of.iter().map(|word| format!("`{word}`")).collect();
        format!("one of {}", words.join(", "))
    }
    fn default(&self) -> Option<String> {
        Some(quoted(self.shape.default))
    }
});
entry!(Address {
    fn expects(&self) -> String {
        let off = if self.shape.may_be_off { ", or `off`" } else { "" };
        let example = if self.shape.default == "off" { "0.0.0.0:5443" } else { self.shape.default };
        format!("an IP address with a port, such as {example}{off}")
    }
    fn default(&self) -> Option<String> {
        Some(quoted(self.shape.default))
    }
});
entry!(Names {
    fn expects(&self) -> String {
        "a list of texts (in the environment separated by commas)".to_owned()
    }
    fn default(&self) -> Option<String> {
        Some(list(self.shape.default))
    }
    fn example(&self) -> Option<String> {
        (!self.shape.example.is_empty()).then(|| list(self.shape.example))
    }
});
entry!(Plain {
    fn expects(&self) -> String {
        format!("a text; needed {}", self.shape.needed_by)
    }
    fn default(&self) -> Option<String> {
        None
    }
    fn example(&self) -> Option<String> {
        Some(quoted(self.shape.example))
    }
});
entry!(Secret {
    fn expects(&self) -> String {
        format!("a secret; needed {}", self.shape.needed_by)
    }
    fn default(&self) -> Option<String> {
        None
    }
    fn example(&self) -> Option<String> {
        Some(quoted(self.shape.example))
    }
    fn is_secret(&self) -> bool {
        true
    }
});
entry!(Claims {
    fn expects(&self) -> String {
        "a text, or a list of texts".to_owned()
    }
    fn default(&self) -> Option<String> {
        None
    }
    fn example(&self) -> Option<String> {
        let lines: Vec<_> = self.shape.example.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        Some(lines.join("\n"))
    }
});

/// A TOML string; literal (single quotes) where a basic one would need escapes.
fn quoted(text: &str) -> String {
    if text.contains(['\\', '"']) { format!("'{text}'") } else { format!("\"{text}\"") }
}

fn list(texts: &[&str]) -> String {
    let texts: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(", "))
}
