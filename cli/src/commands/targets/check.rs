//! `rolecall targets check`: a line for each target, and what is wrong with it below.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use futures_util::StreamExt;
use rolecall_shared::config::Settings;
use rolecall_shared::control::Control;
use rolecall_shared::domain::{Target, TargetKey};
use rolecall_shared::seal::KeyRing;
use rolecall_shared::target::TargetError;
use serde_json::{Value, json};

use super::list::table;
use crate::args::Output;
use crate::commands::block_on;
use crate::looking::{Look, look_at, refusal};
use crate::output::print;

type Looked = (Target, Result<Look, TargetError>);

/// Without names: all active targets.
pub fn run(file: Option<&Path>, names: &[TargetKey], output: Output) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(file)?;
    let looked = block_on(async {
        let keys = KeyRing::load(&settings.seal.key_file).context("cannot read the seal keys")?;
        let targets = chosen(&Control::new(&settings.control)?, names).await?;
        Ok(look_at(&settings, keys, targets).collect::<Vec<_>>().await)
    })?;
    let is_well = looked.iter().all(|looked| problems(looked).is_empty());
    if output.json {
        let targets: Vec<_> = looked.iter().map(as_json).collect();
        print(&json!({ "ok": is_well, "targets": targets }).to_string())?;
    } else if looked.is_empty() {
        print("there is no active target")?;
    } else {
        print(&as_text(&looked))?;
    }
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn chosen(control: &Control, names: &[TargetKey]) -> anyhow::Result<Vec<Target>> {
    if names.is_empty() {
        let all = control.list_all_targets().await?;
        return Ok(all.into_iter().filter(|target| target.active).collect());
    }
    let found = control.find_targets(names).await?;
    if let Some(unknown) = names.iter().find(|name| !found.contains_key(name)) {
        anyhow::bail!("there is no target {unknown}; `rolecall targets list` shows them");
    }
    Ok(found.into_values().collect())
}

/// What is wrong, with what to do about it.
fn problems((_, look): &Looked) -> Vec<String> {
    match look {
        Ok(look) => look.report.problems.clone(),
        Err(error) => {
            let (what, next) = refusal(error);
            vec![format!("{what}; {next}")]
        }
    }
}

fn as_text(looked: &[Looked]) -> String {
    let mut table = table(["TARGET", "HOST", "RESULT", "SERVER", "LOGGED IN AS", "TLS"]);
    let mut below = String::new();
    for look in looked {
        let problems = problems(look);
        let (target, answer) = look;
        let result = match answer {
            Ok(_) if problems.is_empty() => "ok",
            Ok(_) => "problems",
            Err(_) => "refused",
        };
        let [server, user, tls] = match answer {
            Ok(Look { report, .. }) => {
                let tls = if report.tls { "yes" } else { "no" };
                [report.server_version.clone(), report.user.clone(), tls.to_owned()]
            }
            Err(_) => ["-"; 3].map(str::to_owned),
        };
        table.add_row([
            target.key.to_string(),
            target.host.to_string(),
            result.to_owned(),
            server,
            user,
            tls,
        ]);
        for problem in problems {
            let _ = write!(below, "\n{}: {problem}", target.key);
        }
    }
    let ill = looked.iter().filter(|look| !problems(look).is_empty()).count();
    let blank = if below.is_empty() { "" } else { "\n" };
    format!(
        "{}\n{blank}{}{blank}\n{} of {} are well",
        table.trim_fmt(),
        below.trim_start(),
        looked.len() - ill,
        looked.len()
    )
}

fn as_json(look: &Looked) -> Value {
    let problems = problems(look);
    let (target, answer) = look;
    let mut told = json!({
        "target": target.key.to_string(),
        "host": target.host,
        "ok": problems.is_empty(),
        "problems": problems,
    });
    if let Ok(Look { report, beyond_reach }) = answer {
        told["server_version"] = json!(report.server_version);
        told["user"] = json!(report.user);
        told["tls"] = json!(report.tls);
        told["superuser"] = json!(report.superuser);
        told["createrole"] = json!(report.createrole);
        told["createdb"] = json!(report.createdb);
        told["member_of_owner"] = json!(report.member_of_owner);
        told["pooler"] = json!(report.pooler);
        told["roles_beyond_reach"] = json!(beyond_reach);
    }
    told
}
