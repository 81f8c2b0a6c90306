//! What README.md and docs/ name exists: paths of the API, commands, make targets, settings, codes, events, metrics, files
//! and links. And what callers and operators have to know stands there.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;
use rolecall_shared::domain::{Class, Code, EventName};
use rolecall_tests::product;
use rolecall_tests::stack::checkout;

/// A page.
struct Page {
    /// From the top of the checkout.
    path: PathBuf,
    text: String,
    /// Each piece of code in it: a span, or a line of a block.
    code: Vec<String>,
}

static PAGES: LazyLock<Vec<Page>> = LazyLock::new(|| {
    let mut paths = vec![PathBuf::from("README.md")];
    for folder in ["docs", "docs/decisions", "compose", "compose/secrets"] {
        let entries = std::fs::read_dir(checkout().join(folder)).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        paths.extend(
            names
                .map(|name| Path::new(folder).join(name))
                .filter(|path| path.extension().is_some_and(|e| e == "md")),
        );
    }
    paths.into_iter().map(Page::read).collect()
});

impl Page {
    fn read(path: PathBuf) -> Self {
        let text = read(&path);
        let code = code(&text);
        Self { path, text, code }
    }

    /// Every match of the first group in the code of this page.
    fn found<'a>(&'a self, pattern: &'a Regex) -> impl Iterator<Item = &'a str> {
        self.code
            .iter()
            .flat_map(move |code| pattern.captures_iter(code))
            .filter_map(|found| Some(found.get(1)?.as_str()))
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(checkout().join(path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn page(path: &str) -> &'static Page {
    PAGES.iter().find(|page| page.path == Path::new(path)).unwrap_or_else(|| panic!("there is no {path}"))
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

/// Spans between backticks, which may go over a line's end, and the lines of blocks, fenced or indented.
fn code(text: &str) -> Vec<String> {
    let (mut code, mut prose, mut is_fenced) = (Vec::new(), String::new(), false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        } else if is_fenced || line.starts_with("    ") {
            code.push(line.trim().to_owned());
        } else {
            // A paragraph's end ends a span that was never closed.
            if line.is_empty() {
                spans(&prose, &mut code);
                prose.clear();
            }
            prose.push_str(line);
            prose.push('\n');
        }
    }
    spans(&prose, &mut code);
    code
}

fn spans(prose: &str, code: &mut Vec<String>) {
    code.extend(prose.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " ")));
}

/// The paths of the API with their methods, in capitals.
fn operations() -> BTreeMap<String, BTreeSet<String>> {
    let document = serde_json::to_value(rolecall_api::openapi_document()).expect("the document is JSON");
    let mut operations: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let methods = item.as_object().map(|item| item.keys().map(|method| method.to_uppercase()));
        operations.entry(path.clone()).or_default().extend(methods.into_iter().flatten());
    }
    for (method, path) in rolecall_api::route_table() {
        operations.entry(path).or_default().insert(method);
    }
    // What is served beside the dialects; the suites of the API read each.
    for path in ["/livez", "/readyz", "/metrics", "/openapi.json", "/docs"] {
        operations.entry(path.to_owned()).or_default().insert("GET".to_owned());
    }
    operations
}

/// Whether a path as people write it is one of a template's. A variable part stands for whatever is there.
fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    let part = |(t, p): (&&str, &str)| *t == p || t.starts_with('{') && !p.is_empty();
    template.len() == path.len() && template.iter().zip(path).all(part)
}

#[test]
fn every_path_is_served_and_every_operation_described() {
    let operations = operations();
    let path = pattern(
        r"(?:^|[\s(\x22])((?:(?:GET|POST|PUT|PATCH|DELETE|HEAD) )?/(?:api/|auth/|history/|v1/|livez|readyz|metrics|openapi\.json|docs)[^\s?\x22'`),]*)",
    );
    let mut described = BTreeSet::new();
    for page in PAGES.iter() {
        for code in &page.code {
            // The tour shortens addresses.
            let code = code.replace("http://127.0.0.1:5000", "").replace("$api/", "/api/v2/");
            for found in path.captures_iter(&code).filter_map(|found| Some(found.get(1)?.as_str())) {
                let (method, path) =
                    found.split_once(' ').map_or((None, found), |(method, path)| (Some(method), path));
                if ["/api/v1", "/api/v2", "/api/v2/"].contains(&path) {
                    continue;
                }
                let served: Vec<_> = operations.iter().filter(|(template, _)| fits(template, path)).collect();
                assert!(!served.is_empty(), "{}: nothing serves {path}", page.name());
                let Some(method) = method else { continue };
                let offers = served.iter().any(|(_, methods)| methods.contains(method));
                assert!(offers, "{}: {path} does not offer {method}", page.name());
                if page.path == Path::new("docs/API.md") {
                    described
                        .extend(served.iter().map(|(template, _)| (method.to_owned(), (*template).clone())));
                }
            }
        }
    }
    for (path, methods) in &operations {
        for method in methods {
            let operation = (method.clone(), path.clone());
            assert!(described.contains(&operation), "docs/API.md says nothing of {method} {path}");
        }
    }
}

