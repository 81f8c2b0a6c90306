//! What every token has to say, whoever is bound to it: for whom it is, and in which time.

use jiff::Timestamp;
use rolecall_shared::config::OidcIssuer;
use serde_json::{Map, Value};

use super::refusal::{Reason, Refusal};

/// The longest `jti`, and the longest subject, in bytes: both are kept.
const MAX_KEPT_BYTES: usize = 512;

/// What is known of a token whose claims are in order.
pub(super) struct Standing {
    pub(super) jti: String,
    pub(super) expires_at: Timestamp,
    /// Until then the clocks may let it through again.
    pub(super) remember_until: Timestamp,
}

/// Checks audience, times and `jti`. The issuer was looked up by `iss`, so that is right.
pub(super) fn check(
    claims: &Map<String, Value>,
    issuer: &OidcIssuer,
    now: Timestamp,
) -> Result<Standing, Refusal> {
    audience(claims, &issuer.audience)?;
    let (exp, nbf, iat) = (time(claims, "exp")?, time(claims, "nbf")?, time(claims, "iat")?);
    let leeway = i64::try_from(issuer.leeway.as_secs()).unwrap_or(0);
    let now = now.as_second();
    if now >= exp.saturating_add(leeway) {
        return Err(Refusal::new(Reason::Expired, format!("it expired at {}", shown(exp))));
    }
    for (name, moment) in [("nbf", nbf), ("iat", iat)] {
        if moment > now.saturating_add(leeway) {
            let detail = format!("its {name} is {}, which has not come", shown(moment));
            return Err(Refusal::new(Reason::NotYetValid, detail));
        }
    }
    let longest = i64::try_from(issuer.max_age.as_secs()).unwrap_or(i64::MAX);
    let lifetime = exp.saturating_sub(iat);
    if lifetime > longest {
        let detail =
            format!("it lives for {lifetime} s, and oidc.{}.max_age_seconds is {longest}", issuer.name);
        return Err(Refusal::new(Reason::LivesTooLong, detail));
    }
    let Some(Value::String(jti)) = claims.get("jti") else { return Err(missing("jti")) };
    let jti = kept("jti", jti)?;
    let moment = |second| Timestamp::from_second(second).map_err(|_| not_a_time("exp"));
    Ok(Standing { jti, expires_at: moment(exp)?, remember_until: moment(exp.saturating_add(leeway))? })
}

/// The claim that tells callers apart, as a text that can be kept: not empty, without control characters.
pub(super) fn subject(claims: &Map<String, Value>, claim: &str) -> Result<String, Refusal> {
    match find(claims, claim) {
        None | Some(Value::Null) => Err(missing(claim)),
        Some(value) => match text_of(value) {
            Some(text) => kept(claim, &text),
            None => Err(Refusal::new(Reason::Malformed, format!("its {claim} is no text"))),
        },
    }
}

/// A claim by its name, or if there is none of that name by its path through objects.
pub(super) fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    match claims.get(first)? {
        Value::Object(inner) => find(inner, rest),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
    }
}

/// One value as text; none for lists, objects and null.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn audience(claims: &Map<String, Value>, ours: &str) -> Result<(), Refusal> {
    let theirs: Vec<&str> = match claims.get("aud") {
        None | Some(Value::Null) => return Err(missing("aud")),
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => Vec::new(),
    };
    if theirs.contains(&ours) {
        return Ok(());
    }
    let detail = format!("it is for `{}`, and not for `{ours}`", theirs.join("`, `").escape_debug());
    Err(Refusal::new(Reason::WrongAudience, detail))
}

/// Seconds since 1970 (RFC 7519, section 2: fractions are allowed, and dropped here).
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<i64, Refusal> {
    let Some(value) = claims.get(name) else { return Err(missing(name)) };
    let seconds = value.as_i64().or_else(|| {
        let fraction = value.as_f64().filter(|seconds| seconds.abs() < 1e12)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole seconds are meant, and the range was checked"
        )]
        Some(fraction.floor() as i64)
    });
    seconds.filter(|seconds| seconds.abs() < 1_000_000_000_000).ok_or_else(|| not_a_time(name))
}

fn shown(second: i64) -> String {
    Timestamp::from_second(second).map_or_else(|_| second.to_string(), |moment| moment.to_string())
}

fn kept(name: &str, text: &str) -> Result<String, Refusal> {
    if text.is_empty() {
        return Err(missing(name));
    }
    if text.len() > MAX_KEPT_BYTES || text.chars().any(char::is_control) {
        let detail = format!("its {name} is longer than {MAX_KEPT_BYTES} bytes, or has control characters");
        return Err(Refusal::new(Reason::Malformed, detail));
    }
    Ok(text.to_owned())
}

fn missing(name: &str) -> Refusal {
    Refusal::new(Reason::ClaimMissing, format!("it has no {name}"))
}

fn not_a_time(name: &str) -> Refusal {
    Refusal::new(Reason::Malformed, format!("its {name} is no time"))
}
