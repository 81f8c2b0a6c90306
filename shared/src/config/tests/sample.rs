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
    // Sections of issuers, channels and rules have keys without a default, and are looked at below.
    let [sample, ..] = parts();
    let defaults: Vec<_> = ALL
        .iter()
        .filter(|key| key.default().is_some() && !key.path().starts_with("oidc."))
        .filter(|key| !key.path().starts_with("notify."))
        .map(|key| key.path().rsplit_once('.').unwrap().1.to_owned())
        .collect();
    let uncommented: Vec<_> = sample
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

/// The issuer of the sample is one that loads, and its defaults are those of the loader.
#[test]
fn the_sample_issuer_loads() {
    let [_, issuers, _] = parts();
    // Stated, either of the two would be right, but not both; the defaults are left out the second time.
    let is_key = |line: &str| line.contains(" = ") && !line.starts_with("# ");
    let lines = |leave_out: &[&str]| -> String {
        let lines = issuers.lines().filter(|line| is_key(line) || line.starts_with("#["));
        let lines = lines.filter(|line| !leave_out.iter().any(|name| line.starts_with(&format!("#{name}"))));
        lines.map(|line| &line[1..]).collect::<Vec<_>>().join("\n")
    };
    let written = Ground::new().load(&lines(&["jwks_"])).unwrap().oidc;
    let bare = lines(&["jwks_", "algorithms", "leeway_seconds", "max_age_seconds", "subject_claim"]);
    assert_eq!(format!("{written:?}"), format!("{:?}", Ground::new().load(&bare).unwrap().oidc));
    assert_eq!(written.issuers[0].bindings[0].claims.len(), 3);
}

/// Channels of all types have their keys in one section of the sample, so each type is tried with its own.
#[test]
fn the_sample_channels_and_rule_load() {
    let [.., notify] = parts();
    let stated = |names: &[&str]| -> String {
        let keeps = |line: &&str| names.iter().any(|name| line.starts_with(&format!("#{name} = ")));
        notify.lines().filter(keeps).flat_map(|line| [&line[1..], "\n"]).collect()
    };
    for (word, names) in [
        ("slack", &["url", "trusted"][..]),
        ("teams", &["url"]),
        ("webhook", &["url"]),
        ("webex", &["room", "api_url"]),
        ("email", &["smtp_host", "smtp_port", "smtp_tls", "from"]),
    ] {
        let more = match word {
            "webex" => "token = 'x'\n",
            "email" => "to = ['dba@example.com']\n",
            _ => "",
        };
        let channel = format!("[notify.channels.dba-room]\ntype = '{word}'\n{}{more}", stated(names));
        let rule = format!(
            "[notify.rules.a]\nevents = ['ticket.failed', 'host.*']\nchannels = ['dba-room']\n{}",
            stated(&["envs", "kinds", "template", "subject"])
        );
        let settings = Ground::new().load(&format!("{channel}{rule}"));
        assert_eq!(settings.unwrap().notify.rules.len(), 1, "{word}");
    }
}

/// What stands before the issuers, the issuers, and what stands behind them.
fn parts() -> [String; 3] {
    let sample = sample();
    let (issuers, notify) =
        (sample.find("#[oidc.github]").unwrap(), sample.find("# Where notifications can").unwrap());
    [&sample[..issuers], &sample[issuers..notify], &sample[notify..]].map(ToOwned::to_owned)
}
