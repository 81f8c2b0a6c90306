//! `rolecall dead list|show|replay|drop`.

use std::path::Path;
use std::process::ExitCode;

use rolecall_api::dead::{Answer, DeadLetters, Listed, Replayed, Standing, Which};
use rolecall_shared::config::Settings;
use rolecall_shared::domain::Failure;
use rolecall_shared::domain::ticket::State;
use rolecall_shared::queue::DeadMessage;
use serde_json::{Value, json};

use crate::args::{Dead, Output};
use crate::output::print;
use crate::{compose, operator};

pub fn run(file: Option<&Path>, command: &Dead) -> anyhow::Result<ExitCode> {
    match command {
        Dead::List { limit, output } => list(file, *limit, *output),
        Dead::Show { id, output } => show(file, id, *output),
        Dead::Replay { id, output, .. } => {
            let which = id.as_deref().map_or(Which::All, Which::Named);
            let actor = operator::actor();
            let answers = on_servers(file, async |letters| letters.replay(which, &actor).await)?;
            tell(&answers, *output, replayed_in_words, |replayed| match replayed {
                Replayed::AsItIs => json!({ "done": "replayed" }),
                Replayed::As(ticket) => json!({ "done": "replayed", "replayed_as": ticket }),
            })
        }
        Dead::Drop { id, output } => {
            let actor = operator::actor();
            let answers = on_servers(file, async |letters| letters.discard(id, &actor).await)?;
            tell(&answers, *output, |()| "dropped".to_owned(), |()| json!({ "done": "dropped" }))
        }
    }
}

fn on_servers<T>(
    file: Option<&Path>,
    work: impl AsyncFnOnce(&DeadLetters) -> Result<T, Failure>,
) -> anyhow::Result<T> {
    let settings = Settings::load(file)?;
    super::block_on(compose::with_dead_letters(&settings, work))
}

fn list(file: Option<&Path>, limit: u16, output: Output) -> anyhow::Result<ExitCode> {
    let Listed { messages, more } = on_servers(file, async |letters| letters.list(limit).await)?;
    if output.json {
        let messages: Vec<Value> = messages.iter().map(summary).collect();
        print(&json!({ "messages": messages, "more": more }).to_string())?;
    } else if messages.is_empty() {
        print("nothing was put aside")?;
    } else {
        let mut lines: Vec<String> = messages.iter().map(in_words).collect();
        if more > 0 {
            lines.push(format!("and {more} more; see them with a higher --limit"));
        }
        print(&lines.join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(file: Option<&Path>, id: &str, output: Output) -> anyhow::Result<ExitCode> {
    let found = on_servers(file, async |letters| letters.show(id).await)?;
    let messages: Vec<Value> = found.iter().map(whole).collect();
    let text = json!({ "messages": messages });
    print(&if output.json { text.to_string() } else { format!("{text:#}") })?;
    Ok(ExitCode::SUCCESS)
}

/// What a list says of a message.
fn summary(message: &DeadMessage) -> Value {
    let job = message.job().ok();
    json!({
        "id": message.id,
        "ticket": message.ticket(),
        "host": message.host,
        "queue": message.queue,
        "reason": message.reason,
        "put_aside_at": message.put_aside_at,
        "operation": job.as_ref().map(|job| job.operation.name()),
        "role": job.as_ref().map(|job| job.operation.role()),
    })
}

fn in_words(message: &DeadMessage) -> String {
    let at = message.put_aside_at.map_or_else(|| "at some time".to_owned(), |at| at.to_string());
    let from = message.host.as_ref().map_or_else(|| message.queue.clone(), ToString::to_string);
    let what = match message.job() {
        Ok(job) => format!("{} {}", job.operation.name(), job.operation.role()),
        Err(_) => "unreadable".to_owned(),
    };
    format!("{}  {at}  {from}  {what}  {}", message.id, message.reason)
}

/// A job holds no secret: passwords are made by the worker, and are never in a message. A body that cannot be read is
/// shown as it is.
fn whole((message, standing): &(DeadMessage, Standing)) -> Value {
    let mut text = summary(message);
    match message.job() {
        Ok(job) => text["job"] = json!(job),
        Err(why) => {
            text["unreadable"] = json!(why.to_string());
            text["body"] = json!(String::from_utf8_lossy(&message.body));
        }
    }
    text["ticket_state"] = match standing {
        Standing::Unknown => Value::Null,
        Standing::Open(ticket) => json!(ticket.state),
        Standing::Ended(_, ending) => json!(ending.state()),
        Standing::Forgotten => json!("forgotten"),
        Standing::Withdrawn => json!(State::Withdrawn),
    };
    text
}

fn replayed_in_words(replayed: &Replayed) -> String {
    match replayed {
        Replayed::AsItIs => "replayed".to_owned(),
        Replayed::As(ticket) => format!("replayed as {ticket}"),
    }
}

/// One line or object for each message; exit code 1 if any of them stays where it was.
fn tell<T>(
    answers: &[Answer<T>],
    output: Output,
    words: impl Fn(&T) -> String,
    facts: impl Fn(&T) -> Value,
) -> anyhow::Result<ExitCode> {
    if output.json {
        let messages: Vec<Value> = answers
            .iter()
            .map(|Answer { id, done }| {
                let mut told = match done {
                    Ok(done) => facts(done),
                    Err(failure) => json!({ "code": failure.code(), "detail": failure.detail() }),
                };
                told["id"] = json!(id);
                told
            })
            .collect();
        print(&json!({ "messages": messages }).to_string())?;
    } else if answers.is_empty() {
        print("nothing was put aside")?;
    } else {
        let line = |Answer { id, done }: &Answer<T>| match done {
            Ok(done) => format!("{id}  {}", words(done)),
            Err(failure) => format!("{id}  {failure}"),
        };
        print(&answers.iter().map(line).collect::<Vec<_>>().join("\n"))?;
    }
    let all_done = answers.iter().all(|answer| answer.done.is_ok());
    Ok(if all_done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
