//! As whom Rolecall is to log in to a target, and what a caller may make it use.
//!
//! Whoever may register a host can read what is sent there: a server may ask for the password in the clear. So
//! a registration can neither point the default log-in at a host that is not on its list, nor name a variable or a
//! file that the operator has not set apart for passwords of targets, nor send a password that is kept for one place
//! to another.

use std::path::{Component, Path};

use rolecall_shared::domain::{Code, Failure, HostKey, Login, LoginPassword, Target, TargetKey};
use rolecall_shared::seal::Password;
use rolecall_shared::target::{check_reference, seal_login_password};
use secrecy::{ExposeSecret, SecretString};

use super::registry::Registry;

/// The log-in as a caller states it.
#[derive(Debug)]
pub(crate) enum AskedLogin {
    /// The default log-in of the configuration.
    Default,
    /// The target's own.
    Own { user: String, password: AskedPassword },
}

/// Where its password is to come from.
#[derive(Debug)]
pub(crate) enum AskedPassword {
    /// Here it is.
    Given(SecretString),
    /// `env:NAME` or `file:/path`, parsed.
    Reference(LoginPassword),
    /// As it is kept now, for the same user at the same place.
    Kept,
}

/// The longest user and password that are taken, in bytes.
pub(crate) const MAX_BYTES: usize = 1024;

/// Reads `env:NAME` or `file:/path`. Whether it may be followed is for [`settle`] to say.
pub(crate) fn parse_reference(text: &str) -> Result<LoginPassword, &'static str> {
    if let Some(name) = text.strip_prefix("env:") {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.is_empty() || name.len() > 128 || !name.bytes().all(plain) {
            return Err("env: must be followed by the name of a variable");
        }
        return Ok(LoginPassword::Env(name.to_owned()));
    }
    let path = text.strip_prefix("file:").ok_or("must start with env: or file:")?;
    let plain =
        Path::new(path).components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !path.starts_with('/') || !plain || path.len() > MAX_BYTES || path.chars().any(char::is_control) {
        return Err("file: must be followed by an absolute path without . and ..");
    }
    Ok(LoginPassword::File(path.to_owned()))
}

/// Settles the log-in for a target's new place.
///
/// [`Code::DefaultLoginNotAllowed`] when the default log-in is not for that host; [`Code::InvalidRequest`] when
/// a password is needed, or when the operator's settings do not allow the reference.
pub(crate) async fn settle(
    registry: &Registry,
    asked: AskedLogin,
    place: (&TargetKey, &HostKey),
    before: Option<&Target>,
) -> Result<Login, Failure> {
    let (user, password) = match asked {
        AskedLogin::Default => return default_login(registry, place.1).await,
        AskedLogin::Own { user, password } => (user, password),
    };
    let password = match password {
        AskedPassword::Given(password) => {
            let password = Password::from_string(password.expose_secret().to_owned().into());
            let sealed = seal_login_password(&registry.keys, place.0, &user, &password, registry.clock.now());
            LoginPassword::Sealed(sealed.map_err(Failure::internal)?)
        }
        // One that is no longer allowed may stay, so that its target can be changed; it is not followed.
        AskedPassword::Reference(reference)
            if kept(before, &user, place.1).is_ok_and(|known| known == reference) =>
        {
            reference
        }
        AskedPassword::Reference(reference) => {
            let checked = check_reference(&registry.settings.target, &reference).await;
            checked.map_err(|refused| Failure::field("login.password_ref", refused))?;
            reference
        }
        AskedPassword::Kept => kept(before, &user, place.1)?,
    };
    Ok(Login::Own { user, password })
}

async fn default_login(registry: &Registry, host: &HostKey) -> Result<Login, Failure> {
    if registry.has_default_login(host).await? {
        return Ok(Login::Default);
    }
    Err(Failure::new(
        Code::DefaultLoginNotAllowed,
        format!(
            "The default log-in is not for {host}; state a login, or have the host added to default_login.hosts, or \
             by `rolecall targets trust`."
        ),
    ))
}

fn kept(before: Option<&Target>, user: &str, host: &HostKey) -> Result<LoginPassword, Failure> {
    match before.map(|target| (&target.host, &target.login)) {
        Some((place, Login::Own { user: known, password })) if place == host && known == user => {
            Ok(password.clone())
        }
        Some(_) | None => Err(Failure::field(
            "login.password",
            "is required for a new target, and when its user, hostname or port changes",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::fakes;

    #[test]
    fn references_are_names_and_paths() {
        assert_eq!(parse_reference("env:DB1_PASSWORD"), Ok(LoginPassword::Env("DB1_PASSWORD".into())));
        assert_eq!(
            parse_reference("file:/run/secrets/db1"),
            Ok(LoginPassword::File("/run/secrets/db1".into()))
        );
        for text in [
            "",
            "hunter2",
            "env:",
            "env:A B",
            "env:A=B",
            "file:",
            "file:secret",
            "file:/run/../proc/self/environ",
            "file:/run/./../proc/self/environ",
            "file:/a\0b",
            "FILE:/x",
        ] {
            assert!(parse_reference(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_kept_password_stays_at_its_place() {
        let mut target = fakes::target("db1");
        target.login = Login::Own { user: "dba".into(), password: LoginPassword::Sealed(vec![1]) };
        let elsewhere = HostKey::new("evil", 5432).unwrap();
        assert!(kept(Some(&target), "dba", &target.host).is_ok());
        assert!(kept(Some(&target), "dba", &elsewhere).is_err());
        assert!(kept(Some(&target), "other", &target.host).is_err());
        assert!(kept(None, "dba", &target.host).is_err());
    }
}
