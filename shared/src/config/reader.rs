//! Reads one key after another and keeps every fault. Where a value is wrong the default stands in, so that the
//! rest can be read too; with a fault in the list nobody gets to see the result.

use config::{Map, Value, ValueKind};
use secrecy::SecretString;
use zeroize::Zeroizing;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keys;
use super::shape::{Address, Choice, Claims, Entry, Flag, Key, Names, Number, Period, Plain, Secret, Text};
use super::sources::variable_of;

/// The longest secret file, in bytes: whoever names another kind of file is told so.
const MAX_SECRET_FILE_BYTES: usize = 65_536;

pub(super) struct Reader {
    tree: Map<String, Value>,
    pub(super) faults: Vec<String>,
}

impl Reader {
    pub(super) fn new(tree: Map<String, Value>, faults: Vec<String>) -> Self {
        Self { tree, faults }
    }

    pub(super) fn fault(&mut self, path: &str, text: impl std::fmt::Display) {
        self.faults.push(format!("{path}: {text}"));
    }

    /// Whether a section has any value.
    pub(super) fn has_section(&self, section: &str) -> bool {
        self.find(section).is_some()
    }

    /// The names that the operator chose under a section.
    pub(super) fn names_under(&self, section: &str) -> Vec<String> {
        let Some(ValueKind::Table(table)) = self.find(section) else { return Vec::new() };
        let mut names: Vec<_> = table.keys().cloned().collect();
        names.sort();
        names
    }

    /// The claims that the operator named, each with its values; one fault for each that has none.
    pub(super) fn claims(&mut self, key: &Key<Claims>) -> Vec<(String, Vec<String>)> {
        let section = key.path.trim_end_matches(".**");
        let Some(ValueKind::Table(table)) = self.find(section) else { return Vec::new() };
        let mut claims: Vec<_> =
            table.iter().map(|(name, value)| (name.clone(), texts_of(&value.kind))).collect();
        claims.sort();
        let mut read = Vec::with_capacity(claims.len());
        for (name, values) in claims {
            match values {
                Some(values) if !values.is_empty() => read.push((name, values)),
                Some(_) | None => {
                    let text = format!("must be {}, and a name with dots is quoted", key.expects());
                    self.fault(&format!("{section}.{name}"), text);
                }
            }
        }
        read
    }

    pub(super) fn number<T: TryFrom<i64> + Default>(&mut self, key: &Key<Number>) -> T {
        let number = self.number_if_set(key).unwrap_or(key.shape.default);
        T::try_from(number).unwrap_or_else(|_| {
            self.fault(&key.path, format_args!("must be {}", key.expects()));
            T::default()
        })
    }

    pub(super) fn number_if_set(&mut self, key: &Key<Number>) -> Option<i64> {
        self.integer(key, key.shape.min, key.shape.max)
    }

    pub(super) fn period(&mut self, key: &Key<Period>) -> Duration {
        key.span(self.integer(key, key.shape.min, key.shape.max).unwrap_or(key.shape.default))
    }

    fn integer(&mut self, key: &impl Entry, min: i64, max: i64) -> Option<i64> {
        let value = self.find(key.path())?;
        let number = if let ValueKind::I64(number) = value {
            Some(*number)
        } else {
            text_of(value).and_then(|text| text.parse().ok())
        };
        match number {
            Some(number) if (min..=max).contains(&number) => Some(number),
            Some(number) => {
                self.fault(key.path(), format_args!("must be {}; it is {number}", key.expects()));
                None
            }
            None => self.wrong(key),
        }
    }

    pub(super) fn flag(&mut self, key: &Key<Flag>) -> bool {
        self.flag_if_set(key).unwrap_or(key.shape.default)
    }

    pub(super) fn flag_if_set(&mut self, key: &Key<Flag>) -> Option<bool> {
        let value = self.find(&key.path)?;
        let flag = if let ValueKind::Boolean(flag) = value {
            Some(*flag)
        } else {
            text_of(value).and_then(|text| text.parse().ok())
        };
        flag.or_else(|| self.wrong(key))
    }

    pub(super) fn text(&mut self, key: &Key<Text>) -> String {
        match self.string(key) {
            Ok(text) => text.unwrap_or_else(|| key.shape.default.to_owned()),
            Err(()) => key.shape.default.to_owned(),
        }
    }

    pub(super) fn choice_if_set(&mut self, key: &Key<Choice>) -> Option<String> {
        let word = self.string(key).ok()??;
        if key.shape.of.contains(&word.as_str()) { Some(word) } else { self.wrong(key) }
    }

    /// None is `off`.
    pub(super) fn address(&mut self, key: &Key<Address>) -> Option<SocketAddr> {
        let text = self.string(key).ok()?.unwrap_or_else(|| key.shape.default.to_owned());
        if key.shape.may_be_off && text == "off" {
            return None;
        }
        match text.parse() {
            Ok(address) => Some(address),
            Err(_) => self.wrong(key),
        }
    }

    pub(super) fn names(&mut self, key: &Key<Names>) -> Vec<String> {
        self.names_if_set(key)
            .unwrap_or_else(|| key.shape.default.iter().map(|&name| name.to_owned()).collect())
    }

    /// An array, or a text with commas: the environment knows no arrays.
    pub(super) fn names_if_set(&mut self, key: &Key<Names>) -> Option<Vec<String>> {
        let value = self.find(&key.path)?;
        let names = if let ValueKind::Array(values) = value {
            values.iter().map(|value| text_of(&value.kind).map(ToOwned::to_owned)).collect()
        } else {
            text_of(value).map(split)
        };
        names.or_else(|| self.wrong(key))
    }