#[test]
fn every_command_exists() {
    let commands = product::commands();
    let command = pattern(r"(?:^|[;|&] ?|target/(?:debug|release)/)rolecall ([a-z]+\b(?: [a-z]+\b)*)");
    for page in PAGES.iter() {
        for found in page.found(&command) {
            let mut known = String::new();
            for word in found.split(' ') {
                let longer = if known.is_empty() { word.to_owned() } else { format!("{known} {word}") };
                let has_more = commands.iter().any(|command| command.starts_with(&format!("{known} ")));
                assert!(
                    commands.contains(&longer) || !known.is_empty() && !has_more,
                    "{}: there is no `rolecall {found}`",
                    page.name()
                );
                if commands.contains(&longer) {
                    known = longer;
                }
            }
        }
    }
    let operations: BTreeSet<&str> = page("docs/OPERATIONS.md").found(&command).collect();
    for command in commands.iter().filter(|command| *command != "help" && !command.ends_with(" help")) {
        let has_more = commands.iter().any(|longer| longer.starts_with(&format!("{command} ")));
        assert!(
            has_more || operations.contains(command.as_str()),
            "docs/OPERATIONS.md says nothing of rolecall {command}"
        );
    }
}

#[test]
fn every_make_target_exists() {
    let makefile = read(Path::new("Makefile"));
    let targets: BTreeSet<_> =
        makefile.lines().filter_map(|line| line.split_once(':')).map(|(target, _)| target).collect();
    let target = pattern(r"^make ([a-z]+)");
    let mut found = BTreeSet::new();
    for page in PAGES.iter() {
        for name in page.found(&target) {
            assert!(targets.contains(name), "{}: there is no make target {name}", page.name());
            found.insert(name);
        }
    }
    assert!(found.contains("demo") && found.contains("test"), "the two commands are missing");
}

#[test]
fn every_setting_exists() {
    let settings = product::settings();
    let sections: BTreeSet<_> = settings.keys().filter_map(|key| key.split('.').next()).collect();
    let events: BTreeSet<_> = EventName::ALL.iter().map(|event| event.as_str()).collect();
    let key = pattern(r"^([a-z_]+(?:\.[a-z0-9_-]+)+)$");
    let variable = pattern(r"(ROLECALL__[A-Z_]+)");
    let exists = |key: &str| settings.contains_key(key);
    for page in PAGES.iter() {
        for found in page.found(&key) {
            let section = found.split('.').next().unwrap_or_default();
            let is_file = Path::new(found)
                .extension()
                .is_some_and(|e| ["toml", "conf", "rs", "md"].iter().any(|f| e == *f));
            if !sections.contains(section) || events.contains(found) || is_file {
                continue;
            }
            assert!(exists(found), "{}: there is no setting {found}", page.name());
        }
        for found in page.found(&variable) {
            let key = product::key_of(found).expect("a variable of ours");
            assert!(exists(&key), "{}: there is no setting {key}", page.name());
        }
    }
}

/// RFC 9110's number for each class; what the API answers is checked by its own suites.
fn status(class: Class) -> &'static str {
    match class {
        Class::Malformed => "400",
        Class::Unauthenticated => "401",
        Class::Forbidden => "403",
        Class::NotFound => "404",
        Class::MethodNotAllowed => "405",
        Class::Conflict => "409",
        Class::Gone => "410",
        Class::PreconditionFailed => "412",
        Class::TooLarge => "413",
        Class::UnsupportedMediaType => "415",
        Class::Invalid => "422",
        Class::TooMany => "429",
        Class::Internal => "500",
        Class::BadGateway => "502",
        Class::Unavailable => "503",
    }
}

/// The rows below a heading: the first two cells.
fn table<'a>(page: &'a Page, heading: &str) -> Vec<(&'a str, &'a str)> {
    let (_, below) =
        page.text.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    let section = below.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.filter_map(|row| {
        let mut cells = row.trim_matches('|').split(" | ");
        Some((cells.next()?.trim(), cells.next()?.trim()))
    })
    .collect()
}

#[test]
fn the_table_of_codes_is_whole_and_true() {
    let api = page("docs/API.md");
    let mut listed = BTreeSet::new();
    for (code, said) in table(api, "Codes") {
        let code = code.trim_matches('`');
        let known = Code::ALL.iter().find(|known| known.as_str() == code);
        let known = known.unwrap_or_else(|| panic!("there is no code {code}"));
        assert!(listed.insert(code), "{code} stands twice");
        if said.starts_with(|c: char| c.is_ascii_digit()) {
            assert_eq!(said.split(',').next(), Some(status(known.class())), "{code}");
        } else {
            assert!(["ticket", "waiting", "command"].contains(&said), "{code}: {said}");
        }
    }
    let all: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let missing: Vec<_> = all.difference(&listed).collect();
    assert!(missing.is_empty(), "docs/API.md says nothing of {missing:?}");

    // And everywhere else a code stands behind its status.
    let answer = pattern(r"\b([45]\d\d)\s+`([a-z_]+)`");
    for page in PAGES.iter() {
        for found in answer.captures_iter(&page.text) {
            let code = Code::ALL.iter().find(|code| code.as_str() == &found[2]);
            let code = code.unwrap_or_else(|| panic!("{}: there is no code {}", page.name(), &found[2]));
            assert_eq!(&found[1], status(code.class()), "{}: {}", page.name(), code.as_str());
        }
    }
}

