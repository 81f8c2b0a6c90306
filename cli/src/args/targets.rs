//! `rolecall targets`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use rolecall_shared::domain::{HostKey, TargetKey};

use super::{Output, PasswordSource, target_key};
use crate::registry_file::Format;

const FILES: &str = "\
The file is pg-user-api's pg_registry.db, or CSV or JSON as `rolecall targets export` writes them; - is standard input.
Targets that the file does not name are left alone, and so is what it does not say of those it names. Either all rows
are imported or none.

Ends with 65 if the file cannot be read or a row is wrong: every such row is told, with its number (the id in SQLite,
the line in CSV, the place in the list in JSON).";

const TRUST: &str = "\
The default log-in goes only to hosts on its list. A host that is not is added after you were asked, or with
--trust-hosts, as the owner of the control database's tables (control.owner_url).";

/// `rolecall targets`.
#[derive(Debug, Subcommand)]
pub enum Targets {
    /// List the targets, never their passwords.
    List(Output),
    /// Register a target.
    #[command(after_help = TRUST)]
    Add(ChangeTarget),
    /// Change a target; what is not named stays.
    #[command(after_help = TRUST)]
    Set(ChangeTarget),
    /// Remove a target.
    Rm {
        /// Which, as ENV/DATABASE.
        #[arg(value_parser = target_key)]
        target: TargetKey,
        /// Its jobs that wait fail as `target_changed`; without, it stays while jobs wait for its host.
        #[arg(long)]
        fail_waiting: bool,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Log in to targets and see what can be done there.
    ///
    /// Ends with 0 if all of them are well, and with 1 if not.
    Check {
        /// Which, as ENV/DATABASE; may stand several times.
        #[arg(value_parser = target_key, required_unless_present = "all", conflicts_with = "all")]
        targets: Vec<TargetKey>,
        /// All that are active.
        #[arg(long)]
        all: bool,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Stop the jobs of a target's host, and with them those of all targets there: they are accepted and wait.
    Pause {
        /// Which, as ENV/DATABASE.
        #[arg(value_parser = target_key)]
        target: TargetKey,
        /// Why, for those who wait.
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Let the jobs of a target's host go on, and new ones come.
    Resume {
        /// Which, as ENV/DATABASE.
        #[arg(value_parser = target_key)]
        target: TargetKey,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Register and change the targets that a file names.
    #[command(after_help = FILES, after_long_help = format!("{FILES}\n\n{TRUST}"))]
    Import(ImportTargets),
    /// Print all targets, as `rolecall targets import` reads them. There are no passwords in it.
    Export {
        /// As what.
        #[arg(long, value_enum, default_value = "json")]
        format: ExportFormat,
    },
    /// Add a host to those the default log-in is for, beside `default_login.hosts`.
    Trust {
        /// `hostname:port`
        host: HostKey,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Take away again a host that was added to those the default log-in is for.
    Distrust {
        /// `hostname:port`
        host: HostKey,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
}

/// The forms of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportFormat {
    /// An object with the list as `targets`.
    Json,
    /// With a line of names.
    Csv,
}

/// Whether hosts may get the default log-in without a question.
#[derive(Debug, Clone, Copy, ClapArgs)]
pub struct Trusting {
    /// Add hosts to those the default log-in is for, without asking.
    #[arg(long)]
    pub trust_hosts: bool,
}

/// `rolecall targets add` and `set`.
#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct ChangeTarget {
    /// Which, as ENV/DATABASE.
    #[arg(value_parser = target_key)]
    pub target: TargetKey,
    /// A DNS name or an address, in lower case.
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Its port; of a new target 5432.
    #[arg(long)]
    pub port: Option<u16>,
    /// As whom to log in; its password comes from one of the three below, or stays.
    #[arg(long, value_name = "USER")]
    pub login_user: Option<String>,
    /// Where api and worker find the password: `env:NAME` or `file:/path`.
    #[arg(long, value_name = "REFERENCE", conflicts_with_all = ["password_stdin", "password_file"])]
    pub password_ref: Option<String>,
    /// The password itself, which is sealed.
    #[command(flatten)]
    pub password: PasswordSource,
    /// Log in as the configuration's default log-in.
    #[arg(long, conflicts_with_all = ["login_user", "password_ref", "password_stdin", "password_file"])]
    pub default_login: bool,
    /// disable, prefer, require, verify-ca or verify-full, as libpq means them; of a new target prefer.
    #[arg(long, value_name = "MODE")]
    pub sslmode: Option<String>,
    /// The certificates to trust, a file where api and worker run.
    #[arg(long, value_name = "PATH", conflicts_with = "no_ca_file")]
    pub ca_file: Option<String>,
    /// Trust the system's certificates.
    #[arg(long)]
    pub no_ca_file: bool,
    /// The database in which the host is locked, the same for all targets of a host; of a new target postgres.
    #[arg(long, value_name = "NAME")]
    pub lock_database: Option<String>,
    /// It takes jobs.
    #[arg(long, conflicts_with = "inactive")]
    pub active: bool,
    /// It takes no jobs.
    #[arg(long)]
    pub inactive: bool,
    /// Free text.
    #[arg(long, value_name = "TEXT")]
    pub notes: Option<String>,
    /// Move it although jobs wait for the host it leaves; its own fail as `target_changed`.
    #[arg(long)]
    pub fail_waiting: bool,
    /// Whether to ask.
    #[command(flatten)]
    pub trusting: Trusting,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `rolecall targets import`.
#[derive(Debug, ClapArgs)]
pub struct ImportTargets {
    /// The file; - is standard input.
    pub file: PathBuf,
    /// What it is; without, its content says.
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Say what would change, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Move targets although jobs wait for the hosts they leave; their own fail as `target_changed`.
    #[arg(long)]
    pub fail_waiting: bool,
    /// Whether to ask.
    #[command(flatten)]
    pub trusting: Trusting,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}
