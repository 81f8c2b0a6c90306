//! Reading paths and query strings, so that every refusal is a problem of ours.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use jiff::Timestamp;
use rolecall_shared::domain::{Code, DatabaseName, Env, Failure, HostKey, TargetKey, TicketId};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::cursor::{DEFAULT_LIMIT, MAX_LIMIT};
use super::problem::Problem;
use crate::app::{hosts, targets, tickets, webhooks};

/// No filter is longer than the longest name.
const MAX_FILTER: usize = 300;
/// As many labels as a job has.
const MAX_LABELS: usize = 16;

/// RFC 3339 knows no year before 0; PostgreSQL none before 4713 BC, and refuses the query.
pub(super) const YEAR_ZERO: Timestamp = Timestamp::constant(-62_167_219_200, 0);

/// The variable parts of a path, decoded.
async fn path<T, S>(parts: &mut Parts, state: &S) -> Result<T, Failure>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    let malformed = |_| Failure::new(Code::MalformedRequest, "The path cannot be read; it must be UTF-8.");
    Path::<T>::from_request_parts(parts, state).await.map(|Path(path)| path).map_err(malformed)
}

/// The ticket of the path. What is no id is the id of no ticket.
pub(super) struct TicketPath(pub(super) TicketId);

impl<S: Send + Sync> FromRequestParts<S> for TicketPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text: String = path(parts, state).await?;
        Ok(Self(text.parse().map_err(|_| tickets::not_found())?))
    }
}

/// The target of the path. What is no name is the name of no target.
pub(super) struct TargetPath(pub(super) TargetKey);

impl<S: Send + Sync> FromRequestParts<S> for TargetPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let (env, database): (String, String) = path(parts, state).await?;
        Ok(Self(target_key(&env, &database).ok_or_else(targets::not_found)?))
    }
}

/// The API token of the path. What is no id is the id of no token.
pub(super) struct TokenPath(pub(super) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for TokenPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text: String = path(parts, state).await?;
        let missing = |_| Failure::new(Code::TokenNotFound, "There is no such API token.");
        Ok(Self(text.parse().map_err(missing)?))
    }
}

/// The webhook of the path. What is no id is the id of no webhook.
pub(super) struct WebhookPath(pub(super) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for WebhookPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text: String = path(parts, state).await?;
        Ok(Self(text.parse().map_err(|_| webhooks::not_found())?))
    }
}

/// A webhook and one of its deliveries.
pub(super) struct DeliveryPath(pub(super) Uuid, pub(super) i64);

impl<S: Send + Sync> FromRequestParts<S> for DeliveryPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let (webhook, delivery): (String, String) = path(parts, state).await?;
        let webhook = webhook.parse().map_err(|_| webhooks::not_found())?;
        let missing = |_| Failure::new(Code::DeliveryNotFound, "This webhook has no such delivery.");
        Ok(Self(webhook, delivery.parse().map_err(missing)?))
    }
}

/// The session of the path; none is the caller's own, `current`.
pub(super) struct SessionPath(pub(super) Option<Uuid>);

impl<S: Send + Sync> FromRequestParts<S> for SessionPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text: String = path(parts, state).await?;
        if text == "current" {
            return Ok(Self(None));
        }
        let malformed = |_| malformed("The id of a session is a UUID, or `current`.");
        Ok(Self(Some(text.parse().map_err(malformed)?)))
    }
}

/// A target and the name of a role, as sent.
pub(super) struct RolePath(pub(super) TargetKey, pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for RolePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let (env, database, role): (String, String, String) = path(parts, state).await?;
        Ok(Self(target_key(&env, &database).ok_or_else(targets::not_found)?, role))
    }
}

/// The target of the path, to be registered: here what is no name is a fault of the caller's.
pub(super) struct NewTargetPath(pub(super) TargetKey);

impl<S: Send + Sync> FromRequestParts<S> for NewTargetPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let (env, database): (String, String) = path(parts, state).await?;
        let env = Env::parse(&env).map_err(|fault| Failure::field("env", fault))?;
        let database = DatabaseName::parse(&database).map_err(|fault| Failure::field("database", fault))?;
        Ok(Self(TargetKey { env, database }))
    }
}

pub(super) fn target_key(env: &str, database: &str) -> Option<TargetKey> {
    Some(TargetKey { env: Env::parse(env).ok()?, database: DatabaseName::parse(database).ok()? })
}

/// The host of the path. What is no host is the name of no host.
pub(super) struct HostPath(pub(super) HostKey);

impl<S: Send + Sync> FromRequestParts<S> for HostPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text: String = path(parts, state).await?;
        Ok(Self(text.parse().map_err(|_| hosts::not_found())?))
    }
}

/// The parameters of a query. Each may stand once; [`Params::finish`] refuses those nobody asked for.
pub(super) struct Params {
    left: RefCell<Vec<(String, String)>>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(left) = read.map_err(|_| malformed("The query cannot be read."))?;
        Ok(Self { left: RefCell::new(left) })
    }
}

