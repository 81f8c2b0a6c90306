//! `rolecall accounts create|list|set|delete`.

use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use rolecall_shared::config;
use rolecall_shared::control::{Account, AccountChange, AccountEnd, Control, NewAccount};
use rolecall_shared::credentials::{MAX_PASSWORD_BYTES, check_account_name, hash_password};
use rolecall_shared::domain::{AccountKind, Clock as _, Failure, Grants, MAX_PATTERNS, Pattern, SystemClock};
use rolecall_shared::seal::Password;
use secrecy::SecretString;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::args::{CreateAccount, Output, PasswordSource, SetAccount};
use crate::operator;
use crate::output::print;

pub fn create(file: Option<&Path>, create: &CreateAccount) -> anyhow::Result<()> {
    let settings = config::Control::load(file)?;
    check_account_name(&create.name)?;
    check_lists(create.access.len(), create.deny.len())?;
    let (stated, generated) = match stated(&create.password)? {
        None if !create.unix => (None, Some(Password::generate())),
        stated => (stated, None),
    };
    let password =
        stated.or_else(|| generated.as_ref().map(|password| SecretString::from(password.expose())));
    let new = NewAccount {
        name: create.name.clone(),
        password_hash: password.as_ref().map(hash_password).transpose()?,
        kind: if create.admin { AccountKind::Admin } else { AccountKind::Basic },
        grants: Grants { access: create.access.clone(), deny: create.deny.clone() },
        expires_at: create.expires,
    };
    on_control(&settings, async |control| {
        control.add_account(&new, &operator::actor(), SystemClock.now()).await
    })?;
    // Only now: a password that was printed for an account that was not made would be taken for one that works.
    tell_created(create, generated.as_ref().map(Password::expose))
}

fn tell_created(create: &CreateAccount, generated: Option<&str>) -> anyhow::Result<()> {
    let name = &create.name;
    let mut text = match (create.output.json, generated) {
        (true, None) => json!({ "account": name }).to_string(),
        (true, Some(password)) => json!({ "account": name, "password": password }).to_string(),
        (false, None) => format!("made the account {name}"),
        (false, Some(password)) => {
            format!("made the account {name} with this password, which is not shown again:\n{password}")
        }
    };
    if !create.output.json && !create.admin && create.access.is_empty() {
        text.push_str("\nit may do nothing yet: `rolecall accounts set ");
        text.push_str(name);
        text.push_str(" --access PATTERN`");
    }
    print(&Zeroizing::new(text))
}

pub fn list(file: Option<&Path>, output: Output) -> anyhow::Result<()> {
    let settings = config::Control::load(file)?;
    let accounts = on_control(&settings, async |control| control.list_all_accounts(None).await)?;
    if output.json {
        let accounts: Vec<_> = accounts.iter().map(shown).collect();
        return print(&json!({ "accounts": accounts }).to_string());
    }
    if accounts.is_empty() {
        return print("there is no account; `rolecall accounts create NAME --admin` makes one");
    }
    let now = SystemClock.now();
    let lines: Vec<_> = accounts.iter().map(|account| in_words(account, now)).collect();
    print(&lines.join("\n"))
}

pub fn set(file: Option<&Path>, set: &SetAccount) -> anyhow::Result<()> {
    let settings = config::Control::load(file)?;
    check_lists(set.access.len(), set.deny.len())?;
    let password = stated(&set.password)?;
    let list = |stated: &Vec<_>, empty: bool| (empty || !stated.is_empty()).then(|| stated.clone());
    let kind = match (set.admin, set.basic) {
        (true, _) => Some(AccountKind::Admin),
        (false, true) => Some(AccountKind::Basic),
        (false, false) => None,
    };
    let change = AccountChange {
        password_hash: password.as_ref().map(hash_password).transpose()?,
        kind,
        access: list(&set.access, set.no_access),
        deny: list(&set.deny, set.no_deny),
        disabled: (set.disable || set.enable).then_some(set.disable),
        end: set.expires.map(AccountEnd::At).or(set.no_expiry.then_some(AccountEnd::Never)),
        end_sessions: set.end_sessions,
    };
    anyhow::ensure!(change != AccountChange::default(), "nothing to change was named; see --help");
    let account = on_control(&settings, async |control| {
        control.change_account(&set.name, &change, &operator::actor(), SystemClock.now()).await
    })?;
    if set.output.json {
        print(&shown(&account).to_string())
    } else {
        print(&in_words(&account, SystemClock.now()))
    }
}

