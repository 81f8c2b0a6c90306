//! `rolecall notify list|test|explain`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use rolecall_shared::config::{self, NotifyRule, Settings};
use rolecall_shared::control::Control;
use rolecall_shared::domain::{Clock, Env, EventName, KindName, SystemClock};
use rolecall_shared::notify::{Notice, Told, preview};
use rolecall_shared::outbound::Trouble;
use rolecall_shared::seal::MessageId;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::args::{ExplainNotice, Notify, Output};
use crate::compose;
use crate::output::print;

pub fn run(file: Option<&Path>, command: &Notify) -> anyhow::Result<ExitCode> {
    match command {
        Notify::List(output) => list(&config::Notify::load(file)?, *output),
        Notify::Test { channel, output } => test(&Settings::load(file)?, channel, *output),
        Notify::Explain(asked) => explain(&config::Notify::load(file)?, asked),
    }
}

fn list(notify: &config::Notify, output: Output) -> anyhow::Result<ExitCode> {
    if output.json {
        let channels = notify.channels.iter().map(|channel| {
            json!({
                "name": channel.name, "type": channel.place.word(), "to": channel.shown(), "trusted": channel.is_trusted,
            })
        });
        let (channels, rules): (Vec<_>, Vec<_>) =
            (channels.collect(), notify.rules.iter().map(shown).collect());
        print(&json!({ "channels": channels, "rules": rules }).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for channel in &notify.channels {
        let trusted = if channel.is_trusted { ", trusted" } else { "" };
        _ = writeln!(
            text,
            "channel {} ({}{trusted}): {}",
            channel.name,
            channel.place.word(),
            channel.shown()
        );
    }
    for rule in &notify.rules {
        let only = |what: &str, names: &[String]| match names {
            [] => String::new(),
            names => format!(", {what} {}", names.join(" ")),
        };
        let [events, envs, kinds] = filters(rule);
        let filters = format!("{}{}", only("envs", &envs), only("kinds", &kinds));
        _ = writeln!(
            text,
            "rule {}: {}{filters} -> {}",
            rule.name,
            events.join(" "),
            rule.channels.join(" ")
        );
    }
    if text.is_empty() {
        text.push_str("there is no channel and no rule; `rolecall config sample` shows how to add them");
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn filters(rule: &NotifyRule) -> [Vec<String>; 3] {
    [
        rule.events.iter().map(|event| event.as_str().to_owned()).collect(),
        rule.envs.iter().map(ToString::to_string).collect(),
        rule.kinds.iter().map(ToString::to_string).collect(),
    ]
}

fn shown(rule: &NotifyRule) -> Value {
    let [events, envs, kinds] = filters(rule);
    json!({
        "name": rule.name, "events": events, "envs": envs, "kinds": kinds, "channels": rule.channels,
        "template": rule.template.as_ref().map(ToString::to_string),
        "subject": rule.subject.as_ref().map(ToString::to_string),
    })
}

fn test(settings: &Settings, name: &str, output: Output) -> anyhow::Result<ExitCode> {
    let Some(channel) = settings.notify.channels.iter().find(|channel| channel.name == name) else {
        bail!("there is no channel {name}; `rolecall notify list` names them");
    };
    let told = super::block_on(async {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let notifier = compose::notifier(settings, &Control::new(&settings.control)?, &clock)?;
        Ok(notifier.test(name, &MessageId::from(Uuid::new_v4())).await)
    })?;
    let Some(told) = told else { bail!("there is no channel {name}; `rolecall notify list` names them") };
    let is_taken = told.attempt.is_success();
    if output.json {
        print(&told_as_json(name, channel.place.word(), &told).to_string())?;
    } else {
        let verdict = if is_taken { "took it" } else { "did not take it" };
        print(&format!("{name} ({}) {verdict}: {}", channel.place.word(), answer(&told)))?;
    }
    Ok(if is_taken { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn answer(told: &Told) -> String {
    match &told.attempt.result {
        Ok(status) if told.said.is_empty() => status.to_string(),
        Ok(status) if told.said.starts_with(&status.to_string()) => told.said.clone(),
        Ok(status) => format!("{status} {}", told.said),
        Err(trouble) => trouble.to_string(),
    }
}

fn told_as_json(channel: &str, word: &str, told: &Told) -> Value {
    let attempt = &told.attempt;
    json!({
        "channel": channel, "type": word, "taken": attempt.is_success(), "status": attempt.result.as_ref().ok(),
        "said": told.said, "error": attempt.result.as_ref().err().map(ToString::to_string),
        "code": attempt.result.as_ref().err().map(Trouble::as_str),
        "duration_ms": u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
        "retry_after_seconds": attempt.retry_after.map(|after| after.as_secs()),
    })
}

fn explain(notify: &config::Notify, asked: &ExplainNotice) -> anyhow::Result<ExitCode> {
    let (event, kind) = (asked.event, asked.kind.as_ref());
    let verdicts: Vec<_> =
        notify.rules.iter().map(|rule| (rule, rule.hears(event, &asked.envs, kind))).collect();
    let notice = example(event, &asked.envs, kind)?;
    let mut told = Vec::with_capacity(verdicts.len());
    for (rule, verdict) in &verdicts {
        let text = preview(&notice, rule)?;
        told.push(if asked.output.json {
            json!({
                "rule": rule.name, "matches": verdict.is_ok(), "reason": verdict.err(), "channels": rule.channels,
                "text": verdict.is_ok().then_some(text),
            })
        } else {
            json!(match verdict {
                Ok(()) => format!("{} matches -> {}\n    {text}", rule.name, rule.channels.join(" ")),
                Err(reason) => format!("{} does not match: {reason}", rule.name),
            })
        });
    }
    if asked.output.json {
        print(&json!({ "event": event.as_str(), "rules": told }).to_string())?;
    } else if told.is_empty() {
        print("there is no rule; `rolecall config sample` shows how to add one")?;
    } else {
        print(&told.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n"))?;
    }
    let is_told = verdicts.iter().any(|(_, verdict)| verdict.is_ok());
    Ok(if is_told { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An event of that name as it could be: what was not asked for has the values of the documentation's examples.
fn example(event: EventName, envs: &[Env], kind: Option<&KindName>) -> anyhow::Result<Notice> {
    let mut data = json!({ "host": "db1.example.com:5432", "account": "ada" });
    if event.is_of_hosts() {
        data["code"] = json!("target_unreachable");
    } else {
        data["ticket"] = json!(Uuid::nil());
        data["ticket_url"] = json!(format!("/api/v2/tickets/{}", Uuid::nil()));
        data["sequence"] = json!(1);
        data["operation"] = json!("create_role");
        data["kind"] = json!(kind.map_or("app", KindName::as_str));
        data["role"] = json!("web_8080");
        data["env"] = json!(envs.first().map_or("dev", Env::as_str));
        data["database"] = json!("app");
        data["outcome"] = json!("created");
        data["code"] = json!("role_not_found");
    }
    let body = json!({ "type": event.as_str(), "timestamp": SystemClock.now(), "data": data });
    match Notice::read(&body.to_string()) {
        Some(notice) => Ok(notice),
        None => bail!("the example is no event"),
    }
}
