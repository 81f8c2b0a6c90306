//! `rolecall auth explain`.

use std::fmt::Write as _;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use rolecall_api::oidc::{BindingReport, ClaimReport, Explanation, Identity, Refusal, Verifier};
use rolecall_shared::config::Oidc;
use rolecall_shared::domain::SystemClock;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::args::Explain;
use crate::output::print;

/// More than any token that is taken, so that the limit can be seen as broken.
const MAX_INPUT_BYTES: u64 = 65_536;

pub fn explain(file: Option<&Path>, asked: &Explain) -> anyhow::Result<ExitCode> {
    let settings = Oidc::load(file)?;
    let token = read(asked.token_file.as_deref())?;
    let explanation = super::block_on(async {
        let verifier = Verifier::new(&settings, Arc::new(SystemClock));
        Ok(verifier.explain(token.trim()).await)
    })?;
    if asked.output.json {
        print(&as_json(&explanation).to_string())?;
    } else {
        print(&in_words(&explanation))?;
    }
    Ok(if explanation.outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(file: Option<&Path>) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let (read, name) = if let Some(path) = file {
        let file = std::fs::File::open(path);
        let read = file.and_then(|file| file.take(MAX_INPUT_BYTES).read_to_string(&mut text));
        (read, path.display().to_string())
    } else {
        let input = std::io::stdin().lock();
        (input.take(MAX_INPUT_BYTES).read_to_string(&mut text), "standard input".to_owned())
    };
    read.with_context(|| format!("cannot read a token from {name}"))?;
    Ok(text)
}

fn in_words(explanation: &Explanation) -> String {
    let mut text = String::new();
    match (&explanation.invalid, &explanation.issuer) {
        (Some(refusal), None) => _ = writeln!(text, "the token is refused: {refusal}"),
        (Some(refusal), Some(issuer)) => {
            _ = writeln!(
                text,
                "the token is refused: {refusal}\n\
                 WARNING: nobody vouches for the claims below; with the claims of a valid token it would be so.\n\
                 it says that its issuer is {issuer}"
            );
        }
        (None, issuer) => {
            _ = writeln!(text, "the token is valid; its issuer is {}", issuer.as_deref().unwrap_or_default());
        }
    }
    for binding in &explanation.bindings {
        let verdict = if binding.matches() { "matches" } else { "does not match" };
        _ = writeln!(text, "\nbinding {} (account {}) {verdict}", binding.binding, binding.account);
        for claim in &binding.claims {
            _ = writeln!(text, "  {}", claim_in_words(claim));
        }
    }
    if !explanation.bindings.is_empty() {
        text.push('\n');
    }
    match (&explanation.outcome, first_match(explanation)) {
        (Ok(identity), _) => {
            let Identity { binding, account, owner, .. } = identity;
            _ = writeln!(text, "taken: binding {binding}, account {account}, owner {}", owner.escape_debug());
        }
        (Err(refusal), None) => _ = writeln!(text, "not taken: {refusal}"),
        (Err(refusal), Some(binding)) => {
            _ = writeln!(text, "not taken: {refusal}; else it would be by binding {}", binding.binding);
        }
    }
    text
}

fn first_match(explanation: &Explanation) -> Option<&BindingReport> {
    explanation.bindings.iter().find(|binding| binding.matches())
}

fn claim_in_words(claim: &ClaimReport) -> String {
    let listed = |values: &[String]| {
        let quoted: Vec<_> = values.iter().map(|value| format!("`{}`", value.escape_debug())).collect();
        quoted.join(" or ")
    };
    let got = match claim.got.as_deref() {
        None => "the token has none".to_owned(),
        Some([]) => "the token has an empty list".to_owned(),
        Some([one]) => format!("the token has `{}`", one.escape_debug()),
        Some(many) => {
            let quoted: Vec<_> = many.iter().map(|value| format!("`{}`", value.escape_debug())).collect();
            format!("the token has the list {}", quoted.join(", "))
        }
    };
    let mark = if claim.matches { "ok" } else { "NO" };
    format!("{mark}  {}: expected {}, {got}", claim.claim, listed(&claim.expected))
}

fn as_json(explanation: &Explanation) -> Value {
    let bindings: Vec<_> = explanation.bindings.iter().map(binding_as_json).collect();
    json!({
        "valid": explanation.invalid.is_none(),
        "issuer": explanation.issuer,
        "bindings": bindings,
        "first_match": first_match(explanation).map(|binding| &binding.binding),
        "refusal": explanation.outcome.as_ref().err().map(refusal_as_json),
        "identity": explanation.outcome.as_ref().ok().map(identity_as_json),
    })
}

fn binding_as_json(binding: &BindingReport) -> Value {
    let claims = binding.claims.iter().map(|claim| {
        json!({ "claim": claim.claim, "expected": claim.expected, "got": claim.got, "matches": claim.matches })
    });
    json!({
        "binding": binding.binding, "account": binding.account, "matches": binding.matches(),
        "claims": claims.collect::<Vec<_>>(),
    })
}

fn refusal_as_json(refusal: &Refusal) -> Value {
    json!({ "reason": refusal.reason.as_str(), "detail": refusal.detail })
}

fn identity_as_json(identity: &Identity) -> Value {
    json!({
        "binding": identity.binding, "account": identity.account, "subject": identity.subject,
        "owner": identity.owner, "jti": identity.jti, "expires_at": identity.expires_at, "bound": identity.bound,
    })
}
