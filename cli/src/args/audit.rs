//! `rolecall audit`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum, value_parser};
use jiff::Timestamp;
use rolecall_shared::audit::PublicKey;
use rolecall_shared::domain::{EventName, TicketId};

use super::Output;

/// `rolecall audit`.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Write the audit out, oldest first, to standard output or a file.
    Export(ExportAudit),
    /// Read the whole audit and name the first row that is not as it was.
    ///
    /// Ends with 0 if all is as it was, and with 1 if not. Reads the control database; with --bundle a file and nothing
    /// else.
    Verify(VerifyAudit),
    /// Print the proof that a row stands under a signed checkpoint, or check such a proof.
    Prove(ProveAudit),
    /// The key that signs checkpoints.
    Key {
        /// What to do with it.
        #[command(subcommand)]
        command: AuditKey,
    },
}

/// `rolecall audit key`.
#[derive(Debug, Subcommand)]
pub enum AuditKey {
    /// Make the key and its file, `audit.signing_key_file`; print its public half. Never replaces one.
    Create {
        /// Its name, which stands in every checkpoint; say for which installation it signs.
        #[arg(long, default_value = "rolecall")]
        name: String,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Print the public half, with which others check what was signed.
    Show(Output),
}

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportForm {
    /// One row a line, each as it is hashed.
    Ndjson,
    /// One array.
    Json,
    /// For spreadsheets; cells that would be taken for formulas are made text.
    Csv,
    /// Everything that `verify --bundle` needs; takes no filters.
    Bundle,
}

/// `rolecall audit export`.
#[derive(Debug, ClapArgs)]
pub struct ExportAudit {
    /// In which form.
    #[arg(long, value_enum, default_value = "ndjson")]
    pub format: ExportForm,
    /// Write to a file, which must not exist yet.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Which rows.
    #[command(flatten)]
    pub filters: Filters,
}

/// Which rows: everything that is named must hold.
#[derive(Debug, Clone, ClapArgs)]
pub struct Filters {
    /// What happened, such as secret.taken.
    #[arg(long, value_parser = event)]
    pub event: Option<EventName>,
    /// To which ticket.
    #[arg(long, value_name = "ID")]
    pub ticket: Option<TicketId>,
    /// By whom.
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// On targets of this environment.
    #[arg(long)]
    pub env: Option<String>,
    /// On targets with this database.
    #[arg(long, value_name = "NAME")]
    pub database: Option<String>,
    /// On this host.
    #[arg(long, value_name = "HOSTNAME:PORT")]
    pub host: Option<String>,
    /// To this role.
    #[arg(long, value_name = "NAME")]
    pub role: Option<String>,
    /// Not before this moment (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub from: Option<Timestamp>,
    /// Before this moment (RFC 3339).
    #[arg(long, value_name = "TIME")]
    pub to: Option<Timestamp>,
}

fn event(text: &str) -> Result<EventName, String> {
    let known = EventName::ALL.iter().copied().find(|event| event.as_str() == text);
    known.ok_or_else(|| {
        let all: Vec<_> = EventName::ALL.iter().map(|event| event.as_str()).collect();
        format!("it is one of {}", all.join(", "))
    })
}

/// Keys by which signatures are checked.
#[derive(Debug, Clone, ClapArgs)]
pub struct Keys {
    /// A public key, as `rolecall audit key show` prints it; may stand several times, for keys that were changed. Without
    /// one that of `audit.signing_key_file` is taken.
    #[arg(long = "key", value_name = "KEY", value_parser = PublicKey::parse)]
    pub keys: Vec<PublicKey>,
}

/// `rolecall audit verify`.
#[derive(Debug, ClapArgs)]
pub struct VerifyAudit {
    /// Check this bundle, as `rolecall audit export --format bundle` writes it, and no database.
    #[arg(long, value_name = "FILE", requires = "keys", conflicts_with = "checkpoints")]
    pub bundle: Option<PathBuf>,
    /// A file of checkpoints that were kept outside of the database; may stand several times. Without one
    /// `audit.checkpoint_file` is taken, if there is one.
    #[arg(long, value_name = "FILE")]
    pub checkpoints: Vec<PathBuf>,
    /// With which keys.
    #[command(flatten)]
    pub keys: Keys,
    /// How to print.
    #[command(flatten)]
    pub output: Output,
}

/// `rolecall audit prove`.
#[derive(Debug, ClapArgs)]
pub struct ProveAudit {
    /// Print the proof for the row with this number.
    #[arg(long, value_name = "N", required_unless_present = "check", value_parser = value_parser!(i64).range(1..))]
    pub seq: Option<i64>,
    /// Check a proof that was printed before, without any database.
    #[arg(long, value_name = "FILE", conflicts_with = "seq", requires = "keys")]
    pub check: Option<PathBuf>,
    /// With which keys a proof is checked.
    #[command(flatten)]
    pub keys: Keys,
    /// How to print what a check finds; a proof is always JSON.
    #[command(flatten)]
    pub output: Output,
}
