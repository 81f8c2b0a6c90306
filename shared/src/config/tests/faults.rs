//! Every fault, by its key; all at once; no secret in any.

use std::collections::BTreeMap;

use super::super::keys::ALL;
use super::super::sources::variable_of;
use super::{Ground, Settings};

/// Each row: a file, and the beginning of the only fault it has.
const FAULTS: &[(&str, &str)] = &[
    ("[worker]\nlanes = 0", "worker.lanes: must be a whole number from 1 to 1000; it is 0"),
    ("[worker]\nlanes = 1001", "worker.lanes: must be a whole number from 1 to 1000; it is 1001"),
    ("[worker]\nlanes = 'many'", "worker.lanes: must be a whole number from 1 to 1000"),
    ("[worker]\nlanes = 1.5", "worker.lanes: must be a whole number"),
    ("[worker.lanes]\na = 1", "worker.lanes: must be a whole number"),
    ("[worker]\nbatch = 65", "worker.batch: must be a whole number from 1 to 64; it is 65"),
    ("[worker]\nlisten = ''", "worker.listen: must be an IP address with a port, such as"),
    ("[api]\nlisten = 'localhost'", "api.listen: must be an IP address with a port"),
    ("[api]\nlisten = 'off'", "api.listen: must be an IP address with a port"),
    ("[api]\nlisten = '0.0.0.0:5000'", "api.listen: 0.0.0.0:5000 is reachable from other machines"),
    ("[api]\nlisten = '[::]:5000'", "api.listen: [::]:5000 is reachable from other machines"),
    ("[api]\nlisten = '[::ffff:10.0.0.1]:5000'", "api.listen: [::ffff:10.0.0.1]:5000 is reachable"),
    (
        "[api]\ntls_listen = ''",
        "api.tls_listen: must be an IP address with a port, such as 0.0.0.0:5443, or `off`",
    ),
    (
        "[api]\ntls_listen = '[::1]:1'\ntls_key_file = '/k'",
        "api.tls_certificate_file: is missing while api.tls",
    ),
    (
        "[api]\ntls_listen = '[::1]:1'\ntls_certificate_file = '/c'",
        "api.tls_key_file: is missing while api.tls",
    ),
    ("[api]\nunix_socket = 'api.sock'", "api.unix_socket: `api.sock` is not an absolute path"),
    ("[api]\nunix_socket_mode = '0888'", "api.unix_socket_mode: must be up to four octal digits"),
    ("[api]\nunix_socket_mode = '+660'", "api.unix_socket_mode: must be up to four octal digits"),
    ("[api]\nunix_socket_mode = '1777'", "api.unix_socket_mode: must be up to four octal digits"),
    ("[api]\nmax_wait_seconds = 51", "api.max_wait_seconds: must be a whole number from 1 to 50"),
    ("[rabbitmq]\npublish_window = 1025", "rabbitmq.publish_window: must be"),
    ("[rabbitmq]\nprefix = 'Role Call'", "rabbitmq.prefix: must be 1 to 32 of the characters"),
    ("[redis]\nprefix = ''", "redis.prefix: must be 1 to 32"),
    ("[target]\nscram_iterations = 100001", "target.scram_iterations: must be"),
    ("[target]\nlock_timeout_milliseconds = 16000", "target.lock_timeout_milliseconds: must be"),
    ("[target]\nstatement_timeout_milliseconds = 16000", "target.statement_timeout_milliseconds: must"),
    ("[target]\nprotected_roles = [1]", "target.protected_roles: must be a list"),
    ("[target]\nprotected_roles = ['']", "target.protected_roles: `` must not be empty"),
    ("[target]\npassword_folders = ['keys']", "target.password_folders: `keys` is not an absolute path"),
    ("[target]\npassword_folders = ['/tmp/..']", "target.password_folders: `/tmp/..` is not an absolute"),
    ("[target]\npassword_folders = ['/no/such']", "target.password_folders: `/no/such` cannot be opened"),
    ("[target]\npassword_folders = ['/dev/null']", "target.password_folders: `/dev/null` is not a folder"),
    ("[target]\npassword_variables = ''", "target.password_variables: must be 1 to 64 of the characters"),
    ("[target]\npassword_variables = 'A-'", "target.password_variables: must be 1 to 64 of the characters"),
    ("[target]\npassword_variables = 'R'", "target.password_variables: must not be what variables of"),
    ("[target]\npassword_variables = 'PG_'", "target.password_variables: must not be what variables of"),
    ("[target]\npassword_variables = 'ROLECALL__X'", "target.password_variables: must not be what"),
    (
        "[target]\nbackoff_first_milliseconds = 500\nbackoff_cap_milliseconds = 400",
        "target.backoff_first_milliseconds: must be at most target.backoff_cap_milliseconds",
    ),
    (
        "[tickets]\ndeadline_seconds = 61\nmax_deadline_seconds = 60",
        "tickets.deadline_seconds: must be at most tickets.max_deadline_seconds",
    ),
    ("[log]\njson = 1", "log.json: must be true or false"),
    ("[log]\nfilter = 'info,lapin=loud'", "log.filter: "),
    ("[names]\nrole_pattern = '['", "names.role_pattern: is not a regular expression: unclosed"),
    ("[account]\nuser = 'a'", "account.password: is missing while account.user is set"),
    ("[account]\npassword = 'a'", "account.user: is missing while account.password is set"),
    ("[account]\nuser = 'a:b'\npassword = 'x'", "account.user: an account is named with"),
    ("[account]\nuser = 'a'\npassword = ''", "account.password: is empty"),
    ("[account]\nuser = 'a'\npassword = 5", "account.password: must be a text"),
    ("[default_login]\nuser = 'a'", "default_login.password: is missing"),
    ("[default_login]\nhosts = ['db1']", "default_login.hosts: `db1` is not hostname:port"),
    ("[kinds.App]\nconnection_limit = 1", "kinds.App: a kind is named with"),
    ("[kinds.app]\nnaming = 'servername'", "kinds.app.naming: must be one of `servername_port`"),
    ("[kinds.app]\nconnection_limit = -2", "kinds.app.connection_limit: must be"),
    ("[kinds.app]\nsearch_path = ['a b']", "kinds.app.search_path: `a b` must match"),
    ("[kinds.app]\nsearch_path = []", "kinds.app.search_path: must name at least one"),
    ("[kinds.app]\nonly_in_envs = ['Dev']", "kinds.app.only_in_envs: `Dev` must match"),
    ("[kinds.batch]\nnaming = 'username'", "kinds.batch.connection_limit: is missing"),
    ("[kinds.devqa]\nonly_in_envs = ['prod']", "kinds.devqa.only_in_envs: prod is in"),
    ("[kinds.app]\nlimit = 1", "kinds.app.limit: there is no such key"),
    ("kinds = 3", "kinds: there is no such key"),
    ("worker = 3", "worker: there is no such key"),
    ("[worker]\nlane = 3", "worker.lane: there is no such key; did you mean worker.lanes?"),
    ("[wroker]\nlanes = 3", "wroker.lanes: there is no such key; did you mean worker.lanes?"),
    ("[quite]\nanother = 3", "quite.another: there is no such key"),
    ("[nothing]", "nothing: there is no such key"),
    ("[worker]\nlanes = 1\nlanes = 2", "rolecall.toml: line 3: is not TOML: duplicate key"),
];

