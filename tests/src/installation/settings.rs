//! The settings of an installation, by key, and the variables they become.

use std::collections::BTreeMap;
use std::path::Path;

use crate::control::ControlDatabase;
use crate::stack::Stack;
use crate::target::Target;

/// The variable for a key: `redis.url` is `ROLECALL__REDIS__URL`.
pub fn variable_of(key: &str) -> String {
    format!("ROLECALL__{}", key.to_uppercase().replace('.', "__"))
}

/// The settings as the variables of a process.
pub fn environment(settings: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    settings.iter().map(|(key, value)| (variable_of(key), value.clone())).collect()
}

/// What every installation on a stack needs; everything else has its default.
pub fn of(
    stack: &Stack,
    control: &ControlDatabase,
    targets: &[Target],
    key_file: &Path,
    prefix: &str,
) -> BTreeMap<String, String> {
    let hosts: Vec<_> = targets.iter().map(Target::host).collect();
    [
        ("api.listen", "127.0.0.1:0"),
        ("worker.listen", "127.0.0.1:0"),
        ("rabbitmq.url", stack.get("STACK_AMQP_URL")),
        ("rabbitmq.prefix", prefix),
        ("redis.url", stack.get("STACK_REDIS_URL")),
        ("redis.prefix", prefix),
        ("control.url", &control.writer_url),
        ("control.owner_url", &control.owner_url),
        ("seal.key_file", &key_file.display().to_string()),
        ("audit.signing_key_file", &key_file.with_file_name("audit.key").display().to_string()),
        ("audit.checkpoint_file", &key_file.with_file_name("checkpoints").display().to_string()),
        ("default_login.user", stack.get("STACK_DBA_USER")),
        ("default_login.password", stack.get("STACK_DBA_PASSWORD")),
        ("default_login.hosts", &hosts.join(",")),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}
