//! As whom to log in, and with which password.

use std::fmt::Display;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::config::{self, DefaultLogin};
use crate::domain::{Code, Login, LoginPassword, Target, TargetKey};
use crate::seal::{KeyRing, KeyRingError, OpenError, Password};

use super::TargetError;
use super::reference::{self, ReferenceRefused};

/// A user and the password in clear; lives as long as a session is being opened.
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: Password,
}

/// Seals the password of a target's own log-in for the control database.
///
/// The sealed text opens only for this target and user (they are its associated data): a row copied to another
/// target, or a changed user name, does not carry the password along.
pub fn seal_login_password(
    ring: &KeyRing,
    target: &TargetKey,
    user: &str,
    password: &Password,
    now: Timestamp,
) -> Result<Vec<u8>, KeyRingError> {
    ring.seal(password.expose().as_bytes(), associated(target, user).as_bytes(), now)
}

/// `target-login:<env>/<database>:<user>`.
fn associated(target: &TargetKey, user: &str) -> String {
    format!("target-login:{target}:{user}")
}

/// Finds user and password. Texts name the variable or file, never what is in it.
pub(super) async fn credentials(
    target: &Target,
    settings: &config::Target,
    default: Option<&DefaultLogin>,
    ring: &KeyRing,
) -> Result<Credentials, TargetError> {
    match &target.login {
        Login::Default => default_credentials(target, default),
        Login::Own { user, password } => {
            let password = match password {
                LoginPassword::Sealed(sealed) => unseal(ring, &target.key, user, sealed)?,
                LoginPassword::Env(name) => from_env(settings, name)?,
                LoginPassword::File(path) => from_file(settings, path).await?,
            };
            Ok(Credentials { user: user.clone(), password })
        }
    }
}

/// Whoever may register a host must not be handed the default password: it goes only to the hosts that the operator
/// has listed, in the configuration or by a command.
fn default_credentials(target: &Target, default: Option<&DefaultLogin>) -> Result<Credentials, TargetError> {
    let refused = |detail: String| TargetError::permanent(Code::DefaultLoginNotAllowed, detail);
    let Some(default) = default else {
        return Err(refused("The target uses the default log-in, and none is configured.".to_owned()));
    };
    if !target.is_trusted && !default.hosts.contains(&target.host) {
        return Err(refused(format!(
            "The default log-in is not for {host}; add the host to `default_login.hosts` or by `rolecall targets \
             trust {host}`, or give the target a log-in of its own.",
            host = target.host
        )));
    }
    let password = Zeroizing::new(default.password.expose_secret().to_owned());
    Ok(Credentials { user: default.user.clone(), password: Password::from_string(password) })
}

fn unseal(ring: &KeyRing, target: &TargetKey, user: &str, sealed: &[u8]) -> Result<Password, TargetError> {
    let plain = ring.open(sealed, associated(target, user).as_bytes()).map_err(|error| match error {
        OpenError::KeyMissing(key) => TargetError::login(format!(
            "the key {key} that seals the log-in's password is not in the key ring"
        )),
        OpenError::Broken => {
            TargetError::login("the sealed password of the log-in cannot be opened; set it again")
        }
    })?;
    let text = str::from_utf8(&plain)
        .map_err(|_| TargetError::login("the sealed password of the log-in is not UTF-8; set it again"))?;
    Ok(Password::from_string(Zeroizing::new(text.to_owned())))
}

/// A target may have been registered under other settings, or written into the table by hand: what a reference may
/// name is asked again here, where it is followed.
fn refused(reference: &str, why: &ReferenceRefused) -> TargetError {
    TargetError::login(format!("the password reference {reference} is refused: it {why}"))
}

fn from_env(settings: &config::Target, name: &str) -> Result<Password, TargetError> {
    reference::check_variable(settings, name).map_err(|why| refused(&format!("env:{name}"), &why))?;
    let fault = |why: &str| TargetError::login(format!("the environment variable {name} {why}"));
    match std::env::var(name) {
        Ok(text) if text.is_empty() => Err(fault("is empty")),
        Ok(text) => Ok(Password::from_string(Zeroizing::new(text))),
        Err(std::env::VarError::NotPresent) => Err(fault("is not set")),
        // The error's own text would show the value.
        Err(std::env::VarError::NotUnicode(_)) => Err(fault("is not UTF-8")),
    }
}

async fn from_file(settings: &config::Target, path: &str) -> Result<Password, TargetError> {
    let file = reference::find_file(settings, path).await;
    let file = file.map_err(|why| refused(&format!("file:{path}"), &why))?;
    let fault = |why: &dyn Display| TargetError::login(format!("the password file {path} {why}"));
    let bytes = tokio::fs::read(file)
        .await
        .map(Zeroizing::new)
        .map_err(|error| fault(&format_args!("cannot be read: {error}")))?;
    let text = str::from_utf8(&bytes).map_err(|_| fault(&"is not UTF-8"))?;
    let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if text.is_empty() {
        return Err(fault(&"is empty"));
    }
    Ok(Password::from_string(Zeroizing::new(text.to_owned())))
}
