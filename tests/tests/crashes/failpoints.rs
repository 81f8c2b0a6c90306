//! The points themselves: each stands once in the product, and none is in what ships.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use rolecall_shared::failpoints::Failpoint;
use rolecall_tests::binary;
use rolecall_tests::stack::checkout;

#[test]
fn every_point_stands_in_the_product_exactly_once() {
    let mut sources = String::new();
    for part in ["shared/src", "api/src", "worker/src"] {
        read_all(&checkout().join(part), &mut sources);
    }
    for point in Failpoint::ALL {
        let call = format!("reach(Failpoint::{point:?});");
        assert_eq!(sources.matches(&call).count(), 1, "{call}");
    }
    assert_eq!(sources.matches("reach(Failpoint::").count(), Failpoint::ALL.len());
}

fn read_all(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn what_ships_knows_no_point() {
    let all: BTreeSet<_> = Failpoint::ALL.iter().map(|point| point.name().to_owned()).collect();
    assert_eq!(points_in(binary::with_failpoints()), all);
    assert_eq!(points_in(binary::rolecall()), BTreeSet::new());
}

/// What reads like the name of a point. An unoptimised test would search a whole binary for a minute; grep does not.
fn points_in(binary: &Path) -> BTreeSet<String> {
    let name = "(api|worker)\\.[a-z]+\\.(before|amid|after)";
    let output = Command::new("grep").args(["-a", "-o", "-E", name]).arg(binary).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_point_that_does_not_exist_cannot_be_armed() {
    let mut command = Command::new(binary::with_failpoints());
    let output = command.arg("version").env("FAILPOINTS", "worker.claim.afterwards=return").output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("worker.claim.afterwards"));
}
