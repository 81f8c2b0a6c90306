//! `docker-compose.yml`, `Dockerfile` and what belongs to them name nothing that the binary does not have. No container
//! is started: that takes an engine and images, which not every machine has.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use rolecall_shared::config::Settings;
use rolecall_tests::product;
use rolecall_tests::stack::checkout;
use serde_json::Value;

const SECRETS: &str = "/run/secrets/";

fn read(path: &str) -> String {
    std::fs::read_to_string(checkout().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn compose() -> Value {
    serde_saphyr::from_str(&read("docker-compose.yml")).expect("docker-compose.yml is YAML")
}

/// The services, by name.
fn services(compose: &Value) -> impl Iterator<Item = (&str, &Value)> {
    compose["services"].as_object().expect("services").iter().map(|(name, service)| (name.as_str(), service))
}

/// Those that run our image.
fn ours(compose: &Value) -> impl Iterator<Item = (&str, &Value)> {
    services(compose).filter(|(_, service)| service["image"] == "rolecall:local")
}

fn environment(service: &Value) -> BTreeMap<String, String> {
    let Some(variables) = service["environment"].as_object() else { return BTreeMap::new() };
    let text = |value: &Value| value.as_str().expect("variables are texts").to_owned();
    variables.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// The words of a list; a text is one word.
fn words(value: &Value) -> Vec<&str> {
    match value.as_array() {
        Some(items) => items.iter().filter_map(Value::as_str).collect(),
        None => value.as_str().into_iter().collect(),
    }
}

/// The secrets of a service, by name, each with the path of its file in the container.
fn secrets(service: &Value) -> BTreeMap<&str, String> {
    let Some(items) = service["secrets"].as_array() else { return BTreeMap::new() };
    items.iter().map(mounted).collect()
}

fn mounted(item: &Value) -> (&str, String) {
    if let Some(name) = item.as_str() {
        return (name, format!("{SECRETS}{name}"));
    }
    let text = |field: &str| item[field].as_str().expect("a secret has source and target");
    (text("source"), text("target").to_owned())
}

/// What stands before the first colon of each mount, and what behind it.
fn mounts(service: &Value) -> impl Iterator<Item = (&str, &str)> {
    words(&service["volumes"]).into_iter().map(|mount| {
        let (from, rest) = mount.split_once(':').expect("a mount has two sides");
        (from, rest.trim_end_matches(":ro"))
    })
}

fn keys(table: &Value) -> BTreeSet<&str> {
    table.as_object().expect("a table").keys().map(String::as_str).collect()
}

/// The port of an address that is a setting's default.
fn default_port(key: &str) -> u16 {
    let listen = product::settings()[key].as_str().expect("an address").to_owned();
    listen.parse::<std::net::SocketAddr>().expect("an address").port()
}

/// Writes the secrets as an operator would, beside a copy of the script.
fn make_secrets(folder: &Path) {
    let script = folder.join("make-secrets");
    // Not a copy: a file that a process forked at this moment still holds open for writing cannot be run.
    std::os::unix::fs::symlink(checkout().join("compose/make-secrets"), &script).expect("a link");
    let output = Command::new(&script).output().expect("the script runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let file = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.expect("an entry");
        let text = std::fs::read_to_string(entry.path()).expect("a text file");
        (entry.file_name().into_string().expect("a plain name"), text)
    };
    entries.map(file).collect()
}

#[test]
fn every_variable_is_a_setting_or_the_image_s_own() {
    let (compose, settings) = (compose(), product::settings());
    for (name, service) in services(&compose) {
        let is_ours = service["image"] == "rolecall:local";
        for (variable, value) in environment(service) {
            if is_ours {
                let key =
                    product::key_of(&variable).unwrap_or_else(|| panic!("{name}: {variable} is no setting"));
                assert!(settings.contains_key(&key), "{name}: {variable}: there is no key {key}");
            } else {
                assert!(variable.starts_with("POSTGRES_"), "{name}: {variable}");
            }
            assert!(
                variable.ends_with("_FILE")
                    || !["PASSWORD", "URL", "SECRET"].iter().any(|w| variable.contains(w)),
                "{name}: {variable} states a secret"
            );
            if value.starts_with(SECRETS) {
                assert!(
                    secrets(service).values().any(|path| *path == value),
                    "{name}: {value} is not mounted"
                );
            } else if variable.ends_with("_FILE") {
                let is_mounted = mounts(service).any(|(_, to)| Path::new(&value).starts_with(to));
                assert!(is_mounted, "{name}: {value} is on no volume");
            }
        }
    }
}

#[test]
fn the_binary_takes_what_api_and_worker_are_told() {
    let (compose, folder) = (compose(), tempfile::tempdir().expect("a folder"));
    make_secrets(folder.path());
    let key_file = folder.path().join("seal.keys");
    std::fs::write(&key_file, "").expect("the folder can be written");
    let local = format!("{}/secrets/", folder.path().display());
    for name in ["api", "worker"] {
        let mut variables = environment(&compose["services"][name]);
        for value in variables.values_mut() {
            *value = value.replace(SECRETS, &local);
        }
        variables.insert("ROLECALL__SEAL__KEY_FILE".to_owned(), key_file.display().to_string());
        let settings =
            Settings::from_sources(None, &variables).unwrap_or_else(|faults| panic!("{name}: {faults}"));
        assert!(settings.control.owner_url.is_none(), "{name} needs not know the owner");
        assert_eq!(settings.default_login.expect("a default log-in").hosts.len(), 1);
        assert_eq!(settings.account.is_some(), name == "api");
    }
}

/// Every command line in a text: what follows the word `rolecall`, as far as it looks like commands.
fn commands_in(text: &str) -> Vec<String> {
    let is_command = |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase());
    let mut commands = Vec::new();
    for part in text.split(['|', ';']) {
        let mut words = part.split_whitespace().skip_while(|word| *word != "rolecall");
        if words.next().is_some() {
            commands.push(words.take_while(is_command).collect::<Vec<_>>().join(" "));
        }
    }
    commands
}

#[test]
fn every_command_is_one_of_the_binary() {
    let (compose, known) = (compose(), product::commands());
    let mut found = BTreeSet::new();
    for (name, service) in ours(&compose) {
        let command = words(&service["command"]).join(" ");
        let command = if service["entrypoint"].is_null() { format!("rolecall {command}") } else { command };
        let health = words(&service["healthcheck"]["test"]).join(" ");
        let commands = [commands_in(&command), commands_in(&health)].concat();
        assert!(!commands.is_empty(), "{name} runs nothing of ours");
        for command in commands {
            assert!(known.contains(&command), "{name}: there is no `rolecall {command}`");
            found.insert(command);
        }
    }
    for (instruction, rest) in dockerfile() {
        if instruction == "CMD" {
            let command: Vec<String> = serde_json::from_str(&rest).expect("CMD in JSON form");
            assert!(known.contains(&command.join(" ")), "Dockerfile: CMD {rest}");
        }
    }
    for needed in ["api", "worker", "migrate", "keys add"] {
        assert!(found.contains(needed), "nothing runs `rolecall {needed}`: {found:?}");
    }
}

#[test]
fn ports_are_the_binary_s_and_on_loopback() {
    let compose = compose();
    for (name, service) in services(&compose) {
        for port in words(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port} is open to others");
        }
    }
    for (name, key) in [("api", "api.listen"), ("worker", "worker.listen")] {
        let (service, port) = (&compose["services"][name], default_port(key));
        let variable = format!("ROLECALL__{}", key.to_uppercase().replace('.', "__"));
        assert_eq!(environment(service)[&variable], format!("0.0.0.0:{port}"));
        let health = words(&service["healthcheck"]["test"]).join(" ");
        assert!(health.contains(&format!("http://127.0.0.1:{port}/readyz")), "{name}: {health}");
        for published in words(&service["ports"]) {
            assert_eq!(published.rsplit(':').next(), Some(port.to_string().as_str()), "{name}");
        }
    }
    let exposed =
        dockerfile().into_iter().find(|(instruction, _)| instruction == "EXPOSE").expect("EXPOSE").1;
    assert_eq!(exposed, format!("{} {}", default_port("api.listen"), default_port("worker.listen")));
}

#[test]
fn volumes_and_secrets_are_declared_and_used_and_made() {
    let compose = compose();
    let (mut volumes, mut used) = (BTreeSet::new(), BTreeSet::new());
    for (name, service) in services(&compose) {
        used.extend(secrets(service).into_keys());
        for (from, to) in mounts(service) {
            assert!(to.starts_with('/'), "{name}: {to}");
            if from.starts_with('.') {
                assert!(checkout().join(from).is_file(), "{name}: there is no file {from}");
            } else {
                volumes.insert(from);
            }
        }
    }
    assert_eq!(volumes, keys(&compose["volumes"]));
    assert_eq!(used, keys(&compose["secrets"]));

    let folder = tempfile::tempdir().expect("a folder");
    make_secrets(folder.path());
    let made = files(&folder.path().join("secrets"));
    assert_eq!(made.keys().map(String::as_str).collect::<BTreeSet<_>>(), used);
    for (secret, declared) in compose["secrets"].as_object().expect("secrets") {
        assert_eq!(declared["file"], format!("compose/secrets/{secret}"));
    }
    let ignored = read(".gitignore");
    assert!(ignored.lines().any(|line| line == "/compose/secrets/*"), "git would take the secrets");
    // Neither may an image.
    assert!(!read(".dockerignore").lines().any(|line| line.starts_with("!compose")));
}

#[test]
fn secrets_are_made_once_and_no_two_are_alike() {
    let folder = tempfile::tempdir().expect("a folder");
    make_secrets(folder.path());
    let secrets = folder.path().join("secrets");
    let before = files(&secrets);
    let again = Command::new(folder.path().join("make-secrets")).output().expect("the script runs");
    assert!(!again.status.success(), "a second run must refuse");
    assert_eq!(files(&secrets), before);

    let passwords: Vec<_> = before.iter().filter(|(name, _)| name.ends_with("_password")).collect();
    let distinct: BTreeSet<_> = passwords.iter().map(|(_, text)| text.trim_end()).collect();
    assert_eq!(distinct.len(), passwords.len());
    for (name, text) in passwords {
        assert!(text.trim_end().len() >= 48, "{name} is short");
    }
    // What a server is told and what its client is told agree.
    for (server, client) in [
        ("redis_password", "redis_url"),
        ("redis_password", "redis_auth.conf"),
        ("control_owner_password", "control_owner_url"),
        ("control_writer_password", "control_url"),
    ] {
        assert!(before[client].contains(before[server].trim_end()), "{server} and {client}");
    }
    let broker = before["rabbitmq_user.conf"].lines().find_map(|line| line.strip_prefix("default_pass = "));
    assert!(before["rabbitmq_url"].contains(broker.expect("the broker's password")));
}

#[test]
fn servers_are_pinned_confined_watched_and_waited_for() {
    let compose = compose();
    for (name, service) in services(&compose) {
        let image = service["image"].as_str().unwrap_or_else(|| panic!("{name} has no image"));
        if image != "rolecall:local" {
            let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
            assert!(tag.split('-').next().is_some_and(|v| v.contains('.')), "{name}: {image} is not pinned");
            assert!(!service["user"].is_null(), "{name} begins as root");
        }
        assert_eq!(words(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(words(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        assert_eq!(service["ulimits"]["nofile"], 65536, "{name}");

        let runs_once = service["restart"] == "no";
        assert!(runs_once || !service["healthcheck"]["test"].is_null(), "{name} has no health check");
        let Some(needs) = service["depends_on"].as_object() else { continue };
        for (other, how) in needs {
            let other = &compose["services"][other];
            assert!(!other.is_null(), "{name} waits for a service that is not there");
            let expected =
                if other["restart"] == "no" { "service_completed_successfully" } else { "service_healthy" };
            assert_eq!(how["condition"], expected, "{name}");
        }
    }
    for (file, lines) in
        [("compose/redis.conf", ["appendonly yes", "appendfsync always", "maxmemory-policy noeviction"])]
    {
        let text = read(file);
        for line in lines {
            assert!(text.lines().any(|found| found == line), "{file} lacks {line}");
        }
    }
}

/// The instructions with their lines joined, without comments.
fn dockerfile() -> Vec<(String, String)> {
    let text = read("Dockerfile");
    let lines: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    joined
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(instruction, rest)| {
            (instruction.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" "))
        })
        .collect()
}

#[test]
fn the_image_is_pinned_and_runs_the_binary_as_nobody_in_particular() {
    let instructions = dockerfile();
    let all = |name: &str| {
        instructions.iter().filter(|(i, _)| i == name).map(|(_, rest)| rest.as_str()).collect::<Vec<_>>()
    };
    for from in all("FROM") {
        let image = from.split(' ').next().unwrap_or_default();
        let tag = image.split_once(':').map_or("", |(_, tag)| tag);
        assert!(tag.bytes().filter(u8::is_ascii_digit).count() >= 4, "{image} is not pinned");
    }
    let build = all("RUN").into_iter().find(|run| run.contains("cargo build")).expect("the build");
    for word in ["--locked", "--profile dist", "--package rolecall", "--mount=type=cache"] {
        assert!(build.contains(word), "the build lacks {word}");
    }
    let manifest: toml::Table = read("Cargo.toml").parse().expect("Cargo.toml is TOML");
    assert!(manifest["profile"].get("dist").is_some(), "there is no profile dist");
    assert!(all("COPY").contains(&"--from=build /out/rolecall /usr/local/bin/rolecall"));
    assert_eq!(all("ENTRYPOINT"), [r#"["rolecall"]"#]);
    let user = all("USER").last().copied().expect("a user");
    assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id >= 1000)), "USER {user}");

    let manifest: toml::Table = read("cli/Cargo.toml").parse().expect("cli/Cargo.toml is TOML");
    let features = manifest["features"].as_table().expect("features");
    let asked = all("ARG").into_iter().find_map(|arg| arg.strip_prefix("FEATURES=")).expect("the features");
    assert!(asked.split(',').all(|feature| features.contains_key(feature)), "{asked}");
}

#[test]
fn what_the_build_reads_is_not_ignored() {
    let taken = read(".dockerignore");
    let manifest: toml::Table = read("Cargo.toml").parse().expect("Cargo.toml is TOML");
    let members = manifest["workspace"]["members"].as_array().expect("members");
    let members = members.iter().filter_map(toml::Value::as_str);
    for needed in members.chain(["Cargo.toml", "Cargo.lock", "migrations"]) {
        assert!(taken.lines().any(|line| line == format!("!{needed}")), "the build lacks {needed}");
    }
}