pub fn delete(file: Option<&Path>, name: &str, output: Output) -> anyhow::Result<()> {
    let settings = config::Control::load(file)?;
    on_control(&settings, async |control| {
        control.remove_account(None, name, &operator::actor(), SystemClock.now()).await
    })?;
    if output.json {
        print(&json!({ "account": name, "done": "deleted" }).to_string())
    } else {
        print(&format!("deleted the account {name} and its API tokens"))
    }
}

pub(super) fn on_control<T>(
    settings: &config::Control,
    work: impl AsyncFnOnce(&Control) -> Result<T, Failure>,
) -> anyhow::Result<T> {
    super::block_on(async { Ok(work(&Control::new(settings)?).await?) })
}

fn check_lists(access: usize, deny: usize) -> anyhow::Result<()> {
    anyhow::ensure!(
        access <= MAX_PATTERNS && deny <= MAX_PATTERNS,
        "a list has at most {MAX_PATTERNS} patterns"
    );
    Ok(())
}

fn shown(account: &Account) -> Value {
    json!({
        "account": account.name,
        "type": account.kind_of_login.as_str(),
        "kind": account.kind.as_str(),
        "access": account.grants.access,
        "deny": account.grants.deny,
        "disabled": account.disabled_at.is_some(),
        "expires_at": account.expires_at,
        "created_at": account.created_at,
        "updated_at": account.updated_at,
        "last_login_at": account.last_login_at,
    })
}

fn in_words(account: &Account, now: Timestamp) -> String {
    let end = match account.expires_at {
        _ if !account.is_open(now) => ", closed".to_owned(),
        Some(end) => format!(", until {end}"),
        None => String::new(),
    };
    let head = format!("{}  {} {}{end}", account.name, account.kind_of_login, account.kind);
    let line = |name: &str, patterns: &[Pattern]| {
        let patterns: Vec<_> = patterns.iter().map(ToString::to_string).collect();
        format!("    {name} {}", patterns.join(" "))
    };
    let Grants { access, deny } = &account.grants;
    match account.kind {
        AccountKind::Admin => head,
        AccountKind::Basic if deny.is_empty() => [head, line("access", access)].join("\n"),
        AccountKind::Basic => [head, line("access", access), line("deny", deny)].join("\n"),
    }
}

/// The password that somebody stated.
pub(super) fn stated(source: &PasswordSource) -> anyhow::Result<Option<SecretString>> {
    Ok(match (&source.password_file, source.password_stdin) {
        (Some(path), _) => Some(from_file(path)?),
        (None, true) => Some(first_line(std::io::stdin().lock()).context("cannot read standard input")?),
        (None, false) => None,
    })
}

fn from_file(path: &Path) -> anyhow::Result<SecretString> {
    let read = std::fs::File::open(path).and_then(|file| first_line(BufReader::new(file)));
    read.with_context(|| format!("cannot read {}", path.display()))
}

/// Up to the first newline, and no further than one byte over the limit, so that the limit can be seen as broken.
fn first_line(reader: impl BufRead) -> std::io::Result<SecretString> {
    let mut line = Zeroizing::new(String::with_capacity(MAX_PASSWORD_BYTES + 3));
    reader.take(MAX_PASSWORD_BYTES as u64 + 3).read_line(&mut line)?;
    let line = line.strip_suffix('\n').map_or(line.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(SecretString::from(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_password_ends_at_its_newline() {
        for (text, password) in
            [("secret\nmore", "secret"), ("secret\r\n", "secret"), ("secret ", "secret "), ("", "")]
        {
            assert_eq!(first_line(text.as_bytes()).unwrap().expose_secret(), password, "{text:?}");
        }
        let long = "a".repeat(5_000);
        assert!(first_line(long.as_bytes()).unwrap().expose_secret().len() > MAX_PASSWORD_BYTES);
    }
}
