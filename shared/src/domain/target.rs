//! Targets and the hosts they stand on.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{DatabaseName, Env};

/// How a target is called: env + database name, unique in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TargetKey {
    /// The environment.
    pub env: Env,
    /// The database.
    pub database: DatabaseName,
}

impl fmt::Display for TargetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.env, self.database)
    }
}

/// hostname:port of a target: the unit in which DDL is serialised. Several targets may share one.
///
/// The hostname is at most 200 bytes of `[a-z0-9._:-]` (a DNS name, an IPv4 or an IPv6 address without
/// brackets), lower case, so that one host has one queue. 200 and not DNS's 253, because AMQP gives a queue's
/// name 255 bytes and our prefix stands before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostKey {
    hostname: String,
    port: u16,
}

/// Not a host we can have a queue for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHost {
    /// Empty, over 200 bytes, or with other characters than a DNS name or address has.
    #[error("hostname must be a DNS name or an IP address of at most 200 bytes, in lower case")]
    Hostname,
    /// Zero, or no number.
    #[error("port must be a number from 1 to 65535")]
    Port,
}

impl HostKey {
    /// Checks and joins the two parts.
    pub fn new(hostname: &str, port: u16) -> Result<Self, InvalidHost> {
        let plain =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_' | b':');
        if !(1..=200).contains(&hostname.len()) || hostname.starts_with('-') || !hostname.bytes().all(plain) {
            return Err(InvalidHost::Hostname);
        }
        if port == 0 {
            return Err(InvalidHost::Port);
        }
        Ok(Self { hostname: hostname.to_owned(), port })
    }

    /// The DNS name or address.
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.hostname, self.port)
    }
}

impl FromStr for HostKey {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        let (hostname, port) = text.rsplit_once(':').ok_or(InvalidHost::Port)?;
        Self::new(hostname, port.parse().map_err(|_| InvalidHost::Port)?)
    }
}

impl Serialize for HostKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// How far TLS is demanded and checked, with libpq's names and meanings ("SSL Support" in its manual).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// TLS if the server offers it, unchecked; plain otherwise.
    #[default]
    Prefer,
    /// TLS; the certificate is checked against the CA only if a CA file is given.
    Require,
    /// TLS, and the certificate must come from the CA.
    VerifyCa,
    /// TLS, the certificate must come from the CA and name the host.
    VerifyFull,
}

impl SslMode {
    /// libpq's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

impl FromStr for SslMode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Disable, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or(())
    }
}

/// Where the password of a target's log-in comes from. Never the password itself.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum LoginPassword {
    /// Sealed by the key ring; the bytes stand in the control database.
    Sealed(Vec<u8>),
    /// An environment variable of the worker and api processes.
    Env(String),
    /// A file that the processes can read; a trailing newline is dropped.
    File(String),
}

impl fmt::Debug for LoginPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sealed(_) => f.write_str("sealed"),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
        }
    }
}

/// As whom Rolecall logs in to a target.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Login {
    /// The default log-in of the configuration; only for hosts on its list.
    Default,
    /// The target's own.
    Own {
        /// The PostgreSQL role.
        user: String,
        /// Where its password is.
        password: LoginPassword,
    },
}

/// A registered database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name in the registry.
    pub key: TargetKey,
    /// Where it stands.
    pub host: HostKey,
    /// As whom to log in.
    pub login: Login,
    /// How TLS is demanded.
    pub sslmode: SslMode,
    /// A file with the certificates to trust, on the machines that run Rolecall; the system's if none.
    pub ca_file: Option<String>,
    /// The database in which the host lock is taken. It belongs to the host: all its targets say the same.
    pub lock_database: DatabaseName,
    /// Whether jobs are accepted for it.
    pub active: bool,
    /// Free text.
    pub notes: String,
    /// Whether an operator has added its host to those the default log-in is for, beside the configuration's.
    pub is_trusted: bool,
    /// Counts changes; the `ETag` of the resource.
    pub revision: i64,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_key_reads_back_as_written() {
        for text in ["db1.example.com:5432", "10.0.0.1:1", "::1:65535", "db_1:15432"] {
            assert_eq!(text.parse::<HostKey>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn impossible_hosts_are_refused() {
        for host in ["", "DB1", "a b", "a/b", "a\nb", "-a", "a'", "é"] {
            assert_eq!(HostKey::new(host, 5432), Err(InvalidHost::Hostname), "{host:?}");
        }
        assert!(HostKey::new(&"h".repeat(200), 1).is_ok());
        assert_eq!(HostKey::new(&"h".repeat(201), 1), Err(InvalidHost::Hostname));
        assert_eq!(HostKey::new("h", 0), Err(InvalidHost::Port));
        assert_eq!("h:65536".parse::<HostKey>(), Err(InvalidHost::Port));
        assert_eq!("h".parse::<HostKey>(), Err(InvalidHost::Port));
    }

    #[test]
    fn a_login_password_never_prints_itself() {
        assert_eq!(format!("{:?}", LoginPassword::Sealed(b"hunter2".to_vec())), "sealed");
    }
}
