//! `rolecall history list|archive|verify|maintain`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use rolecall_shared::config;
use rolecall_shared::control::{Archive, Archived, Control, Keeper, Month};
use rolecall_shared::domain::{Clock as _, Failure, Period, SystemClock};
use serde_json::{Value, json};

use super::accounts::on_control;
use crate::args::{History, Output};
use crate::operator;
use crate::output::print;

/// How many months are made ahead: two in which nobody has to look.
const AHEAD: u8 = 3;

pub fn run(file: Option<&Path>, command: &History) -> anyhow::Result<ExitCode> {
    match command {
        History::List(output) => list(&config::Control::load(file)?, *output)?,
        History::Archive { period, to, output } => {
            archive(&config::Control::load_for_migration(file)?, *period, to.as_deref(), *output)?;
        }
        History::Verify { period, from, output } => {
            return verify(&config::Control::load(file)?, *period, from.as_deref(), *output);
        }
        History::Maintain { dry_run, output } => {
            maintain(&config::Control::load_for_migration(file)?, *dry_run, *output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(settings: &config::Control, output: Output) -> anyhow::Result<()> {
    let months = on_control(settings, Control::list_months)?;
    if output.json {
        let months: Vec<_> = months.iter().map(month).collect();
        return print(&json!({ "months": months }).to_string());
    }
    print(&months.iter().map(in_words).collect::<Vec<_>>().join("\n"))
}

fn month(month: &Month) -> Value {
    json!({
        "period": month.period.to_string(),
        "database_bytes": month.bytes_here,
        "archive": month.archive.as_ref().map(shown),
    })
}

fn shown(archive: &Archive) -> Value {
    json!({
        "period": archive.period.to_string(),
        "file": archive.file,
        "rows": archive.rows,
        "bytes": archive.bytes,
        "sha256": archive.sha256_hex(),
        "archived_at": archive.archived_at,
        "archived_by": archive.archived_by,
        "dropped_at": archive.dropped_at,
    })
}

fn in_words(month: &Month) -> String {
    let here = month.bytes_here.map(|bytes| format!("in the control database ({} KiB)", bytes / 1024));
    let there = month.archive.as_ref().map(archive_in_words);
    let places: Vec<_> = [here, there].into_iter().flatten().collect();
    format!("{}  {}", month.period, places.join(", "))
}

fn archive_in_words(archive: &Archive) -> String {
    format!(
        "{} ({} jobs, {} bytes, SHA-256 {})",
        archive.file,
        archive.rows,
        archive.bytes,
        archive.sha256_hex()
    )
}

fn archive(
    settings: &config::Control,
    period: Period,
    to: Option<&Path>,
    output: Output,
) -> anyhow::Result<()> {
    let folder = folder(settings, to, "--to DIR")?;
    let archived = on_tables(settings, async |keeper| {
        keeper.archive(period, &folder, &operator::actor(), SystemClock.now()).await
    })?;
    let (done, archive) = match &archived {
        Archived::Now(archive) => ("archived", Some(archive)),
        Archived::Before(archive) => ("archived before", Some(archive)),
        Archived::Empty => ("nothing to archive: no job ended", None),
    };
    if output.json {
        let is_new = matches!(archived, Archived::Now(_));
        return print(&json!({ "archived": is_new, "archive": archive.map(shown) }).to_string());
    }
    let file = archive.map_or_else(String::new, |archive| format!(": {}", archive_in_words(archive)));
    print(&format!("{period}  {done}{file}"))
}

fn verify(
    settings: &config::Control,
    period: Option<Period>,
    from: Option<&Path>,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let verified = on_control(settings, async |control| {
        let mut verified: Vec<(Archive, Result<(), Failure>)> = Vec::new();
        for archive in control.list_months().await?.into_iter().filter_map(|month| month.archive) {
            if period.is_none_or(|period| period == archive.period) {
                let result = control.verify_archive(&archive, from).await;
                verified.push((archive, result));
            }
        }
        Ok(verified)
    })?;
    if let Some(period) = period
        && verified.is_empty()
    {
        anyhow::bail!("there is no archive of {period}; see `rolecall history list`");
    }
    let is_well = verified.iter().all(|(_, result)| result.is_ok());
    if output.json {
        let archives: Vec<_> = verified.iter().map(|(archive, result)| judged(archive, result)).collect();
        print(&json!({ "archives": archives }).to_string())?;
    } else if verified.is_empty() {
        print("no month is archived")?;
    } else {
        let line = |(archive, result): &(Archive, Result<(), Failure>)| match result {
            Ok(()) => format!("{}  as it was written: {}", archive.period, archive_in_words(archive)),
            Err(failure) => {
                let cause = failure.cause_chain().unwrap_or_default();
                format!("{}  {}: {cause}", archive.period, failure.code().as_str())
            }
        };
        print(&verified.iter().map(line).collect::<Vec<_>>().join("\n"))?;
    }
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn judged(archive: &Archive, result: &Result<(), Failure>) -> Value {
    let mut text = shown(archive);
    let fault = result.as_ref().err();
    text["code"] = json!(fault.map(Failure::code));
    text["detail"] = json!(fault.and_then(Failure::cause_chain));
    text
}

fn maintain(settings: &config::Control, dry_run: bool, output: Output) -> anyhow::Result<()> {
    let folder = settings.history.archive_folder.as_deref();
    let (made, dropped) = on_tables(settings, async |keeper| {
        let now = SystemClock.now();
        let made = if dry_run { 0 } else { keeper.make_months(AHEAD).await? };
        let due = keeper.due(settings.history.keep_months, now).await?;
        if dry_run {
            return Ok((made, due.into_iter().map(|period| (period, None)).collect::<Vec<_>>()));
        }
        let mut dropped = Vec::new();
        for period in due {
            if let Some(folder) = folder {
                keeper.archive(period, folder, &operator::actor(), now).await?;
            }
            let gone = keeper.drop_month(period, folder, &operator::actor(), now).await?;
            dropped.push((period, Some(gone.rows)));
        }
        Ok((made, dropped))
    })?;
    if output.json {
        let dropped: Vec<_> = dropped
            .iter()
            .map(|(period, rows)| json!({ "period": period.to_string(), "rows": rows, "archived": folder.is_some() }))
            .collect();
        return print(&json!({ "made": made, "dry_run": dry_run, "dropped": dropped }).to_string());
    }
    let fate =
        if folder.is_some() { "written to history.archive_folder and dropped" } else { "dropped for good" };
    let mut lines: Vec<_> = dropped
        .iter()
        .map(|(period, rows)| match rows {
            Some(rows) => format!("{period}  {fate}: {rows} jobs"),
            None => format!("{period}  would be {fate}"),
        })
        .collect();
    if made > 0 {
        lines.push(format!("made {made} months ahead"));
    }
    if lines.is_empty() {
        lines.push("nothing to do".to_owned());
    }
    print(&lines.join("\n"))
}

fn folder(settings: &config::Control, stated: Option<&Path>, option: &str) -> anyhow::Result<PathBuf> {
    let folder = stated.or(settings.history.archive_folder.as_deref());
    folder
        .map(Path::to_owned)
        .with_context(|| format!("no folder: state {option}, or set history.archive_folder"))
}

/// Does something as the owner of the tables.
fn on_tables<T>(
    settings: &config::Control,
    work: impl AsyncFnOnce(&Keeper) -> Result<T, Failure>,
) -> anyhow::Result<T> {
    super::block_on(async { Ok(work(&Keeper::new(settings)?).await?) })
}
