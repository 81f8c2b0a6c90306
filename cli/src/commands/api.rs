//! `rolecall api`.

use std::path::Path;

use super::run;
use crate::compose;

pub fn run(file: Option<&Path>) -> anyhow::Result<()> {
    run::service(file, async |process| {
        let listeners = run::listen_for_api(&process).await?;
        compose::serve_api(&process, listeners).await
    })
}
