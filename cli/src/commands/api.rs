//! `rolecall api`.

use std::path::Path;

use super::run::{self, Part};
use crate::compose;

pub fn run(file: Option<&Path>) -> anyhow::Result<()> {
    run::service(file, async |process| {
        let listener = run::listen(Part::Api, process.settings.api.listen).await?;
        compose::serve_api(&process, listener).await
    })
}
