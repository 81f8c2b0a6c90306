//! Hosts that get the default log-in: asking before one joins them, `rolecall targets trust|distrust`.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rolecall_api::registry::Registry;
use rolecall_shared::config::{self, Settings};
use rolecall_shared::control::Control;
use rolecall_shared::domain::{Clock as _, HostKey, SystemClock};
use serde_json::json;

use crate::args::{Output, Trusting};
use crate::commands::block_on;
use crate::output::print;
use crate::{compose, operator};

pub fn add(file: Option<&Path>, host: &HostKey, output: Output) -> anyhow::Result<()> {
    let settings = Arc::new(Settings::load(file)?);
    let control = Control::as_owner(&settings.control)?;
    let is_new = block_on(compose::with_registry(&settings, async |operator| {
        operator.connected().await;
        let registry = Registry { control, ..operator.registry.clone() };
        Ok(registry.trust(&operator::actor(), host).await?)
    }))?;
    match (output.json, is_new) {
        (true, _) => print(&json!({ "host": host, "trusted": true, "changed": is_new }).to_string()),
        (false, true) => print(&format!("the default log-in is for {host}, too")),
        (false, false) => print(&format!("{host} was added before")),
    }
}

pub fn remove(file: Option<&Path>, host: &HostKey, output: Output) -> anyhow::Result<()> {
    let settings = config::Control::load(file)?;
    let was_there = block_on(async {
        let control = Control::as_owner(&settings)?;
        Ok(control.distrust_host(host, &operator::actor(), SystemClock.now()).await?)
    })?;
    match (output.json, was_there) {
        (true, _) => print(&json!({ "host": host, "trusted": false, "changed": was_there }).to_string()),
        (false, true) => print(&format!(
            "{host} gets the default log-in no more, unless default_login.hosts of the configuration names it"
        )),
        (false, false) => print(&format!("{host} was not added by a command")),
    }
}

/// Whether these hosts may get the default log-in: as the switch says, or as somebody at the terminal answers.
/// `can_ask`: standard input is not needed for something else.
pub fn may_trust(
    hosts: &BTreeSet<HostKey>,
    user: &str,
    trusting: Trusting,
    can_ask: bool,
) -> anyhow::Result<bool> {
    if hosts.is_empty() || trusting.trust_hosts {
        return Ok(true);
    }
    let question = question(hosts, user);
    let stdin = std::io::stdin();
    anyhow::ensure!(
        can_ask && stdin.is_terminal(),
        "{question}\nNothing was changed, because nobody can be asked here. --trust-hosts adds the hosts; or name them in \
         default_login.hosts, or give the targets a log-in of their own"
    );
    let mut err = std::io::stderr().lock();
    ask(&question, stdin.lock(), &mut err).context("cannot ask")
}

fn question(hosts: &BTreeSet<HostKey>, user: &str) -> String {
    let hosts: Vec<_> = hosts.iter().map(|host| format!("\n  {host}")).collect();
    format!(
        "The default log-in ({user}) is not for these hosts yet; who runs them could learn its password:{}",
        hosts.concat()
    )
}

/// Everything but yes is no.
fn ask(question: &str, answers: impl BufRead, terminal: &mut impl Write) -> std::io::Result<bool> {
    write!(terminal, "{question}\nShall they get it? [y/N] ")?;
    terminal.flush()?;
    let mut answer = String::new();
    answers.take(64).read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for (answer, is_yes) in
            [("y\n", true), ("Yes\r\n", true), ("\n", false), ("", false), ("n\n", false), ("yy\n", false)]
        {
            let mut shown = Vec::new();
            assert_eq!(ask("hosts", answer.as_bytes(), &mut shown).unwrap(), is_yes, "{answer:?}");
            assert!(String::from_utf8(shown).unwrap().ends_with("[y/N] "));
        }
    }

    #[test]
    fn without_a_terminal_only_the_switch_answers() {
        let hosts = BTreeSet::from(["db1:5432".parse().unwrap()]);
        let may = |trust_hosts| may_trust(&hosts, "dba", Trusting { trust_hosts }, false);
        assert!(may(true).unwrap());
        assert!(may(false).unwrap_err().to_string().contains("--trust-hosts"));
        assert!(may_trust(&BTreeSet::new(), "dba", Trusting { trust_hosts: false }, false).unwrap());
    }
}
