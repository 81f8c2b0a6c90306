//! Issuers: what is read, and every way in which a section could let in more than its author thinks.

use std::time::Duration;

use super::super::{KeySource, OidcIssuer};
use super::Ground;
use crate::domain::SignatureAlgorithm;

const GOOD: &str = "[oidc.github]\nissuer = 'https://token.actions.githubusercontent.com'\naudience = 'rolecall'\n\
                    [oidc.github.bindings.deploy]\naccount = 'ci'\n\
                    [oidc.github.bindings.deploy.claims]\nrepository = 'acme/app'\n";

fn issuer(file: &str) -> OidcIssuer {
    Ground::new().load(file).unwrap().oidc.issuers.remove(0)
}

#[test]
fn an_issuer_has_the_documented_defaults() {
    let issuer = issuer(GOOD);
    assert_eq!((issuer.name.as_str(), issuer.audience.as_str()), ("github", "rolecall"));
    assert_eq!(issuer.algorithms, [SignatureAlgorithm::Rs256]);
    assert_eq!(issuer.keys, KeySource::Discovery);
    assert_eq!((issuer.leeway, issuer.max_age), (Duration::from_mins(1), Duration::from_hours(1)));
    assert_eq!(
        (issuer.bindings[0].account.as_str(), issuer.bindings[0].subject_claim.as_str()),
        ("ci", "sub")
    );
}

#[test]
fn claims_are_texts_or_lists_and_their_names_may_have_dots() {
    let file = format!(
        "{GOOD}ref = ['refs/heads/main', 'refs/tags/*']\n'realm_access.roles' = 'deployer'\n\
                        'https://acme.example/team' = 'db'"
    );
    let issuer = issuer(&file);
    let claims: Vec<_> =
        issuer.bindings[0].claims.iter().map(|rule| (rule.claim.as_str(), rule.any_of.len())).collect();
    assert_eq!(
        claims,
        [("https://acme.example/team", 1), ("realm_access.roles", 1), ("ref", 2), ("repository", 1)]
    );
}

#[test]
fn bindings_and_issuers_are_in_the_order_of_their_names() {
    let file = format!(
        "{GOOD}[oidc.github.bindings.a]\naccount = 'b'\nclaims.sub = 'x'\n\
                        [oidc.acme]\nissuer = 'http://127.0.0.1:9/x'\naudience = 'y'\nalgorithms = ['ES256', 'EdDSA']\n\
                        jwks_url = 'http://[::1]:9/keys'\n[oidc.acme.bindings.z]\naccount = 'c'\nclaims.project_id = '7'"
    );
    let issuers = Ground::new().load(&file).unwrap().oidc.issuers;
    assert_eq!((issuers[0].name.as_str(), issuers[1].name.as_str()), ("acme", "github"));
    let names: Vec<_> = issuers[1].bindings.iter().map(|binding| binding.name.as_str()).collect();
    assert_eq!(names, ["a", "deploy"]);
    assert_eq!(issuers[0].keys, KeySource::Url("http://[::1]:9/keys".to_owned()));
}

#[test]
fn variables_reach_every_key() {
    let ground = Ground::new().with(&[
        ("ROLECALL__OIDC__GITHUB__AUDIENCE", "other"),
        ("ROLECALL__OIDC__GITHUB__BINDINGS__DEPLOY__CLAIMS__REPOSITORY", "acme/a,b"),
    ]);
    let issuer = ground.load(GOOD).unwrap().oidc.issuers.remove(0);
    assert_eq!(issuer.audience, "other");
    assert_eq!(issuer.bindings[0].claims[0].any_of[0].as_str(), "acme/a,b");
}

