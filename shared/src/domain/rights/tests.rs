use super::*;

fn pattern(text: &str) -> Pattern {
    text.parse().unwrap_or_else(|_| panic!("{text}"))
}

fn rights(access: &[&str], deny: &[&str]) -> Rights {
    let list = |texts: &[&str]| texts.iter().map(|text| pattern(text)).collect();
    Rights::listed(Grants { access: list(access), deny: list(deny) })
}

fn target(text: &str) -> TargetKey {
    let (env, database) = text.split_once('/').unwrap();
    TargetKey { env: Env::parse(env).unwrap(), database: DatabaseName::from_stored(database).unwrap() }
}

fn may(rights: &Rights, target_text: &str, kind: Option<&str>) -> bool {
    let target = target(target_text);
    let kind = kind.map(|kind| KindName::parse(kind).unwrap());
    let need = Need::on(Permission::Submit, &target);
    rights.allow(&kind.as_ref().map_or(need, |kind| need.of_kind(kind)))
}

#[test]
fn a_pattern_is_written_as_it_is_read() {
    for text in [
        "submit:dev/app:devqa",
        "*:*/*:*",
        "read:qa*/billing*:app*",
        "reveal:dev/odd:name/here:app",
        "audit:*/*:*",
    ] {
        assert_eq!(pattern(text).to_string(), text);
    }
    let json = serde_json::to_string(&pattern("submit:dev/app:devqa")).unwrap();
    assert_eq!(json, "\"submit:dev/app:devqa\"");
    assert!(serde_json::from_str::<Pattern>("\"submit\"").is_err());
}

#[test]
fn what_is_no_pattern_is_refused() {
    for text in [
        "",
        "*",
        "submit",
        "submit:dev",
        "submit:dev/app",
        "submit:/app:devqa",
        "submit:dev/:devqa",
        "submit:dev/app:",
        "sub*:dev/app:devqa",
        "Submit:dev/app:devqa",
        ":dev/app:devqa",
        "write:dev/app:devqa",
        "submit:d*v/app:devqa",
        "submit:*dev/app:devqa",
        "submit:dev/**:devqa",
        "submit:dev/a pp:devqa",
        " submit:dev/app:devqa",
        "submit:dev/app:devqa\n",
    ] {
        assert_eq!(text.parse::<Pattern>(), Err(InvalidPattern), "{text:?}");
    }
    let of_length = |length: usize| format!("submit:dev/{}:app", "d".repeat(length - 15));
    assert!(of_length(MAX_PATTERN_BYTES).parse::<Pattern>().is_ok());
    assert!(of_length(MAX_PATTERN_BYTES + 1).parse::<Pattern>().is_err());
}

#[test]
fn nothing_is_allowed_that_is_not_listed() {
    assert!(!may(&rights(&[], &[]), "dev/app", Some("devqa")));
    assert!(may(&Rights::all(), "dev/app", None));
    let one = rights(&["submit:dev/app:devqa"], &[]);
    assert!(may(&one, "dev/app", Some("devqa")));
    for (target, kind) in [
        ("dev/app2", Some("devqa")),
        ("dev/ap", Some("devqa")),
        ("devel/app", Some("devqa")),
        ("dev/app", Some("devq")),
        ("dev/app", Some("devqa2")),
        ("dev/app", None),
    ] {
        assert!(!may(&one, target, kind), "{target} {kind:?}");
    }
    assert!(!one.allow(&Need::on(Permission::Reveal, &target("dev/app"))));
}

#[test]
fn a_star_is_a_whole_part_or_ends_one() {
    let all = rights(&["submit:dev/*:*"], &[]);
    assert!(may(&all, "dev/app", None) && may(&all, "dev/x", Some("dba")) && !may(&all, "qa/app", None));
    let some = rights(&["submit:dev/app*:dev*"], &[]);
    assert!(may(&some, "dev/app2", Some("devlead")) && may(&some, "dev/app", Some("devqa")));
    assert!(!may(&some, "dev/ap", Some("devqa")) && !may(&some, "dev/app", Some("app")));
    assert!(!may(&some, "dev/app", None), "a prefix is not every kind");
    assert!(!some.allow(&Need::everywhere(Permission::Submit)));
    assert!(rights(&["audit:*/*:*"], &[]).allow(&Need::everywhere(Permission::Audit)));
    assert!(!rights(&["audit:dev/*:*"], &[]).allow(&Need::everywhere(Permission::Audit)));
}

