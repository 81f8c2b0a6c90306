//! `rolecall targets rm|pause|resume`.

use std::path::Path;
use std::sync::Arc;

use rolecall_api::registry::{Registry, Waiting, check_reason};
use rolecall_shared::config::Settings;
use rolecall_shared::control::{Host, Switch};
use rolecall_shared::domain::{Failure, TargetKey};
use serde_json::{Value, json};

use crate::args::Output;
use crate::commands::block_on;
use crate::output::print;
use crate::{compose, operator};

pub fn remove(file: Option<&Path>, key: &TargetKey, waiting: Waiting, output: Output) -> anyhow::Result<()> {
    let removed =
        on_registry(file, async |registry| registry.remove(&operator::actor(), key, waiting).await)?;
    if output.json {
        return print(&json!({ "target": key.to_string(), "done": "removed" }).to_string());
    }
    print(&format!("removed the target {key} on {}", removed.host))
}

pub fn pause(file: Option<&Path>, key: &TargetKey, reason: &str, output: Output) -> anyhow::Result<()> {
    check_reason(reason).map_err(|fault| anyhow::anyhow!("the reason {fault}"))?;
    let host = switch(file, key, Switch::Pause(reason))?;
    tell(&host, "paused: jobs are accepted and wait", output)
}

pub fn resume(file: Option<&Path>, key: &TargetKey, output: Output) -> anyhow::Result<()> {
    let host = switch(file, key, Switch::Resume)?;
    tell(&host, "works", output)
}

fn switch(file: Option<&Path>, key: &TargetKey, switch: Switch<'_>) -> anyhow::Result<Host> {
    on_registry(file, async |registry| {
        let host = registry.find(key).await?.host;
        registry.switch(&operator::actor(), &host, switch).await
    })
}

fn on_registry<T>(
    file: Option<&Path>,
    work: impl AsyncFnOnce(&Registry) -> Result<T, Failure>,
) -> anyhow::Result<T> {
    let settings = Arc::new(Settings::load(file)?);
    block_on(compose::with_registry(&settings, async |operator| {
        operator.connected().await;
        Ok(work(&operator.registry).await?)
    }))
}

fn tell(host: &Host, how: &str, output: Output) -> anyhow::Result<()> {
    let targets: Vec<_> = host.targets.iter().map(ToString::to_string).collect();
    if !output.json {
        return print(&format!("the host {} {how}; its targets: {}", host.key, targets.join(", ")));
    }
    let paused = host
        .paused
        .as_ref()
        .map_or(Value::Null, |pause| json!({ "by": pause.by, "at": pause.at, "reason": pause.reason }));
    print(&json!({ "host": host.key, "paused": paused, "targets": targets }).to_string())
}
