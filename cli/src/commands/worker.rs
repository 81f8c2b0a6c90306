//! `rolecall worker`.

use std::path::Path;

use super::run;
use crate::compose;

pub fn run(file: Option<&Path>) -> anyhow::Result<()> {
    run::service(file, async |process| {
        let listener = run::listen_for_worker(&process).await?;
        compose::serve_worker(&process, listener).await
    })
}