#[test]
fn each_fault_is_told_by_its_key() {
    for (file, expected) in FAULTS {
        let faults = Ground::new().faults(file);
        assert_eq!(faults.len(), 1, "{file:?}: {faults:?}");
        assert!(faults[0].starts_with(*expected), "{file:?}: {faults:?}");
    }
}

/// Whoever may register a target may have any file in these folders sent to a host of their choice.
#[test]
fn a_folder_for_passwords_of_targets_holds_no_secret_of_ours() {
    let ground = Ground::new();
    let own = ground.file("rolecall.redis", b"redis://localhost:6379/0");
    let apart = ground.dir.path().join("targets");
    std::fs::create_dir(&apart).unwrap();
    let link = ground.dir.path().join("link");
    std::os::unix::fs::symlink(ground.dir.path(), &link).unwrap();
    let ground = ground.without("ROLECALL__REDIS__URL").with(&[("ROLECALL__REDIS__URL_FILE", &own)]);

    let folders = |folder: &std::path::Path| format!("[target]\npassword_folders = ['{}']", folder.display());
    assert_eq!(ground.load(&folders(&apart)).unwrap().target.password_folders, [apart]);
    for folder in [ground.dir.path(), &link, std::path::Path::new("/")] {
        let faults = ground.faults(&folders(folder));
        assert_eq!(faults.len(), 2, "{faults:?}");
        for (fault, key) in faults.iter().zip(["redis.url_file", "seal.key_file"]) {
            let expected = format!("target.password_folders: `{}` holds {key}: ", folder.display());
            assert!(fault.starts_with(&expected), "{fault}");
        }
    }
}

#[test]
fn urls_are_checked_and_never_repeated() {
    let rows = [
        ("RABBITMQ__URL", "http://u:hunter2@h/", "rabbitmq.url: must have the form amqp://"),
        ("RABBITMQ__URL", "amqp://localhost:5672", "rabbitmq.url: must have the form amqp://"),
        ("RABBITMQ__URL", "amqp://u:hunter2@h:port/", "rabbitmq.url: must have the form amqp://"),
        ("REDIS__URL", "amqp://u:hunter2@h", "redis.url: must have the form redis://"),
        ("REDIS__URL", "redis://u:hunter2@h:99999", "redis.url: must have the form redis://"),
        ("CONTROL__URL", "postgresql://w:hunter2@h", "control.url: must have the form postgresql://"),
        ("CONTROL__URL", "mysql://w:hunter2@h/d", "control.url: must have the form postgresql://"),
        ("CONTROL__OWNER_URL", "postgresql://w:hunter2@/d", "control.owner_url: must have the form"),
    ];
    for (key, url, expected) in rows {
        let faults = Ground::new().with(&[(&format!("ROLECALL__{key}"), url)]).faults("");
        assert_eq!(faults.len(), 1, "{url}: {faults:?}");
        assert!(faults[0].starts_with(expected), "{url}: {faults:?}");
        assert!(!faults[0].contains("hunter2"), "{faults:?}");
    }
    let good = [
        ("ROLECALL__REDIS__URL", "rediss://u:p@h:6380/1"),
        ("ROLECALL__CONTROL__URL", "host=/run/postgresql user=w dbname=rolecall"),
    ];
    assert!(Ground::new().with(&good).load("").is_ok());
}

