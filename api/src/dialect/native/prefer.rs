//! `Prefer: wait=N` (RFC 7240).

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Says which preference was followed.
pub(super) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// How long the caller would wait, at most `longest`. A preference is a wish: one that cannot be read is none, and one
/// beyond the limit is cut to it, which `Preference-Applied` tells.
pub(super) fn wait(headers: &HeaderMap, longest: Duration) -> Option<Duration> {
    headers
        .get_all(PREFER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .find_map(read)
        .map(|asked| asked.min(longest))
}

fn read(preference: &str) -> Option<Duration> {
    // Parameters of a preference stand after a semicolon; `wait` has none.
    let (name, value) = preference.split(';').next()?.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("wait") {
        return None;
    }
    let value = value.trim();
    let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
    if !value.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    value.parse().ok().map(Duration::from_secs)
}

/// The answer to a wish that was followed.
pub(super) fn applied(wait: Duration) -> HeaderValue {
    HeaderValue::try_from(format!("wait={}", wait.as_secs())).unwrap_or(HeaderValue::from_static("wait"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&'static str]) -> Option<u64> {
        let headers = values.iter().map(|value| (PREFER, HeaderValue::from_static(value))).collect();
        wait(&headers, Duration::from_secs(50)).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_wish_is_read_where_it_stands() {
        assert_eq!(of(&["wait=10"]), Some(10));
        assert_eq!(of(&["respond-async, WAIT = \"10\"; x=1"]), Some(10));
        assert_eq!(of(&["respond-async", "wait=0"]), Some(0));
        assert_eq!(of(&["wait=3600"]), Some(50));
    }

    #[test]
    fn what_cannot_be_read_is_no_wish() {
        for value in ["", "wait", "wait=", "wait=-1", "wait=+1", "wait=1.5", "wait=soon", "waiting=5"] {
            assert_eq!(of(&[value]), None, "{value:?}");
        }
        assert_eq!(of(&["wait=99999999999999999999999"]), None);
        assert_eq!(of(&[]), None);
    }
}
