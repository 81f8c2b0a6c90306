//! `rolecall accounts` and `rolecall tokens`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use jiff::Timestamp;
use rolecall_shared::domain::Pattern;
use uuid::Uuid;

use super::Output;

const PATTERNS: &str = "\
A PATTERN is <permission>:<env>/<database>:<kind>, such as submit:dev/billing:app or read:*/*:*.
Permissions: submit, reveal, read, registry, hosts, accounts, audit, or *. Every other part is a word, a word that ends
in *, or *. What is not in the access list is not allowed; the deny list wins.";

/// `rolecall accounts`.
#[derive(Debug, Subcommand)]
pub enum Accounts {
    /// Make an account. Without a password one is generated and printed, this once.
    #[command(after_help = PATTERNS)]
    Create(CreateAccount),
    /// List the accounts, never what is in them that is secret.
    List(Output),
    /// Change an account; what is not named stays.
    #[command(after_help = PATTERNS)]
    Set(SetAccount),
    /// Remove an account and its API tokens. Its tickets stay, and so does the last administrator.
    Delete {
        /// Which.
        name: String,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
}

/// Where a password comes from.
#[derive(Debug, ClapArgs)]
pub struct PasswordSource {
    /// Read the password from the first line of standard input; 12 characters at least.
    #[arg(long, conflicts_with = "password_file")]
    pub password_stdin: bool,
    /// Read the password from the first line of a file; 12 characters at least.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// `rolecall accounts create`.
#[derive(Debug, ClapArgs)]
pub struct CreateAccount {
    /// Its name, without a colon.
    pub name: String,
    /// It may do everything but take somebody else's password.
    #[arg(long, conflicts_with_all = ["access", "deny"])]
    pub admin: bool,
    /// A UNIX account of this name, let in over `api.unix_socket` without a password.
    #[arg(long, conflicts_with_all = ["password_stdin", "password_file"])]
    pub unix: bool,
    /// What it may do; may stand several times.
    #[arg(long, value_name = "PATTERN")]
    pub access: Vec<Pattern>,
    /// What it may not do whatever --access says; may stand several times.
    #[arg(long, value_name = "PATTERN")]
    pub deny: Vec<Pattern>,
    /// From when on it may not log in, such as 2027-01-01T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub expires: Option<Timestamp>,
    /// Its password.
    #[command(flatten)]
    pub password: PasswordSource,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `rolecall accounts set`.
#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct SetAccount {
    /// Which.
    pub name: String,
    /// Make it an administrator.
    #[arg(long, conflicts_with = "basic")]
    pub admin: bool,
    /// Make it an account that may do what its lists allow.
    #[arg(long)]
    pub basic: bool,
    /// Its new access list; may stand several times.
    #[arg(long, value_name = "PATTERN", conflicts_with = "no_access")]
    pub access: Vec<Pattern>,
    /// Empty its access list.
    #[arg(long)]
    pub no_access: bool,
    /// Its new deny list; may stand several times.
    #[arg(long, value_name = "PATTERN", conflicts_with = "no_deny")]
    pub deny: Vec<Pattern>,
    /// Empty its deny list.
    #[arg(long)]
    pub no_deny: bool,
    /// It may not log in.
    #[arg(long, conflicts_with = "enable")]
    pub disable: bool,
    /// It may log in again.
    #[arg(long)]
    pub enable: bool,
    /// From when on it may not log in.
    #[arg(long, value_name = "TIME", conflicts_with = "no_expiry")]
    pub expires: Option<Timestamp>,
    /// It may log in for good.
    #[arg(long)]
    pub no_expiry: bool,
    /// End its sessions. A new password ends them, too.
    #[arg(long)]
    pub end_sessions: bool,
    /// Its new password.
    #[command(flatten)]
    pub password: PasswordSource,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `rolecall tokens`.
#[derive(Debug, Subcommand)]
pub enum Tokens {
    /// Make an API token of an account and print it, this once.
    #[command(after_help = PATTERNS)]
    Create {
        /// Whose.
        account: String,
        /// What it is for.
        name: String,
        /// What it is limited to; may stand several times. Without: to nothing but what its account may do.
        #[arg(long, value_name = "PATTERN")]
        scope: Vec<Pattern>,
        /// From when on it is nothing.
        #[arg(long, value_name = "TIME")]
        expires: Option<Timestamp>,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// List API tokens, never what opens anything.
    List {
        /// Only those of this account.
        account: Option<String>,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Revoke an API token.
    Revoke {
        /// Which, as `rolecall tokens list` names it.
        id: Uuid,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
}
