//! Sections whose names the operator chooses, such as `[oidc.NAME]`.

use super::reader::Reader;
use super::shape::{Entry, Key, Plain};

/// The names below a section that are names, with a fault for each that is none.
pub(super) fn names(reader: &mut Reader, section: &str) -> Vec<String> {
    let (good, bad): (Vec<_>, Vec<_>) =
        reader.names_under(section).into_iter().partition(|name| is_name(name));
    for name in bad {
        reader.fault(&format!("{section}.{name}"), "is named with a-z, then a-z 0-9 -, at most 32 in all");
    }
    good
}

fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    name.len() <= 32 && name.bytes().all(plain) && name.starts_with(|c: char| c.is_ascii_lowercase())
}

/// A text that has to be stated; one fault if it is not.
pub(super) fn needed(reader: &mut Reader, key: &Key<Plain>) -> Option<String> {
    must_be_there(reader, key);
    reader.plain(key)
}

/// A fault if the key is not stated.
pub(super) fn must_be_there(reader: &mut Reader, key: &impl Entry) {
    if !reader.has_section(key.path()) {
        reader.fault(key.path(), "is missing");
    }
}
