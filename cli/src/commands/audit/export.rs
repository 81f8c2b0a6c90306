//! `rolecall audit export`.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use rolecall_shared::audit::Format;
use rolecall_shared::control::EventFilter;
use rolecall_shared::domain::Failure;

use crate::args::{ExportAudit, ExportForm, Filters};

pub fn run(file: Option<&Path>, asked: &ExportAudit) -> anyhow::Result<()> {
    let filter = filter(&asked.filters);
    if asked.format == ExportForm::Bundle && filter != EventFilter::default() {
        bail!("a bundle is the whole audit: --format bundle takes no filters");
    }
    let mut out = writer(asked.output.as_deref())?;
    super::on_control(file, async |control| {
        let mut write = |part: &[u8]| out.write_all(part);
        let format = match asked.format {
            ExportForm::Bundle => return control.bundle_ledger(write).await,
            ExportForm::Ndjson => Format::Ndjson,
            ExportForm::Json => Format::Json,
            ExportForm::Csv => Format::Csv,
        };
        let mut export = control.export(filter, format).await?;
        while let Some(part) = export.next().await? {
            write(&part).map_err(Failure::internal)?;
        }
        Ok(())
    })?;
    out.flush().context("cannot write")
}

fn writer(file: Option<&Path>) -> anyhow::Result<Box<dyn Write + Send>> {
    let Some(file) = file else { return Ok(Box::new(BufWriter::new(io::stdout()))) };
    // For its owner alone: who did what is nobody else's business.
    let handle = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let handle = handle.with_context(|| format!("cannot make {}", file.display()))?;
    Ok(Box::new(BufWriter::new(handle)))
}

fn filter(filters: &Filters) -> EventFilter {
    let Filters { event, ticket, account, env, database, host, role, from, to } = filters.clone();
    EventFilter { name: event, ticket, account, env, database, host, role, from, to }
}
