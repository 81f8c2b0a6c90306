//! From rows of fields to changes that were made: what `import`, `add` and `set` have in common, and the latter two.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use rolecall_api::registry::{Plan, Registry, RowFault, Waiting, Wanted};
use rolecall_api::target_file;
use rolecall_shared::config::Settings;
use rolecall_shared::control::Put;
use rolecall_shared::domain::{Target, TargetKey};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use super::{difference, trust, waiting};
use crate::args::{ChangeTarget, Trusting};
use crate::commands::{accounts, block_on};
use crate::compose::{self, Operator};
use crate::operator;
use crate::output::print;
use crate::registry_file::Row;

/// Rows beside the targets there are: what is wrong with them, or what is to be done.
pub(super) async fn plan(
    registry: &Registry,
    rows: Vec<Row>,
    existing: &BTreeMap<TargetKey, Target>,
) -> anyhow::Result<Result<Plan, Vec<RowFault>>> {
    let (mut wanted, mut faults) = (Vec::new(), Vec::new());
    for Row { number, mut fields, .. } in rows {
        let key = match target_file::take_key(&mut fields) {
            Ok(key) => key,
            Err(failure) => {
                faults.extend(RowFault::from_failure(number, None, &failure));
                continue;
            }
        };
        match target_file::read(key.clone(), existing, fields) {
            Ok(asked) => wanted.push(Wanted { row: number, asked }),
            Err(failure) => faults.extend(RowFault::from_failure(number, Some(&key), &failure)),
        }
    }
    match registry.plan(wanted, existing).await? {
        Ok(plan) if faults.is_empty() => Ok(Ok(plan)),
        Ok(_) => Ok(Err(faults)),
        Err(more) => Ok(Err([faults, more].concat())),
    }
}

/// Does what was planned, if its hosts may get the default log-in; `None` if somebody said no.
pub(super) async fn carry_out(
    operator: &Operator,
    plan: &Plan,
    waiting: Waiting,
    (trusting, can_ask): (Trusting, bool),
) -> anyhow::Result<Option<Vec<Put>>> {
    let settings = &operator.registry.settings;
    let user = settings.default_login.as_ref().map_or("", |login| login.user.as_str());
    if !trust::may_trust(&plan.untrusted, user, trusting, can_ask)? {
        return Ok(None);
    }
    if plan.rows.iter().any(|planned| planned.before.is_some() && !planned.is_same()) {
        operator.connected().await;
    }
    let registry = if plan.untrusted.is_empty() {
        operator.registry.clone()
    } else {
        Registry { control: compose::as_owner(settings)?, ..operator.registry.clone() }
    };
    Ok(Some(registry.carry_out(plan, &operator::actor(), waiting).await?))
}

pub fn add(file: Option<&Path>, asked: &ChangeTarget) -> anyhow::Result<ExitCode> {
    one(file, asked, |existing| {
        anyhow::ensure!(
            existing.is_none(),
            "there is a target {key} already; `rolecall targets set {key}` changes it",
            key = asked.target
        );
        Ok(())
    })
}

pub fn set(file: Option<&Path>, asked: &ChangeTarget) -> anyhow::Result<ExitCode> {
    one(file, asked, |existing| {
        anyhow::ensure!(
            existing.is_some(),
            "there is no target {key}; `rolecall targets add {key}` registers it",
            key = asked.target
        );
        Ok(())
    })
}

fn one(
    file: Option<&Path>,
    asked: &ChangeTarget,
    check: impl FnOnce(Option<&Target>) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let settings = Arc::new(Settings::load(file)?);
    let row = Row { number: 1, fields: fields(asked)?, remark: None };
    let can_ask = !asked.password.password_stdin;
    block_on(compose::with_registry(&settings, async |operator| {
        // All of them: a host is locked where its other targets say.
        let existing = operator.registry.control.list_all_targets().await?;
        let existing =
            existing.into_iter().map(|target| (target.key.clone(), target)).collect::<BTreeMap<_, _>>();
        check(existing.get(&asked.target))?;
        let plan = match plan(&operator.registry, vec![row], &existing).await? {
            Ok(plan) => plan,
            Err(faults) => {
                anyhow::bail!("{} is not as it must be:\n{}", asked.target, difference::reasons(&faults))
            }
        };
        let trusting = (asked.trusting, can_ask);
        match carry_out(operator, &plan, waiting(asked.fail_waiting), trusting).await? {
            Some(puts) => tell(&puts, asked),
            None => anyhow::bail!("nothing was changed"),
        }
    }))?;
    Ok(ExitCode::SUCCESS)
}

fn tell(puts: &[Put], asked: &ChangeTarget) -> anyhow::Result<()> {
    for put in puts {
        let (done, target) = match put {
            Put::Added(target) => ("added", target),
            Put::Changed { now, .. } => ("changed", now),
            Put::Unchanged(target) => ("unchanged", target),
        };
        if asked.output.json {
            print(&json!({ "done": done, "target": target_file::shown(target) }).to_string())?;
        } else {
            print(&format!("{done} the target {} on {}", target.key, target.host))?;
        }
    }
    Ok(())
}

/// What was typed, as the fields of a target.
fn fields(asked: &ChangeTarget) -> anyhow::Result<Map<String, Value>> {
    let mut fields = Map::new();
    let mut state = |field: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(field.to_owned(), value);
        }
    };
    state("env", Some(json!(asked.target.env)));
    state("database", Some(json!(asked.target.database)));
    state("hostname", asked.hostname.as_ref().map(|name| json!(name)));
    state("port", asked.port.map(|port| json!(port)));
    state("sslmode", asked.sslmode.as_ref().map(|mode| json!(mode)));
    state("ca_file", asked.ca_file.as_ref().map(|path| json!(path)));
    state("ca_file", asked.no_ca_file.then_some(Value::Null));
    state("lock_database", asked.lock_database.as_ref().map(|name| json!(name)));
    state("active", (asked.active || asked.inactive).then_some(json!(asked.active)));
    state("notes", asked.notes.as_ref().map(|notes| json!(notes)));
    state("login", login(asked)?);
    anyhow::ensure!(fields.len() > 2, "nothing to change was named; see --help");
    Ok(fields)
}

fn login(asked: &ChangeTarget) -> anyhow::Result<Option<Value>> {
    if asked.default_login {
        return Ok(Some(Value::Null));
    }
    let mut login = Map::new();
    if let Some(user) = &asked.login_user {
        login.insert("user".to_owned(), json!(user));
    }
    if let Some(reference) = &asked.password_ref {
        login.insert("password_ref".to_owned(), json!(reference));
    }
    if let Some(password) = accounts::stated(&asked.password)? {
        login.insert("password".to_owned(), json!(password.expose_secret()));
    }
    Ok((!login.is_empty()).then_some(Value::Object(login)))
}
