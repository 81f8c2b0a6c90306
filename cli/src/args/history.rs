//! `rolecall history`.

use std::path::PathBuf;

use clap::Subcommand;
use rolecall_shared::domain::Period;

use super::Output;

/// `rolecall history`.
#[derive(Debug, Subcommand)]
pub enum History {
    /// List the months: where each is, its file, how large it is.
    List(Output),
    /// Write a finished month to a file, from an hour after its end on. Repeatable; works as `control.owner_url`.
    ///
    /// The month stays in the control database until `rolecall history maintain` drops it.
    Archive {
        /// Which, such as 2026-09 (UTC).
        #[arg(long, value_name = "YYYY-MM")]
        period: Period,
        /// The folder; without it `history.archive_folder`.
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Read the files of archived months and compare them with what was written. Ends with 1 if one is missing or damaged.
    Verify {
        /// Only this month.
        #[arg(long, value_name = "YYYY-MM")]
        period: Option<Period>,
        /// The folder; without it `history.archive_folder`.
        #[arg(long, value_name = "DIR")]
        from: Option<PathBuf>,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
    /// Make the months that come, and drop those older than `history.keep_months`, after writing them to
    /// `history.archive_folder` if that is set. For a daily timer; works as `control.owner_url`.
    Maintain {
        /// Only say which months would be dropped.
        #[arg(long)]
        dry_run: bool,
        /// How to print.
        #[command(flatten)]
        output: Output,
    },
}