impl Params {
    /// The text of a parameter.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        let mut left = self.left.borrow_mut();
        let Some(at) = left.iter().position(|(key, _)| key == name) else { return Ok(None) };
        let (_, value) = left.swap_remove(at);
        if left.iter().any(|(key, _)| key == name) {
            return Err(malformed(&format!("`{name}` stands twice.")));
        }
        Ok(Some(value))
    }

    /// What a parser makes of a parameter; its error says what is wanted.
    pub(super) fn parsed<T, E: Display>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Failure> {
        let wanted = |error| malformed(&format!("`{name}` {error}."));
        self.text(name)?.map(|text| parse(&text).map_err(wanted)).transpose()
    }

    /// A name to look for, which need not be one.
    pub(super) fn filter(&self, name: &str) -> Result<Option<String>, Failure> {
        self.parsed(name, |text| {
            // PostgreSQL's text takes no NUL, in a parameter either.
            let is_plain = (1..=MAX_FILTER).contains(&text.len()) && !text.contains('\0');
            is_plain
                .then(|| text.to_owned())
                .ok_or_else(|| format!("must be 1 to {MAX_FILTER} bytes without NUL"))
        })
    }

    /// A moment.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, Failure> {
        self.parsed(name, |text| {
            let time = text.parse::<Timestamp>().ok().filter(|time| *time >= YEAR_ZERO);
            time.ok_or("must be a time as in RFC 3339")
        })
    }

    /// The parameters whose names begin with `prefix`, by what follows it.
    pub(super) fn labelled(&self, prefix: &str) -> Result<Vec<(String, String)>, Failure> {
        let keys: BTreeSet<String> = {
            let left = self.left.borrow();
            left.iter().filter_map(|(key, _)| key.strip_prefix(prefix).map(str::to_owned)).collect()
        };
        if keys.len() > MAX_LABELS {
            return Err(malformed(&format!("At most {MAX_LABELS} labels can be looked for at once.")));
        }
        let value = |key: String| {
            let value = self.text(&format!("{prefix}{key}"))?.unwrap_or_default();
            let is_plain = |text: &str| text.len() <= MAX_FILTER && !text.contains('\0');
            if key.is_empty() || !is_plain(&key) || !is_plain(&value) {
                let most = format!("each at most {MAX_FILTER} bytes without NUL");
                return Err(malformed(&format!("A label is looked for as `{prefix}KEY=VALUE`, {most}.")));
            }
            Ok((key, value))
        };
        keys.into_iter().map(value).collect()
    }

    /// A whole number from `least` to `most`.
    pub(super) fn number(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Failure> {
        self.parsed(name, |text| {
            let number =
                Some(text).filter(|t| t.bytes().all(|b| b.is_ascii_digit())).and_then(|t| t.parse().ok());
            number
                .filter(|n| (least..=most).contains(n))
                .ok_or_else(|| format!("must be a whole number from {least} to {most}"))
        })
    }

    /// `true` or `false`; false if it is not there.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Failure> {
        let flag = self.parsed(name, |text| text.parse().map_err(|_| "must be `true` or `false`"))?;
        Ok(flag.unwrap_or(false))
    }

    /// How many items a page is to have.
    pub(super) fn limit(&self) -> Result<usize, Failure> {
        let most = u64::try_from(MAX_LIMIT).unwrap_or(u64::MAX);
        let asked = self.number("limit", 1, most)?;
        Ok(asked.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(DEFAULT_LIMIT))
    }

    /// Refuses parameters nobody asked for: a filter with a slip of the pen would otherwise let everything through.
    pub(super) fn finish(self) -> Result<(), Failure> {
        if self.left.into_inner().is_empty() {
            Ok(())
        } else {
            Err(malformed("A parameter of the query is not known here; /openapi.json lists those that are."))
        }
    }
}

fn malformed(detail: &str) -> Failure {
    Failure::new(Code::MalformedRequest, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        let left = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Params { left: RefCell::new(left) }
    }

    #[test]
    fn numbers_have_both_ends() {
        for (text, read) in
            [("0", Some(0)), ("50", Some(50)), ("51", None), ("-1", None), ("+1", None), ("", None)]
        {
            let params = params(&[("wait", text)]);
            assert_eq!(params.number("wait", 0, 50).ok().flatten(), read, "{text:?}");
        }
        assert_eq!(params(&[]).limit().unwrap(), DEFAULT_LIMIT);
        assert!(params(&[("limit", "0")]).limit().is_err());
        assert_eq!(params(&[("limit", "200")]).limit().unwrap(), MAX_LIMIT);
    }

    #[test]
    fn unknown_and_doubled_parameters_are_refused() {
        let query = params(&[("limit", "1"), ("evnt", "x")]);
        query.limit().unwrap();
        assert_eq!(query.finish().unwrap_err().code(), Code::MalformedRequest);
        assert!(params(&[("a", "1"), ("a", "2")]).text("a").is_err());
        let query = params(&[("a", "1")]);
        assert_eq!(query.text("a").unwrap().as_deref(), Some("1"));
        assert!(query.finish().is_ok());
    }
}