    /// The names of a list, each parsed; one fault per name that is none.
    pub(super) fn parsed<T, E: std::fmt::Display>(
        &mut self,
        path: &str,
        names: Vec<String>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let mut parsed = Vec::with_capacity(names.len());
        for name in names {
            match parse(&name) {
                Ok(value) => parsed.push(value),
                Err(error) => self.fault(path, format_args!("`{}` {error}", name.escape_debug())),
            }
        }
        parsed
    }

    pub(super) fn plain(&mut self, key: &Key<Plain>) -> Option<String> {
        let text = self.string(key).ok()??;
        if text.is_empty() {
            self.fault(&key.path, "is empty");
            return None;
        }
        Some(text)
    }

    /// Whether the secret is stated in either way, rightly or wrongly.
    pub(super) fn states_secret(&self, key: &Key<Secret>) -> bool {
        self.find(&key.path).is_some() || self.find(&format!("{}_file", key.path)).is_some()
    }

    pub(super) fn secret(&mut self, key: &Key<Secret>) -> Option<SecretString> {
        let file = format!("{}_file", key.path);
        if self.find(&key.path).is_some() && self.find(&file).is_some() {
            self.fault(&key.path, format_args!("is stated, and so is {file}: remove one of them"));
            return None;
        }
        if self.find(&file).is_some() {
            return self.secret_file(&file);
        }
        let secret = SecretString::from(self.string(key).ok()??);
        self.not_empty(&key.path, secret)
    }

    /// Says that a key which the command needs is missing.
    pub(super) fn missing_secret(&mut self, key: &Key<Secret>, reason: &str) {
        let path = &key.path;
        let variable = variable_of(path);
        self.fault(path, format_args!("is missing{reason}: set {path} or {path}_file (or {variable})"));
    }

    /// Every file with a secret of Rolecall's own that is stated, by its key.
    pub(super) fn own_files(&self) -> Vec<(String, PathBuf)> {
        let secrets = keys::ALL.iter().filter(|key| key.is_secret());
        let keys = secrets.flat_map(|key| self.paths_of(key.path())).map(|path| format!("{path}_file"));
        let keys = keys.chain([keys::SEAL_KEY_FILE.path.clone().into_owned()]);
        keys.filter_map(|key| {
            let file = PathBuf::from(self.find(&key).and_then(text_of)?);
            Some((key, file))
        })
        .collect()
    }

    /// The path of a key, or with a `*` in it one for each name that the operator chose.
    fn paths_of(&self, path: &str) -> Vec<String> {
        let Some((section, _)) = path.split_once(".*") else { return vec![path.to_owned()] };
        self.names_under(section).into_iter().map(|name| path.replacen('*', &name, 1)).collect()
    }

    fn secret_file(&mut self, path: &str) -> Option<SecretString> {
        let Some(ValueKind::String(file)) = self.find(path) else {
            self.fault(path, "must be the path of a file");
            return None;
        };
        match read_secret(Path::new(file)) {
            Ok(secret) => self.not_empty(path, secret),
            Err(text) => {
                let text = format!("{file} {text}");
                self.fault(path, text);
                None
            }
        }
    }

    fn not_empty(&mut self, path: &str, secret: SecretString) -> Option<SecretString> {
        use secrecy::ExposeSecret;
        if secret.expose_secret().is_empty() {
            self.fault(path, "is empty");
            return None;
        }
        Some(secret)
    }

    /// `Err` is a value that is no text; its fault is in the list.
    fn string(&mut self, key: &impl Entry) -> Result<Option<String>, ()> {
        match self.find(key.path()) {
            None => Ok(None),
            Some(ValueKind::String(text)) => Ok(Some(text.clone())),
            Some(_) => {
                self.wrong::<()>(key);
                Err(())
            }
        }
    }

    /// The value is not repeated: a password may have been put under the wrong key.
    fn wrong<T>(&mut self, key: &impl Entry) -> Option<T> {
        let expected = if key.is_secret() { "a text".to_owned() } else { key.expects() };
        self.fault(key.path(), format_args!("must be {expected}"));
        None
    }

    fn find(&self, path: &str) -> Option<&ValueKind> {
        let mut parts = path.split('.');
        let mut value = self.tree.get(parts.next()?)?;
        for part in parts {
            let ValueKind::Table(table) = &value.kind else { return None };
            value = table.get(part)?;
        }
        Some(&value.kind)
    }
}

fn text_of(value: &ValueKind) -> Option<&str> {
    if let ValueKind::String(text) = value { Some(text) } else { None }
}

/// A text, or an array of nothing but texts.
fn texts_of(value: &ValueKind) -> Option<Vec<String>> {
    if let ValueKind::Array(values) = value {
        return values.iter().map(|value| text_of(&value.kind).map(ToOwned::to_owned)).collect();
    }
    text_of(value).map(|text| vec![text.to_owned()])
}

/// The parts between commas; nothing but blanks is an empty list.
fn split(text: &str) -> Vec<String> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    text.split(',').map(|part| part.trim().to_owned()).collect()
}

/// The text of a file without the newline that editors put at its end.
fn read_secret(file: &Path) -> Result<SecretString, String> {
    let bytes = Zeroizing::new(std::fs::read(file).map_err(|error| format!("cannot be read: {error}"))?);
    if bytes.len() > MAX_SECRET_FILE_BYTES {
        return Err(format!("is longer than {MAX_SECRET_FILE_BYTES} bytes"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "is not UTF-8".to_owned())?;
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(SecretString::from(text))
}