#[test]
fn a_broken_line_is_not_repeated() {
    let faults = Ground::new().faults("[account]\nuser = 'a'\npassword = \"hunter2\nuser2 = 3");
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("rolecall.toml: line 3: is not TOML: "), "{faults:?}");
    assert!(!faults[0].contains("hunter2"), "{faults:?}");
}

#[test]
fn what_is_missing_is_told_with_the_way_to_it() {
    let faults = Settings::from_sources(None, &BTreeMap::new()).unwrap_err().0;
    assert_eq!(
        faults,
        [
            "rabbitmq.url: is missing: set rabbitmq.url or rabbitmq.url_file (or ROLECALL__RABBITMQ__URL)",
            "redis.url: is missing: set redis.url or redis.url_file (or ROLECALL__REDIS__URL)",
            "control.url: is missing: set control.url or control.url_file (or ROLECALL__CONTROL__URL)",
            "seal.key_file: is missing: no seal key. Set seal.key_file (or ROLECALL__SEAL__KEY_FILE), then run \
             `rolecall keys add`",
        ]
    );
    let faults = Ground::new().with(&[("ROLECALL__SEAL__KEY_FILE", "/nowhere/seal.keys")]).faults("");
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("seal.key_file: /nowhere/seal.keys cannot be opened"), "{faults:?}");
    assert!(faults[0].ends_with("run `rolecall keys add`"), "{faults:?}");
}

#[test]
fn all_faults_come_at_once() {
    let ground = Ground::new()
        .without("ROLECALL__REDIS__URL")
        .with(&[("ROLECALL__WORKER__LANE", "1"), ("ROLECALL__API__MAX_BODY_BYTES", "0")]);
    let file = "[worker]\nlanes = 0\nbacth = 1\n[names]\nrole_pattern = '('\n[kinds.app]\nnaming = 'x'\n[log]\njson = 2";
    let faults = ground.faults(file);
    for key in [
        "worker.bacth",
        "ROLECALL__WORKER__LANE",
        "api.max_body_bytes",
        "worker.lanes",
        "redis.url",
        "log.json",
        "names.role_pattern",
        "kinds.app.naming",
    ] {
        assert!(faults.iter().any(|fault| fault.starts_with(&format!("{key}: "))), "{key} in {faults:?}");
    }
    assert_eq!(faults.len(), 8, "{faults:?}");
}

#[test]
fn an_unknown_variable_is_told_with_the_nearest_one() {
    let faults = Ground::new().with(&[("ROLECALL__RABBITMQ__URL_FIEL", "x")]).faults("");
    assert_eq!(
        faults,
        ["ROLECALL__RABBITMQ__URL_FIEL: there is no key rabbitmq.url_fiel; did you mean \
          ROLECALL__RABBITMQ__URL_FILE?"]
    );
}

#[test]
fn bad_secret_files_are_faults() {
    let ground = Ground::new().with(&[("ROLECALL__ACCOUNT__USER", "a")]);
    let empty = ground.file("empty", b"\n");
    let binary = ground.file("binary", b"\xff\xfe");
    let long = ground.file("long", &vec![b'a'; 70_000]);
    let rows = [
        (empty.as_str(), "account.password_file: is empty"),
        (binary.as_str(), "is not UTF-8"),
        (long.as_str(), "is longer than 65536 bytes"),
        ("/nowhere/at/all", "account.password_file: /nowhere/at/all cannot be read"),
    ];
    for (file, expected) in rows {
        let faults = ground.faults(&format!("[account]\npassword_file = '{file}'"));
        assert_eq!(faults.len(), 1, "{file}: {faults:?}");
        assert!(faults[0].contains(expected), "{file}: {faults:?}");
    }
    let faults = ground.faults("[account]\npassword = 'a'\npassword_file = '/x'");
    assert_eq!(faults, ["account.password: is stated, and so is account.password_file: remove one of them"]);
}

/// A key that stands in the table and is read by nobody would be a promise without a keeper: each default, put
/// out of its type, must be a fault.
#[test]
fn every_key_of_the_table_is_read() {
    for key in ALL.iter() {
        let path = key.path().replace('*', "app");
        let (section, name) = path.rsplit_once('.').unwrap();
        let ground = Ground::new();
        let variable = variable_of(&path);
        let faults = ground.without(&variable).faults(&format!("[{section}]\n{name} = [{{}}]"));
        assert!(
            faults.iter().any(|fault| fault.starts_with(&format!("{path}: must be"))),
            "{path}: {faults:?}"
        );
    }
}