#[test]
fn the_table_of_events_is_whole() {
    let name = pattern(r"`([a-z]+\.[a-z]+)`");
    let api = page("docs/API.md");
    let cells: String = table(api, "Audit").into_iter().map(|(events, _)| events).collect();
    let listed: BTreeSet<_> =
        name.captures_iter(&cells).filter_map(|found| Some(found.get(1)?.as_str())).collect();
    assert_eq!(listed, EventName::ALL.iter().map(|event| event.as_str()).collect());
}

#[test]
fn the_table_of_metrics_is_whole() {
    // Counters get `_total` and histograms their unit when they are printed, and a family without a value is not.
    let source = read(Path::new("shared/src/telemetry/metrics.rs"));
    let registered = pattern(r#"register(_with_unit)?\(\s*"([a-z_]+)""#);
    let families: BTreeSet<String> = registered
        .captures_iter(&source)
        .map(|found| {
            format!("rolecall_{}{}", &found[2], if found.get(1).is_some() { "_seconds" } else { "" })
        })
        .collect();
    assert!(!families.is_empty(), "no metric is registered as this test expects it");
    let name = pattern(r"`(rolecall_[a-z_]+)`");
    let operations = page("docs/OPERATIONS.md");
    let cells: String = table(operations, "Metrics").into_iter().map(|(metrics, _)| metrics).collect();
    let listed: BTreeSet<String> = name
        .captures_iter(&cells)
        .map(|found| found[1].trim_end_matches("_total").trim_end_matches("_info").to_owned())
        .collect();
    assert_eq!(listed, families);
}

#[test]
fn every_file_exists() {
    let file = pattern(r"^((?:api|worker|shared|cli|tests|migrations|docs|compose)/[A-Za-z0-9_./-]*)$");
    for page in PAGES.iter() {
        for found in page.found(&file).filter(|found| !found.starts_with("compose/secrets")) {
            assert!(checkout().join(found).exists(), "{}: there is no {found}", page.name());
        }
    }
}

/// As GitHub makes them: lower case, spaces to dashes, everything but letters, digits, dashes and underscores gone.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .collect::<String>();
    kept.replace(' ', "-")
}

#[test]
fn every_link_leads_somewhere() {
    let link = pattern(r"\]\(([^)\s]+)\)");
    for page in PAGES.iter() {
        for found in link.captures_iter(&page.text) {
            let target = &found[1];
            if target.starts_with("https://") {
                continue;
            }
            let (path, heading) =
                target.split_once('#').map_or((target, None), |(path, heading)| (path, Some(heading)));
            let folder = page.path.parent().unwrap_or(Path::new(""));
            let full = if path.is_empty() { page.path.clone() } else { folder.join(path) };
            assert!(checkout().join(&full).exists(), "{}: {target} leads nowhere", page.name());
            if let Some(heading) = heading {
                let text = read(&full);
                let found = text.lines().filter_map(|line| {
                    line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#'))
                });
                assert!(
                    found.map(anchor).any(|known| known == heading),
                    "{}: {target} leads nowhere",
                    page.name()
                );
            }
        }
    }
}

#[test]
fn decisions_are_numbered_and_have_their_three_parts() {
    let decisions: BTreeMap<_, _> = PAGES
        .iter()
        .filter(|page| page.path.starts_with("docs/decisions"))
        .map(|page| (page.path.file_name().and_then(|name| name.to_str()).unwrap_or_default(), page))
        .collect();
    for (at, (name, page)) in decisions.iter().enumerate() {
        let number = format!("{:03}", at + 1);
        assert!(name.starts_with(&format!("{number}-")), "{name} should be number {number}");
        assert!(page.text.starts_with(&format!("# {number}: ")), "{name}: its title");
        let headings: Vec<_> = page.text.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(headings, ["## Context", "## Decision", "## Consequences"], "{name}");
    }
}

/// These tests find what they look for in a text that is wrong on purpose.
#[test]
fn code_is_found_where_it_stands() {
    let text = "Say `one\ntwo` and\n\n    three\n\n```sh\nfour `five`\n```\n\na `six`";
    assert_eq!(code(text), ["one two", "three", "four `five`", "six"]);
    assert!(fits("/api/v2/tickets/{id}", "/api/v2/tickets/$ticket"));
    assert!(!fits("/api/v2/tickets/{id}", "/api/v2/tickets"));
    assert!(!fits("/api/v2/jobs", "/api/v2/job"));
    assert_eq!(anchor("What is where"), "what-is-where");
}
