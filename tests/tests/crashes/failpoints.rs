//! The points themselves: each stands once in the product, and none is in what ships.

use std::fs;
use std::path::Path;

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
    // As text, because the standard library searches text fast in an unoptimised test too.
    let [ships, tested] = [binary::rolecall(), binary::with_failpoints()]
        .map(|binary| String::from_utf8_lossy(&fs::read(binary).unwrap()).into_owned());
    for point in Failpoint::ALL {
        assert!(tested.contains(point.name()), "{}", point.name());
        assert!(!ships.contains(point.name()), "{}", point.name());
    }
}

#[test]
fn a_point_that_does_not_exist_cannot_be_armed() {
    let mut command = std::process::Command::new(binary::with_failpoints());
    let output = command.arg("version").env("FAILPOINTS", "worker.claim.afterwards=return").output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("worker.claim.afterwards"));
}
