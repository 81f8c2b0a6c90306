//! What can be typed.

mod accounts;
mod audit;
mod history;
mod notify;
mod targets;
mod webhooks;

use std::path::PathBuf;

pub use accounts::{Accounts, CreateAccount, PasswordSource, SetAccount, Tokens};
pub use history::History;

pub use audit::{Audit, AuditKey, ExportAudit, ExportForm, Filters, ProveAudit, VerifyAudit};
pub use notify::{ExplainNotice, Notify};
pub use targets::{ChangeTarget, ExportFormat, ImportTargets, Targets, Trusting};
pub use webhooks::{CreateWebhook, Listen, Webhooks, WhichDeliveries};

use clap::{Args as ClapArgs, Parser, Subcommand, value_parser};
use rolecall_api::dead::MOST;
use rolecall_shared::domain::{DatabaseName, Env, TargetKey};

/// The part of the help that scripts rely on.
const EXIT_CODES: &str = "\
Exit codes:
    0  done
    1  failed; standard error says why and what to do next
    2  the command line is wrong
   65  a file that was given cannot be read, or is wrong in what it says
   78  the configuration is wrong; every fault is told at once, by key
  130  a service was interrupted twice (SIGINT)
  143  a service was told twice to stop (SIGTERM)

Configuration comes from one file and from variables over it: `rolecall config sample` shows every key.";

/// Provisions PostgreSQL roles through a queue.
#[derive(Debug, Parser)]
#[command(name = "rolecall", version, propagate_version = true, after_long_help = EXIT_CODES)]
pub struct Args {
    /// The configuration file; without it ./rolecall.toml, then /etc/rolecall/rolecall.toml, if there is one.
    #[arg(long, global = true, value_name = "FILE", env = "ROLECALL_CONFIG")]
    pub config: Option<PathBuf>,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve HTTP: take jobs, answer questions.
    #[command(after_help = SIGNALS)]
    Api,
    /// Work on the jobs.
    #[command(after_help = SIGNALS)]
    Worker,
    /// Serve HTTP and work on the jobs, in one process.
    #[command(after_help = SIGNALS)]
    Serve,
    /// Bring the control database to this version. Repeatable; works as `control.owner_url`.
    Migrate(Output),
    /// The keys that seal passwords until they are taken.
    Keys {
        /// What to do with them.
        #[command(subcommand)]
        command: Keys,
    },
    /// Who may call the api.
    Accounts {
        /// What to do with them.
        #[command(subcommand)]
        command: Accounts,
    },
    /// The registry: the databases that are worked on.
    Targets {
        /// What to do with them.
        #[command(subcommand)]
        command: Targets,
    },
    /// What scripts come with instead of a password.
    Tokens {
        /// What to do with them.
        #[command(subcommand)]
        command: Tokens,
    },
    /// Who is told of what, and what became of it.
    Webhooks {
        /// What to do with them.
        #[command(subcommand)]
        command: Webhooks,
    },
    /// Callers that prove who they are by the ID token of an issuer.
    Auth {
        /// What to do with them.
        #[command(subcommand)]
        command: Auth,
    },
    /// Messages for people, where they work: channels and rules of the configuration.
    Notify {
        /// What to do with them.
        #[command(subcommand)]
        command: Notify,
    },
    /// Look at every server and target, and say for what is wrong what to type next. Changes nothing.
    ///
    /// A fault keeps Rolecall from working and ends it with 1. A warning is a promise in danger, or a target on which
    /// jobs would wait or fail.
    Doctor(Doctor),
    /// The record of who did what: written out, checked, proven.
    Audit {
        /// What to do with it.
        #[command(subcommand)]
        command: Audit,
    },
    /// Messages that were put aside.
    Dead {
        /// What to do with them.
        #[command(subcommand)]
        command: Dead,
    },
    /// Jobs that ended, by month.
    History {
        /// What to do with them.
        #[command(subcommand)]
        command: History,
    },
    /// The configuration.
    Config {
        /// What to do with it.
        #[command(subcommand)]
        command: Config,
    },
    /// Ask a health URL, such as `http://127.0.0.1:5000/readyz`; done if the answer is 200. For containers.
    Healthcheck {
        /// Plain HTTP, with its port.
        url: String,
    },
    /// Print the version.
    Version(Output),
}

const SIGNALS: &str =
    "SIGTERM or SIGINT stops it gracefully; a second one at once, with exit code 143 or 130.";

/// How to print.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub struct Output {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `rolecall keys`.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Add a key to `seal.key_file`, and make the file if there is none.
    Add(Output),
    /// List the keys, never what is in them.
    List(Output),
    /// Take a key out of use for ever: what it sealed can never be opened again.
    Retire {
        /// Which, as `rolecall keys list` names it.
        id: String,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
}

/// `rolecall auth`.
#[derive(Debug, Subcommand)]
pub enum Auth {
    /// Say what becomes of an ID token, and why: what is wrong with it, and which claims of which binding match.
    ///
    /// Ends with 0 if the token would be taken, and with 1 if not. Reads the configuration's issuers alone, and asks
    /// the issuer for its keys. What the token says is printed; the token is not. It is not used up.
    Explain(Explain),
}

/// `rolecall auth explain`.
#[derive(Debug, ClapArgs)]
pub struct Explain {
    /// Read the token from a file; without it from standard input.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `rolecall doctor`.
#[derive(Debug, ClapArgs)]
pub struct Doctor {
    /// Only this target, as ENV/DATABASE; without it all active ones.
    #[arg(long, value_name = "ENV/DATABASE", value_parser = target_key)]
    pub target: Option<TargetKey>,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

fn target_key(text: &str) -> Result<TargetKey, String> {
    let (env, database) = text.split_once('/').ok_or("it has the form ENV/DATABASE")?;
    Ok(TargetKey {
        env: Env::parse(env).map_err(|fault| fault.to_string())?,
        database: DatabaseName::parse(database).map_err(|fault| fault.to_string())?,
    })
}

/// `rolecall dead`.
#[derive(Debug, Subcommand)]
pub enum Dead {
    /// List what was put aside, oldest first. Takes nothing off.
    List {
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = value_parser!(u16).range(1..=i64::from(MOST)))]
        limit: u16,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Show a message whole, and what became of its ticket.
    Show {
        /// Which, as `rolecall dead list` names it.
        id: String,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Have a message done again: under its ticket, or under a new one if that has failed.
    Replay {
        /// Which, as `rolecall dead list` names it.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        id: Option<String>,
        /// All that are there now.
        #[arg(long)]
        all: bool,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Throw a message away for ever; its ticket is cancelled, unless it has ended.
    Drop {
        /// Which, as `rolecall dead list` names it.
        id: String,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
}

/// `rolecall config`.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Print a commented configuration file with every key and its default.
    Sample,
    /// Check the configuration as a service would, and tell all faults.
    Check(Output),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Args::command().debug_assert();
    }
}
