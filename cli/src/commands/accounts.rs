//! `rolecall accounts create`.

use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context;
use rolecall_shared::config;
use rolecall_shared::control::Control;
use rolecall_shared::credentials::{MAX_PASSWORD_BYTES, check_account_name, hash_password};
use rolecall_shared::domain::{Clock as _, SystemClock};
use rolecall_shared::seal::Password;
use secrecy::SecretString;
use serde_json::json;
use zeroize::Zeroizing;

use crate::args::CreateAccount;
use crate::operator;
use crate::output::print;

pub fn create(file: Option<&Path>, create: &CreateAccount) -> anyhow::Result<()> {
    let settings = config::Control::load(file)?;
    check_account_name(&create.name)?;
    let (stated, generated) = match (&create.password_file, create.password_stdin) {
        (Some(path), _) => (Some(from_file(path)?), None),
        (None, true) => {
            (Some(first_line(std::io::stdin().lock()).context("cannot read standard input")?), None)
        }
        (None, false) => (None, Some(Password::generate())),
    };
    let password = match (&stated, &generated) {
        (Some(stated), _) => stated.clone(),
        (None, Some(generated)) => SecretString::from(generated.expose()),
        (None, None) => anyhow::bail!("there is no password"),
    };
    let hash = hash_password(&password)?;
    super::block_on(async {
        let control = Control::new(&settings)?;
        Ok(control.add_account(&create.name, &hash, &operator::actor(), SystemClock.now()).await?)
    })?;
    // Only now: a password that was printed for an account that was not made would be taken for one that works.
    tell(create, generated.as_ref().map(Password::expose))
}

fn tell(create: &CreateAccount, generated: Option<&str>) -> anyhow::Result<()> {
    let name = &create.name;
    let text = match (create.output.json, generated) {
        (true, None) => json!({ "account": name }).to_string(),
        (true, Some(password)) => json!({ "account": name, "password": password }).to_string(),
        (false, None) => format!("made the account {name}"),
        (false, Some(password)) => {
            format!("made the account {name} with this password, which is not shown again:\n{password}")
        }
    };
    print(&Zeroizing::new(text))
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