#[test]
fn deny_wins_also_where_it_meets_a_part_only() {
    let but = rights(&["*:*/*:*"], &["submit:prod/*:dba"]);
    assert!(may(&but, "prod/app", Some("app")) && may(&but, "dev/app", Some("dba")));
    assert!(!may(&but, "prod/app", Some("dba")));
    assert!(!may(&but, "prod/app", None), "every kind includes the denied one");
    assert!(!but.allow(&Need::everywhere(Permission::Submit)));
    assert!(but.allow(&Need::everywhere(Permission::Read)));
}

#[test]
fn some_of_it_is_allowed_unless_all_of_it_is_denied() {
    let dev = target("dev/app");
    let some = |rights: &Rights| rights.allow_some(&Need::on(Permission::Submit, &dev));
    assert!(some(&rights(&["submit:dev/app:devqa"], &[])));
    assert!(some(&rights(&["submit:dev/app:*"], &["submit:dev/app:dba"])));
    assert!(!some(&rights(&["submit:dev/app:*"], &["submit:dev/*:*"])));
    assert!(!some(&rights(&["submit:qa/app:*"], &[])) && some(&Rights::all()));
}

#[test]
fn a_scope_only_takes_away() {
    let owner = || rights(&["submit:dev/*:*"], &["submit:dev/secret:*"]);
    let list = |texts: &[&str]| texts.iter().map(|text| pattern(text)).collect();
    let scoped = owner().within(Grants { access: list(&["*:*/app:*"]), deny: Vec::new() });
    assert!(may(&scoped, "dev/app", None));
    for other in ["dev/app2", "qa/app", "dev/secret"] {
        assert!(!may(&scoped, other, None), "{other}");
    }
    for (given, ok) in [
        ("submit:dev/app:devqa", true),
        ("submit:dev/*:*", true),
        ("submit:dev/app*:*", true),
        ("submit:*/app:*", false),
        ("submit:de*/app:*", false),
        ("*:dev/app:*", false),
        ("read:dev/app:*", false),
    ] {
        assert_eq!(owner().may_give(&pattern(given)), ok, "{given}");
    }
    assert!(
        !scoped.may_give(&pattern("submit:dev/app2:*")) && scoped.may_give(&pattern("submit:dev/app:app"))
    );
    assert!(Rights::all().may_give(&pattern("*:*/*:*")));
}

#[test]
fn a_job_takes_along_what_it_is_judged_by() {
    let all = rights(
        &["submit:dev/*:app", "submit:qa/*:*", "read:dev/*:*", "*:d*/x:*"],
        &["submit:*/app:dba", "reveal:dev/*:*"],
    );
    let taken = all.for_jobs_in(&Env::parse("dev").unwrap());
    let expected = rights(&["submit:dev/*:app", "*:d*/x:*"], &["submit:*/app:dba"]);
    assert_eq!(taken, expected);
    assert!(Rights::all().for_jobs_in(&Env::parse("dev").unwrap()).are_all());
    let json = serde_json::to_value(&taken).unwrap();
    assert_eq!(serde_json::from_value::<Rights>(json).unwrap(), taken);
}

#[test]
fn a_password_that_may_not_be_taken_is_not_made() {
    let (target, [app, dba]) = (target("dev/app"), ["app", "dba"].map(|kind| KindName::parse(kind).unwrap()));
    let need = Need::on(Permission::Submit, &target);
    let both = rights(&["submit:dev/*:*", "reveal:dev/app:app"], &[]).to_submit_and_reveal();
    assert!(both.allow(&need.of_kind(&app)) && !both.allow(&need.of_kind(&dba)) && !both.allow(&need));
    let denied = rights(&["*:*/*:*"], &["reveal:dev/*:dba"]).to_submit_and_reveal();
    assert!(denied.allow(&need.of_kind(&app)) && !denied.allow(&need.of_kind(&dba)) && !denied.allow(&need));
    let scoped =
        rights(&["*:*/*:*"], &[]).within(Grants { access: vec![pattern("submit:*/*:*")], deny: vec![] });
    assert!(scoped.allow(&need) && !scoped.to_submit_and_reveal().allow_some(&need));
    assert!(Rights::all().to_submit_and_reveal().are_all());
}

#[test]
fn a_need_names_the_narrowest_pattern_that_meets_it() {
    let (target, kind) = (target("dev/app"), KindName::parse("devqa").unwrap());
    let need = Need::on(Permission::Submit, &target);
    assert_eq!(need.to_string(), "submit:dev/app:*");
    assert_eq!(need.of_kind(&kind).to_string(), "submit:dev/app:devqa");
    assert_eq!(Need::everywhere(Permission::Audit).to_string(), "audit:*/*:*");
    assert!(rights(&[&need.to_string()], &[]).allow(&need));
}
