//! `rolecall tokens create|list|revoke`.

use std::path::Path;

use jiff::Timestamp;
use rolecall_shared::config;
use rolecall_shared::control::ApiToken;
use rolecall_shared::domain::{Clock as _, SystemClock};
use rolecall_shared::seal::ApiTokenText;
use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::accounts::on_control;
use crate::args::{Output, Tokens};
use crate::operator;
use crate::output::print;

/// Tokens of one page.
const PAGE: usize = 500;

pub fn run(file: Option<&Path>, command: &Tokens) -> anyhow::Result<()> {
    let settings = config::Control::load(file)?;
    match command {
        Tokens::Create { account, name, scope, expires, output } => {
            let token = ApiToken {
                id: Uuid::now_v7(),
                account: account.clone(),
                name: name.clone(),
                scope: (!scope.is_empty()).then(|| scope.clone()),
                created_at: SystemClock.now(),
                expires_at: *expires,
                last_used_at: None,
                revoked_at: None,
            };
            create(&settings, &token, *output)
        }
        Tokens::List { account, output } => list(&settings, account.as_deref(), *output),
        Tokens::Revoke { id, output } => {
            let revoked = on_control(&settings, async |control| {
                control.revoke_api_token(*id, None, &operator::actor(), SystemClock.now()).await
            })?;
            let words = format!("revoked {} of {}", revoked.id, revoked.account);
            print(&if output.json { shown(&revoked).to_string() } else { words })
        }
    }
}

fn create(settings: &config::Control, token: &ApiToken, output: Output) -> anyhow::Result<()> {
    let text = ApiTokenText::generate();
    on_control(settings, async |control| {
        control.add_api_token(token, &text.hash(), &operator::actor()).await
    })?;
    let told = if output.json {
        let mut body = shown(token);
        body["token"] = json!(text.expose());
        body.to_string()
    } else {
        format!("made the API token {}, which is not shown again:\n{}", token.id, text.expose())
    };
    print(&Zeroizing::new(told))
}

fn list(settings: &config::Control, account: Option<&str>, output: Output) -> anyhow::Result<()> {
    let tokens = on_control(settings, async |control| {
        let mut tokens: Vec<ApiToken> = Vec::new();
        loop {
            let page = control.list_api_tokens(account, tokens.last().map(|token| token.id), PAGE).await?;
            let is_last = page.len() < PAGE;
            tokens.extend(page);
            if is_last {
                return Ok(tokens);
            }
        }
    })?;
    if output.json {
        let tokens: Vec<_> = tokens.iter().map(shown).collect();
        return print(&json!({ "tokens": tokens }).to_string());
    }
    if tokens.is_empty() {
        return print("there is no API token");
    }
    let now = SystemClock.now();
    let lines: Vec<_> = tokens.iter().map(|token| in_words(token, now)).collect();
    print(&lines.join("\n"))
}

fn shown(token: &ApiToken) -> Value {
    json!({
        "id": token.id,
        "account": token.account,
        "name": token.name,
        "scope": token.scope,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
        "revoked_at": token.revoked_at,
    })
}

fn in_words(token: &ApiToken, now: Timestamp) -> String {
    let state = match (token.is_open(now), token.expires_at) {
        (false, _) => "closed".to_owned(),
        (true, Some(end)) => format!("until {end}"),
        (true, None) => "until it is revoked".to_owned(),
    };
    let scope = token.scope.as_ref().map(|scope| scope.iter().map(ToString::to_string).collect::<Vec<_>>());
    let scope = scope.map_or_else(String::new, |scope| format!("\n    scope {}", scope.join(" ")));
    format!("{}  {}: {}, {state}{scope}", token.id, token.account, token.name)
}
