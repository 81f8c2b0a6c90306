//! Reading the fields of an object and finding all its faults at once.
//!
//! A fault names a field and a rule and repeats no value: what came in may be long, hostile or a password.

use std::cell::RefCell;
use std::collections::BTreeSet;

use rolecall_shared::domain::{Failure, FieldFault};
use serde_json::{Map, Value};

/// The fields of one object. Reading notes faults; [`Fields::finish`] tells them all.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    /// What stands before the names in faults: `login.`.
    prefix: &'static str,
    read: RefCell<BTreeSet<&'static str>>,
    faults: RefCell<Vec<FieldFault>>,
}

/// More faults than this do not help anybody.
const MAX_FAULTS: usize = 32;
/// A longer name is not repeated.
const MAX_SHOWN: usize = 64;

/// A name of the caller's own, as it may stand in an answer: whole if it is short and plain, so that a slip of the pen
/// is found; else only its length, because answers end up in terminals and logs.
pub(super) fn shown(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if (1..=MAX_SHOWN).contains(&name.len()) && name.bytes().all(plain) {
        name.to_owned()
    } else {
        format!("(a name of {} bytes)", name.len())
    }
}

impl<'a> Fields<'a> {
    pub(super) fn of(map: &'a Map<String, Value>) -> Self {
        Self::within("", map)
    }

    pub(super) fn within(prefix: &'static str, map: &'a Map<String, Value>) -> Self {
        Self { map, prefix, read: RefCell::default(), faults: RefCell::default() }
    }

    /// Notes what is wrong with a field.
    pub(super) fn fault(&self, field: &str, detail: impl std::fmt::Display) {
        let field = format!("{}{field}", self.prefix);
        self.faults.borrow_mut().push(FieldFault { field, detail: detail.to_string() });
    }

    /// The value of a field that is there and not `null`.
    pub(super) fn value(&self, field: &'static str) -> Option<&'a Value> {
        self.read.borrow_mut().insert(field);
        self.map.get(field).filter(|value| !value.is_null())
    }

    /// A string, if the field is there.
    pub(super) fn text(&self, field: &'static str) -> Option<&'a str> {
        let value = self.value(field)?;
        if value.as_str().is_none() {
            self.fault(field, "must be a string");
        }
        value.as_str()
    }

    /// A string that must be there.
    pub(super) fn required_text(&self, field: &'static str) -> Option<&'a str> {
        self.require(field);
        self.text(field)
    }

    /// Notes a field that is missing or `null`.
    pub(super) fn require(&self, field: &'static str) {
        if self.value(field).is_none() {
            self.fault(field, "is required");
        }
    }

    /// `true` or `false`, if the field is there.
    pub(super) fn boolean(&self, field: &'static str) -> Option<bool> {
        let value = self.value(field)?;
        if value.as_bool().is_none() {
            self.fault(field, "must be true or false");
        }
        value.as_bool()
    }

    /// A list of strings, if the field is there.
    pub(super) fn texts(&self, field: &'static str) -> Option<Vec<String>> {
        let items = self.value(field)?.as_array();
        let texts = items.and_then(|items| {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        if texts.is_none() {
            self.fault(field, "must be a list of strings");
        }
        texts
    }

    /// A TCP port, if the field is there.
    pub(super) fn port(&self, field: &'static str) -> Option<u16> {
        let value = self.value(field)?;
        let port = value.as_u64().and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
        if port.is_none() {
            self.fault(field, "must be a whole number from 1 to 65535");
        }
        port
    }

    /// What a parser makes of a text; its error is the fault.
    pub(super) fn parsed<T, E: std::fmt::Display>(
        &self,
        field: &str,
        text: Option<&'a str>,
        parse: impl FnOnce(&'a str) -> Result<T, E>,
    ) -> Option<T> {
        parse(text?).map_err(|error| self.fault(field, error)).ok()
    }

    /// Takes over the faults of an object within this one.
    pub(super) fn absorb(&self, inner: Fields<'_>) {
        self.faults.borrow_mut().extend(inner.into_faults());
    }

    fn into_faults(self) -> Vec<FieldFault> {
        let read = self.read.into_inner();
        let mut faults = self.faults.into_inner();
        for field in self.map.keys().filter(|field| !read.contains(field.as_str())) {
            let field = format!("{}{}", self.prefix, shown(field));
            faults.push(FieldFault { field, detail: "is not known here".to_owned() });
        }
        faults
    }

    /// All faults, unknown fields among them, or nothing to complain of.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let mut faults = self.into_faults();
        faults.truncate(MAX_FAULTS);
        if faults.is_empty() { Ok(()) } else { Err(Failure::fields(faults)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "reads better at its callers")]
    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn faults(fields: Fields<'_>) -> Vec<String> {
        let failure = fields.finish().unwrap_err();
        failure.field_faults().iter().map(|f| format!("{}: {}", f.field, f.detail)).collect()
    }

    #[test]
    fn all_faults_come_at_once() {
        let map = map(serde_json::json!({ "a": 1, "b": null, "port": 0, "flag": "yes", "extra": 1 }));
        let fields = Fields::of(&map);
        assert_eq!(fields.text("a"), None);
        assert_eq!(fields.required_text("b"), None);
        assert_eq!(fields.port("port"), None);
        assert_eq!(fields.boolean("flag"), None);
        assert_eq!(
            faults(fields),
            [
                "a: must be a string",
                "b: is required",
                "port: must be a whole number from 1 to 65535",
                "flag: must be true or false",
                "extra: is not known here",
            ]
        );
    }

    #[test]
    fn ports_are_numbers() {
        for (value, port) in [
            (serde_json::json!(1), Some(1)),
            (serde_json::json!(65535), Some(65535)),
            (serde_json::json!(65536), None),
            (serde_json::json!(-1), None),
            (serde_json::json!(80.5), None),
            (serde_json::json!("8080"), None),
        ] {
            let map = map(serde_json::json!({ "port": value }));
            assert_eq!(Fields::of(&map).port("port"), port, "{map:?}");
        }
    }

    #[test]
    fn names_are_repeated_if_they_are_plain() {
        for name in ["evnt", "a-b.c_1", &"x".repeat(64)] {
            assert_eq!(shown(name), name);
        }
        for name in ["", "a b", "a\nb", "é", "a'; DROP ROLE b", &"x".repeat(65)] {
            assert_eq!(shown(name), format!("(a name of {} bytes)", name.len()));
        }
    }

    #[test]
    fn long_names_are_not_repeated_and_faults_do_not_pile_up() {
        let long = "x".repeat(10_000);
        let map = map(serde_json::json!({ long.clone(): 1 }));
        assert_eq!(faults(Fields::of(&map)), ["(a name of 10000 bytes): is not known here"]);
        let many: Map<String, Value> = (0..1000).map(|n| (n.to_string(), Value::Null)).collect();
        assert_eq!(faults(Fields::of(&many)).len(), MAX_FAULTS);
    }
}
