//! Looking for secrets in bytes, in every form in which they are likely to be written down by accident.

use std::collections::HashMap;
use std::path::Path;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::NO_PAD;

/// Secrets, by a name that may be printed.
#[derive(Default)]
pub(crate) struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    pub(crate) fn add(&mut self, name: impl Into<String>, secret: impl AsRef<[u8]>) {
        let secret = secret.as_ref();
        assert!(secret.len() >= HEAD, "too short to be found by");
        self.0.push((name.into(), secret.to_owned()));
    }

    /// All of them in one pass over each place.
    pub(crate) fn search(&self) -> Search {
        let mut search = Search { forms: HashMap::new(), starts: vec![false; 1 << 16] };
        for (name, secret) in &self.0 {
            for form in forms(secret) {
                search.starts[start(&form)] = true;
                search.forms.entry(form[..HEAD].to_owned()).or_default().push((form, name.clone()));
            }
        }
        search
    }
}

/// No form is shorter.
const HEAD: usize = 8;

pub(crate) struct Search {
    /// Forms with the names of their secrets, by their first bytes.
    forms: HashMap<Vec<u8>, Vec<(Vec<u8>, String)>>,
    /// Which two bytes some form begins with: most places in most files are passed by with one look.
    starts: Vec<bool>,
}

impl Search {
    /// The name of a secret that stands there.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<&str> {
        bytes.windows(HEAD).enumerate().filter(|(_, head)| self.starts[start(head)]).find_map(|(at, head)| {
            let alike = self.forms.get(head)?;
            alike.iter().find(|(form, _)| bytes[at..].starts_with(form)).map(|(_, name)| name.as_str())
        })
    }
}

fn start(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// As it is, in hexadecimal, as Rust shows bytes, and in base64 wherever it stands in a longer text.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex = |upper: bool| {
        let digits = |byte: &u8| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
        secret.iter().map(digits).collect::<String>().into_bytes()
    };
    let debug = secret.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut forms = vec![secret.to_owned(), hex(true), hex(false), debug.into_bytes()];
    for alphabet in [&STANDARD, &URL_SAFE] {
        let engine = GeneralPurpose::new(alphabet, NO_PAD);
        for before in 0..3 {
            let padded: Vec<u8> = std::iter::repeat_n(0, before).chain(secret.iter().copied()).collect();
            let text = engine.encode(&padded);
            // Only the characters that the neighbours have no bit in.
            let inner = (before * 8).div_ceil(6)..padded.len() * 8 / 6;
            forms.push(text.as_bytes()[inner].to_owned());
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

/// Every file below a folder that `wanted` names, with its path.
pub(crate) fn files(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, wanted));
        } else if wanted(&path)
            // A server may remove a file while it is looked at.
            && let Ok(bytes) = std::fs::read(&path)
        {
            found.push((path.display().to_string(), bytes));
        }
    }
    found
}

#[test]
fn a_secret_is_found_in_every_form_and_place() {
    let secret = b"correct-horse_battery";
    let mut secrets = Secrets::default();
    secrets.add("other", "something else");
    secrets.add("horse", secret);
    let search = secrets.search();
    let engine = GeneralPurpose::new(&STANDARD, NO_PAD);
    for before in ["", "a", "ab", "tester:"] {
        let text = format!("{before}correct-horse_battery and more");
        let hex = text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        for written in [text.clone(), engine.encode(&text), hex, format!("{:?}", text.as_bytes())] {
            assert_eq!(
                search.find(format!("\0\u{fe}log {written} end").as_bytes()),
                Some("horse"),
                "{written}"
            );
        }
    }
    assert_eq!(search.find(b"correct-horse_batter"), None);
}
