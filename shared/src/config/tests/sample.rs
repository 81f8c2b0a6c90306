//! The sample file and the loader say the same.

use super::super::keys::ALL;
use super::super::sample;
use super::Ground;

#[test]
fn the_committed_sample_is_what_the_table_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/rolecall.sample.toml");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == sample(), "run `rolecall config sample > docs/rolecall.sample.toml`");
}

/// Every default of the sample, written out, changes nothing: the sample and the loader say the same.
#[test]
fn the_sample_with_its_defaults_written_out_is_the_default() {
    let defaults: Vec<_> = ALL
        .iter()
        .filter(|key| key.default().is_some())
        .map(|key| key.path().rsplit_once('.').unwrap().1.to_owned())
        .collect();
    let uncommented: Vec<_> = sample()
        .lines()
        .map(|line| {
            let key = line.strip_prefix('#').and_then(|rest| rest.split_once(" = ")).map(|(key, _)| key);
            let is_default = key.is_some_and(|key| defaults.iter().any(|name| name == key));
            let is_section = line.starts_with("#[");
            if is_default || is_section { line[1..].to_owned() } else { line.to_owned() }
        })
        .collect();
    let written = uncommented.iter().filter(|line| line.contains(" = ") && !line.starts_with('#')).count();
    assert_eq!(written, defaults.len());
    let ground = Ground::new();
    let from_sample = ground.load(&uncommented.join("\n")).unwrap();
    assert_eq!(format!("{from_sample:?}"), format!("{:?}", ground.load("").unwrap()));
}