/// Each row: what is replaced in a good section, by what, and the beginning of the only fault.
const FAULTS: &[(&str, &str, &str)] = &[
    ("https://token", "http://token", "oidc.github.issuer: must be an https:// URL"),
    (".com'", ".com?x'", "oidc.github.issuer: must be an https:// URL"),
    (
        "'https://token.actions.githubusercontent.com'",
        "'https://a@b'",
        "oidc.github.issuer: must be an https:// URL",
    ),
    (
        "'https://token.actions.githubusercontent.com'",
        "'http://localhost.example'",
        "oidc.github.issuer: must be",
    ),
    ("issuer = 'https://token.actions.githubusercontent.com'", "", "oidc.github.issuer: is missing"),
    ("audience = 'rolecall'", "", "oidc.github.audience: is missing"),
    ("audience = 'rolecall'", "audience = ''", "oidc.github.audience: is empty"),
    ("audience", "algorithms = ['HS256']\naudience", "oidc.github.algorithms: `HS256` is not one of RS256"),
    ("audience", "algorithms = ['none']\naudience", "oidc.github.algorithms: `none` is not one of RS256"),
    ("audience", "algorithms = []\naudience", "oidc.github.algorithms: must name at least one"),
    ("audience", "leeway_seconds = 301\naudience", "oidc.github.leeway_seconds: must be"),
    ("audience", "jwks_url = 'http://a.example'\naudience", "oidc.github.jwks_url: must be an https:// URL"),
    ("audience", "jwks_file = '/not/there'\naudience", "oidc.github.jwks_file: /not/there cannot be opened"),
    (
        "audience",
        "jwks_url = 'https://a'\njwks_file = '/dev/null'\naudience",
        "oidc.github.jwks_url: is stated, and so is oidc.github.jwks_file",
    ),
    (
        "audience",
        "audiance = 'x'\naudience",
        "oidc.github.audiance: there is no such key; did you mean oidc.github.audience?",
    ),
    ("account = 'ci'", "", "oidc.github.bindings.deploy.account: is missing"),
    ("account = 'ci'", "account = 'a:b'", "oidc.github.bindings.deploy.account: an account is named with"),
    (
        "account = 'ci'",
        "account = 'ci'\nsubject_claim = ''",
        "oidc.github.bindings.deploy.subject_claim: is empty",
    ),
    (
        "account = 'ci'",
        "acount = 'x'\naccount = 'ci'",
        "oidc.github.bindings.deploy.acount: there is no such key; did you mean oidc.github.bindings.deploy.account?",
    ),
    (
        "repository = 'acme/app'",
        "ref = 'x'",
        "oidc.github.bindings.deploy.claims: must pin whose code it is, by one of",
    ),
    (
        "repository = 'acme/app'",
        "",
        "oidc.github.bindings.deploy.claims: must pin whose code it is, by one of",
    ),
    (
        "'acme/app'",
        "'acme/*'",
        "oidc.github.bindings.deploy.claims.repository: `acme/*` has a `*`, which is a pattern only in ref,",
    ),
    ("'acme/app'", "['acme/app', '**']", "oidc.github.bindings.deploy.claims.repository: `**` has a `*`"),
    ("'acme/app'", "''", "oidc.github.bindings.deploy.claims.repository: `` is empty"),
    ("'acme/app'", "[]", "oidc.github.bindings.deploy.claims.repository: must be a text, or a list"),
    ("'acme/app'", "[1]", "oidc.github.bindings.deploy.claims.repository: must be a text, or a list"),
    (
        "'acme/app'",
        "'acme/app'\na.b = 'x'",
        "oidc.github.bindings.deploy.claims.a: must be a text, or a list",
    ),
];

#[test]
fn every_fault_is_told_by_its_key() {
    for (text, by, fault) in FAULTS {
        assert!(GOOD.contains(text), "{text}");
        let faults = Ground::new().faults(&GOOD.replacen(text, by, 1));
        assert!(faults.len() == 1 && faults[0].starts_with(fault), "{by}: {faults:?}");
    }
}

#[test]
fn names_and_issuers_are_checked_as_a_whole() {
    let twice = format!("{GOOD}{}", GOOD.replace("oidc.github", "oidc.two"));
    let faults = Ground::new().faults(&twice);
    assert_eq!(faults, ["oidc.two.issuer: is that of oidc.github too: put their bindings together"]);
    let faults = Ground::new().faults(&GOOD.replace("github]", "Git_Hub]").replace("github.b", "Git_Hub.b"));
    assert_eq!(faults, ["oidc.Git_Hub: is named with a-z, then a-z 0-9 -, at most 32 in all"]);
    let faults = Ground::new().faults(&GOOD.replace("deploy", "De"));
    assert_eq!(faults, ["oidc.github.bindings.De: is named with a-z, then a-z 0-9 -, at most 32 in all"]);
    let faults = Ground::new().faults("[oidc.github]\nissuer = 'x'\nalgorithms = ['HS256']");
    assert_eq!(faults.len(), 4, "{faults:?}");
}
