//! What we depend on, checked against `deny.toml` without its advisory database, which cannot be had everywhere.
//!
//! Cargo's own `tree` is asked and not `metadata`: the latter also lists packages that only a feature nobody enables
//! would bring (`ring` below `rustls-webpki`).

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::process::Command;

use rolecall_tests::stack::checkout;

/// Two versions of one of these do not fit together where their types meet.
const ONE_VERSION: [&str; 7] = ["rustls", "axum", "hyper", "tokio", "tokio-postgres", "reqwest", "utoipa"];

/// Everything that some build of some platform links or runs, tests included.
const EVERYTHING: [&str; 6] =
    ["--workspace", "--all-features", "--target", "all", "--edges", "normal,build,dev"];

fn tree(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked"])
        .args(EVERYTHING)
        .args(arguments)
        .current_dir(checkout())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// Name and version to licence.
fn packages() -> BTreeMap<(String, String), String> {
    let text = tree(&["--prefix", "none", "--format", "{p}|{l}"]);
    let packages = text.lines().filter_map(|line| {
        let (package, licence) = line.trim_end_matches(" (*)").split_once('|')?;
        let mut words = package.split(' ');
        Some(((words.next()?.to_owned(), words.next()?.to_owned()), licence.to_owned()))
    });
    packages.collect()
}

fn deny() -> toml::Table {
    let text = std::fs::read_to_string(checkout().join("deny.toml")).expect("deny.toml is there");
    text.parse().expect("deny.toml is TOML")
}

fn texts(list: &toml::Value) -> BTreeSet<&str> {
    list.as_array().expect("a list").iter().map(|item| item.as_str().expect("a text")).collect()
}

#[test]
fn banned_crates_are_absent_or_behind_their_wrapper() {
    let (deny, packages) = (deny(), packages());
    assert!(packages.len() > 100, "cargo tree named {} packages only", packages.len());
    for ban in deny["bans"]["deny"].as_array().expect("a list of bans") {
        let name = ban["crate"].as_str().expect("a ban names a crate");
        let is_there = packages.keys().any(|(package, _)| package == name);
        let Some(wrappers) = ban.get("wrappers") else {
            assert!(!is_there, "{name} is banned: {}", ban["reason"]);
            continue;
        };
        assert!(is_there, "{name} is gone, and so must be its ban and its ignored advisories");
        let users = tree(&["--invert", name, "--depth", "1", "--prefix", "depth"]);
        let users: BTreeSet<_> =
            users.lines().filter_map(|line| line.strip_prefix('1')?.split(' ').next()).collect();
        assert_eq!(users, texts(wrappers), "who depends on {name}");
    }
}

/// A crate is the finest thing that `deny.toml` can name; the module is named here.
#[test]
fn only_one_module_names_the_backoff_crate() {
    let mut naming = Vec::new();
    for folder in ["shared", "api", "worker", "cli"] {
        for file in sources(&checkout().join(folder).join("src")) {
            if std::fs::read_to_string(&file).expect("a source file is readable").contains("backoff::") {
                naming.push(file.strip_prefix(checkout()).expect("a file of the checkout").to_owned());
            }
        }
    }
    assert_eq!(naming, [Path::new("shared/src/retry.rs")]);
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a source folder is readable") {
        let path = entry.expect("an entry is readable").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn crates_whose_types_cross_borders_have_one_version() {
    let packages = packages();
    for name in ONE_VERSION {
        let versions: Vec<_> = packages.keys().filter(|(package, _)| package == name).collect();
        assert_eq!(versions.len(), 1, "{name}: {versions:?}");
    }
}

#[test]
fn every_licence_is_on_the_list() {
    let deny = deny();
    let allowed = texts(&deny["licenses"]["allow"]);
    let mut met = BTreeSet::new();
    for ((name, version), licence) in packages() {
        let mut expression = Expression::read(&licence, &allowed);
        assert!(expression.holds(), "{name} {version} is under {licence:?}");
        met.extend(expression.met);
    }
    let unmet: Vec<_> = allowed.iter().filter(|name| !met.contains(**name)).collect();
    assert!(unmet.is_empty(), "allowed and met nowhere: {unmet:?}");
}

/// An SPDX expression, judged from left to right. A `/` is how old manifests write OR.
struct Expression<'a> {
    words: Peekable<std::vec::IntoIter<String>>,
    allowed: &'a BTreeSet<&'a str>,
    met: BTreeSet<String>,
}

impl<'a> Expression<'a> {
    fn read(text: &str, allowed: &'a BTreeSet<&'a str>) -> Self {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let words: Vec<String> = spaced.split_whitespace().map(str::to_owned).collect();
        Self { words: words.into_iter().peekable(), allowed, met: BTreeSet::new() }
    }

    fn holds(&mut self) -> bool {
        self.or() && self.words.peek().is_none()
    }

    fn take(&mut self, word: &str) -> bool {
        self.words.next_if(|next| next == word).is_some()
    }

    /// Both sides are read, whatever the first one was.
    fn or(&mut self) -> bool {
        let mut holds = self.and();
        while self.take("OR") {
            holds |= self.and();
        }
        holds
    }

    fn and(&mut self) -> bool {
        let mut holds = self.licence();
        while self.take("AND") {
            holds &= self.licence();
        }
        holds
    }

    fn licence(&mut self) -> bool {
        if self.take("(") {
            let holds = self.or();
            return self.take(")") && holds;
        }
        let name = self.words.next().unwrap_or_default();
        if self.take("WITH") {
            // An exception makes another licence of it, and none such is on the list.
            self.words.next();
            return false;
        }
        let is_allowed = self.allowed.contains(name.as_str());
        if is_allowed {
            self.met.insert(name);
        }
        is_allowed
    }
}

#[test]
fn licence_expressions_are_judged_as_spdx_means_them() {
    let allowed = BTreeSet::from(["MIT", "ISC"]);
    for (text, holds) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("MIT/Apache-2.0", true),
        ("MIT AND GPL-3.0", false),
        ("ISC AND (GPL-3.0 OR MIT)", true),
        ("(MIT OR ISC) AND GPL-3.0", false),
        ("MIT WITH some-exception", false),
        ("MIT ISC", false),
        ("", false),
    ] {
        assert_eq!(Expression::read(text, &allowed).holds(), holds, "{text:?}");
    }
}
