//! Reading a JSON body, so that every refusal is a problem of ours.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use futures_util::TryStreamExt;
use rolecall_shared::domain::{Code, Failure};
use serde_json::{Map, Value};

use super::problem::Problem;
use crate::App;

/// How long a body may take to arrive. Somebody who sends slower holds memory for nothing.
const PATIENCE: Duration = Duration::from_secs(15);

/// A body that is a JSON object, at most `api.max_body_bytes` long and at most 128 levels deep.
///
/// [`Code::UnsupportedMediaType`], [`Code::BodyTooLarge`], [`Code::MalformedJson`], or [`Code::InvalidRequest`] when
/// it is something else than an object.
pub(super) struct JsonObject(pub(super) Map<String, Value>);

/// The same, but a body may be missing: none stands for an empty object.
pub(super) struct OptionalJsonObject(pub(super) Map<String, Value>);

impl FromRequest<Arc<App>> for JsonObject {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let bytes = read_bytes(request, app.settings.api.max_body_bytes).await?;
        if !is_json {
            let detail = "Send the body as JSON, with Content-Type: application/json.";
            return Err(Failure::new(Code::UnsupportedMediaType, detail).into());
        }
        Ok(Self(object(&bytes)?))
    }
}

impl FromRequest<Arc<App>> for OptionalJsonObject {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let bytes = read_bytes(request, app.settings.api.max_body_bytes).await?;
        if bytes.is_empty() {
            return Ok(Self(Map::new()));
        }
        if !is_json {
            let detail = "Send the body as JSON, with Content-Type: application/json, or none.";
            return Err(Failure::new(Code::UnsupportedMediaType, detail).into());
        }
        Ok(Self(object(&bytes)?))
    }
}

/// `application/json` or a type that ends in `+json` (RFC 6839), with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(text)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// The bytes of a body: at most `limit` of them, and within the time that bodies have.
pub(crate) async fn read_bytes(request: Request, limit: usize) -> Result<Vec<u8>, Failure> {
    let stated = request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if stated.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let late = |_| Failure::new(Code::MalformedRequest, "The body did not arrive in time.");
    tokio::time::timeout(PATIENCE, collect(request.into_body(), limit)).await.map_err(late)?
}

async fn collect(body: Body, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut stream = body.into_data_stream();
    let broken = |error| Failure::new(Code::MalformedRequest, "The body broke off.").caused_by(error);
    while let Some(chunk) = stream.try_next().await.map_err(broken)? {
        if bytes.len().saturating_add(chunk.len()) > limit {
            return Err(too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn too_large(limit: usize) -> Failure {
    Failure::new(Code::BodyTooLarge, format!("The body is over the limit of {limit} bytes."))
        .with_context(serde_json::json!({ "limit_bytes": limit }))
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, Failure> {
    // The parser's limit of 128 levels holds; its message names a position and never a part of the text.
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Failure::new(Code::MalformedJson, format!("The body is not JSON: {error}.")))?;
    match value {
        Value::Object(map) => Ok(map),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Failure::new(Code::InvalidRequest, "The body must be a JSON object."))
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn json_has_several_names() {
        let headers = |text| HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(text))]);
        for name in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
            assert!(is_json(&headers(name)), "{name}");
        }
        for name in ["text/plain", "application/x-www-form-urlencoded", "text/json", "application/jsonp", ""]
        {
            assert!(!is_json(&headers(name)), "{name}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn only_an_object_of_bounded_depth_is_a_body() {
        assert!(object(br#"{"a":1}"#).is_ok());
        assert_eq!(object(b"[]").unwrap_err().code(), Code::InvalidRequest);
        for text in ["", "{", "nonsense", "{'a':1}", "{\"a\":1}{", "\u{feff}{}"] {
            assert_eq!(object(text.as_bytes()).unwrap_err().code(), Code::MalformedJson, "{text:?}");
        }
        assert_eq!(object(b"{\"a\":\"\xff\"}").unwrap_err().code(), Code::MalformedJson);
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(object(deep.as_bytes()).unwrap_err().code(), Code::MalformedJson);
    }

    #[tokio::test]
    async fn the_limit_is_exact_and_holds_without_a_stated_length() {
        let body = |length: usize| Body::from(vec![b' '; length]);
        assert_eq!(collect(body(16), 16).await.unwrap().len(), 16);
        assert_eq!(collect(body(17), 16).await.unwrap_err().code(), Code::BodyTooLarge);
        let request = Request::builder().header(CONTENT_LENGTH, "17").body(Body::empty()).unwrap();
        assert_eq!(read_bytes(request, 16).await.unwrap_err().code(), Code::BodyTooLarge);
    }
}
