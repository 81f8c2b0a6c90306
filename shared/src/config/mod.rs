//! Settings, from file and environment, checked as a whole before anything starts.
//!
//! Owns: the table of keys (`keys`), which the loader, the check for unknown keys and the sample file all read;
//! the merge of file and variables (`sources`); the rules between keys (`sections`, `kinds`, `listeners`, `notify`, `oidc`, `outbound`, `passwords`, `urls`, `webhooks`).
//!
//! Never: stops at the first fault, repeats a secret (or a line of the file, which may hold one) in a fault, or
//! has a default for a credential.
//!
//! Tested in `tests` beside this file, without touching the environment of the process: file text and variables
//! are passed in. `docs/rolecall.sample.toml` is compared with [`sample()`] there.

mod chosen;
mod keys;
mod kinds;
mod listeners;
mod notify;
mod oidc;
mod outbound;
mod passwords;
mod reader;
mod sample;
mod sections;
mod settings;
mod shape;
mod sources;
#[cfg(test)]
mod tests;
mod urls;
mod webhooks;

pub use notify::{Mail, MailTls, Notify, NotifyChannel, NotifyRule, Place};
pub use sample::sample;
pub use settings::{
    Api, ApiTls, Audit, Auth, BootstrapAccount, CallbackHost, ClaimRule, Control, DefaultLogin, History,
    KeySource, Legacy, Log, Oidc, OidcBinding, OidcIssuer, Outbound, RabbitMq, Redis, Seal, Settings, Target,
    Tickets, UnixSocket, Webhooks, Worker,
};
pub use urls::{check_issuer_url, is_loopback};

use std::collections::BTreeMap;
use std::path::Path;

use reader::Reader;

/// What the api says when it finds neither a bootstrap account nor one in the control database.
pub const NO_ACCOUNT: &str = "no account: set account.user and account.password (or account.password_file), or run \
                              `rolecall accounts create`";

/// Every fault of the configuration at once, each `key: what is wrong and what would be right`. Holds no secret.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigFaults(pub Vec<String>);

/// A configuration file: the name it has in faults, and its text.
pub type FileText<'a> = (&'a Path, &'a str);

impl Settings {
    /// Everything the services need, from the named file (or `./rolecall.toml`, or `/etc/rolecall/rolecall.toml`,
    /// or none) and the variables of the process. Reads the files of secrets too.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigFaults> {
        load(file, sections::settings)
    }

    /// The same from a file's text and variables that are passed in.
    pub fn from_sources(
        file: Option<FileText<'_>>,
        variables: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigFaults> {
        read(file, variables, Vec::new(), sections::settings)
    }
}

impl Control {
    /// Section `control` alone, for commands that need no more. What is wrong in other sections is not looked at,
    /// and their secrets are not read; unknown keys are told wherever they stand.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigFaults> {
        load(file, sections::control)
    }

    /// The same with `control.owner_url`, which `rolecall migrate` cannot do without.
    pub fn load_for_migration(file: Option<&Path>) -> Result<Self, ConfigFaults> {
        load(file, sections::control_for_migration)
    }
}

impl Audit {
    /// Section `audit` alone.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigFaults> {
        load(file, |reader| Some(sections::audit(reader)))
    }
}

impl Seal {
    /// Section `seal` alone; the key file need not exist yet.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigFaults> {
        load(file, sections::seal)
    }
}

impl Oidc {
    /// The issuers alone.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigFaults> {
        load(file, |reader| Some(oidc::issuers(reader)))
    }
}

impl Notify {
    /// Channels and rules alone.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigFaults> {
        load(file, |reader| Some(notify::notify(reader)))
    }
}

fn load<T>(file: Option<&Path>, sections: fn(&mut Reader) -> Option<T>) -> Result<T, ConfigFaults> {
    let mut faults = Vec::new();
    let variables = sources::own_variables(&mut faults);
    match sources::read_file(file) {
        Ok(found) => {
            let found = found.as_ref().map(|(path, text)| (path.as_path(), text.as_str()));
            read(found, &variables, faults, sections)
        }
        Err(fault) => {
            faults.push(fault);
            Err(ConfigFaults(faults))
        }
    }
}

fn read<T>(
    file: Option<FileText<'_>>,
    variables: &BTreeMap<String, String>,
    mut faults: Vec<String>,
    sections: fn(&mut Reader) -> Option<T>,
) -> Result<T, ConfigFaults> {
    let Some(tree) = sources::merge(file, variables, &mut faults) else {
        return Err(ConfigFaults(faults));
    };
    let mut reader = Reader::new(tree, faults);
    let value = sections(&mut reader);
    match value {
        Some(value) if reader.faults.is_empty() => Ok(value),
        Some(_) | None => Err(ConfigFaults(reader.faults)),
    }
}
