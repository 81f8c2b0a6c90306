//! A target as it stands in requests and answers.

use jiff::Timestamp;
use rolecall_shared::control::Host;
use rolecall_shared::domain::Failure;
use rolecall_shared::domain::{DatabaseName, HostKey, Login, LoginPassword, SslMode, Target, TargetKey};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::fields::Fields;
use crate::app::login::{self, AskedLogin, AskedPassword};
use crate::app::targets::AskedTarget;

/// A target to register, or what it is to become: what is left out takes its default.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents what `parse` reads, which finds all faults at once; a test compares the two"
)]
#[schema(as = NewTarget, example = json!({
    "hostname": "db1.example.com", "port": 5432, "sslmode": "verify-full",
    "login": { "user": "rolecall_dba", "password_ref": "file:/run/secrets/db1" },
}))]
pub(super) struct NewTargetBody {
    /// A DNS name or an address, in lower case.
    hostname: String,
    /// 5432
    port: Option<u16>,
    /// The default log-in of the configuration if absent, for hosts on its list.
    login: Option<NewLoginBody>,
    /// `disable`, `prefer` (default), `require`, `verify-ca` or `verify-full`, as libpq means them.
    sslmode: Option<String>,
    /// A file with the certificates to trust, on the machines that run Rolecall.
    ca_file: Option<String>,
    /// The database in which the host is locked: `postgres`. All targets of a host say the same.
    lock_database: Option<String>,
    /// Whether jobs are accepted: true.
    active: Option<bool>,
    /// Free text of at most 4096 bytes.
    notes: Option<String>,
}

/// As whom to log in. Without a password the one that is kept stays, for the same user, hostname and port.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents what `parse` reads")]
#[schema(as = NewLogin)]
struct NewLoginBody {
    user: String,
    /// Is sealed and never shown again.
    password: Option<String>,
    /// `env:NAME` or `file:/path`, on the machines that run Rolecall.
    password_ref: Option<String>,
}

const MAX_NOTES: usize = 4096;
const MAX_PATH: usize = 1024;

/// Reads a target, or tells all its faults at once.
pub(super) fn parse(key: TargetKey, map: &Map<String, Value>) -> Result<AskedTarget, Failure> {
    let fields = Fields::of(map);
    let hostname = fields.required_text("hostname");
    let port = fields.port("port").unwrap_or(5432);
    let host = fields.parsed("hostname", hostname, |hostname| HostKey::new(hostname, port));
    let login = login(&fields);
    let sslmode = fields.parsed("sslmode", fields.text("sslmode"), |text| {
        text.parse::<SslMode>().map_err(|()| "must be disable, prefer, require, verify-ca or verify-full")
    });
    let ca_file = fields.parsed("ca_file", fields.text("ca_file"), |text| {
        let is_path = text.starts_with('/') && text.len() <= MAX_PATH && !text.chars().any(char::is_control);
        if is_path { Ok(text.to_owned()) } else { Err("must be an absolute path") }
    });
    let lock_database = fields.text("lock_database").unwrap_or("postgres");
    let lock_database = fields.parsed("lock_database", Some(lock_database), DatabaseName::parse);
    let active = fields.boolean("active").unwrap_or(true);
    let notes = fields.text("notes").unwrap_or_default();
    // PostgreSQL's text takes no NUL.
    if notes.len() > MAX_NOTES || notes.contains('\0') {
        fields.fault("notes", format!("must be at most {MAX_NOTES} bytes without NUL"));
    }
    fields.finish()?;
    let (Some(host), Some(login), Some(lock_database)) = (host, login, lock_database) else {
        return Err(Failure::internal("a target without a fault and without its parts"));
    };
    let (sslmode, notes) = (sslmode.unwrap_or_default(), notes.to_owned());
    Ok(AskedTarget { key, host, login, sslmode, ca_file, lock_database, active, notes })
}

fn login(fields: &Fields<'_>) -> Option<AskedLogin> {
    let Some(value) = fields.value("login") else { return Some(AskedLogin::Default) };
    let Some(map) = value.as_object() else {
        fields.fault("login", "must be an object with user and password or password_ref");
        return None;
    };
    let inner = Fields::within("login.", map);
    let user = inner.parsed("user", inner.required_text("user"), plain);
    let password = inner.parsed("password", inner.text("password"), plain).map(SecretString::from);
    let reference = inner.parsed("password_ref", inner.text("password_ref"), login::parse_reference);
    if password.is_some() && reference.is_some() {
        inner.fault("password_ref", "excludes password");
    }
    fields.absorb(inner);
    let password = match (password, reference) {
        (Some(password), _) => AskedPassword::Given(password),
        (None, Some(reference)) => AskedPassword::Reference(reference),
        (None, None) => AskedPassword::Kept,
    };
    Some(AskedLogin::Own { user: user?, password })
}

fn plain(text: &str) -> Result<String, String> {
    let most = login::MAX_BYTES;
    if (1..=most).contains(&text.len()) && !text.contains('\0') {
        Ok(text.to_owned())
    } else {
        Err(format!("must be 1 to {most} bytes without NUL"))
    }
}

/// A registered target. Its password is not shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Target)]
pub(super) struct TargetBody {
    env: String,
    database: String,
    hostname: String,
    port: u16,
    login: LoginBody,
    sslmode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca_file: Option<String>,
    lock_database: String,
    active: bool,
    notes: String,
    /// Counts changes; the `ETag`.
    revision: i64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

/// As whom Rolecall logs in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Login)]
struct LoginBody {
    /// Whether it is the default log-in of the configuration.
    default: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// `sealed`, `env:NAME` or `file:/path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

impl From<&Target> for TargetBody {
    fn from(target: &Target) -> Self {
        Self {
            env: target.key.env.to_string(),
            database: target.key.database.to_string(),
            hostname: target.host.hostname().to_owned(),
            port: target.host.port(),
            login: LoginBody::from(&target.login),
            sslmode: target.sslmode.as_str(),
            ca_file: target.ca_file.clone(),
            lock_database: target.lock_database.to_string(),
            active: target.active,
            notes: target.notes.clone(),
            revision: target.revision,
            created_at: target.created_at,
            updated_at: target.updated_at,
        }
    }
}

impl From<&Login> for LoginBody {
    fn from(login: &Login) -> Self {
        match login {
            Login::Default => Self { default: true, user: None, password: None },
            Login::Own { user, password } => {
                let password = match password {
                    LoginPassword::Sealed(_) => "sealed".to_owned(),
                    LoginPassword::Env(name) => format!("env:{name}"),
                    LoginPassword::File(path) => format!("file:{path}"),
                };
                Self { default: false, user: Some(user.clone()), password: Some(password) }
            }
        }
    }
}

/// The path of a target.
pub(super) fn href(key: &TargetKey) -> String {
    let database = crate::app::paste::percent_encoded(key.database.as_str());
    format!("/api/v2/targets/{}/{database}", key.env)
}

/// A target's name in the registry.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TargetName {
    env: String,
    database: String,
}

impl From<&TargetKey> for TargetName {
    fn from(key: &TargetKey) -> Self {
        Self { env: key.env.to_string(), database: key.database.to_string() }
    }
}

/// A host that was paused or resumed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PausedBody {
    /// `hostname:port`.
    host: String,
    paused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// All targets of the host: none of their jobs run while it is paused.
    targets: Vec<TargetName>,
}

impl From<Host> for PausedBody {
    fn from(host: Host) -> Self {
        let (by, at, reason) = match host.paused {
            Some(pause) => (Some(pause.by), Some(pause.at), Some(pause.reason)),
            None => (None, None, None),
        };
        let targets = host.targets.iter().map(TargetName::from).collect();
        Self { host: host.key.to_string(), paused: by.is_some(), by, at, reason, targets }
    }
}

#[cfg(test)]
mod tests;
