//! `Authorization: Bearer` (RFC 6750): API tokens and sessions. Clients of barman-api call the scheme `Barman`.

use axum::http::HeaderValue;
use rolecall_shared::seal::ApiTokenText;
use zeroize::Zeroizing;

/// Longer than any session of ours; it bounds what is hashed for strangers.
const MAX_BYTES: usize = 16_384;

/// What a caller shows.
pub(super) enum Bearer {
    /// Has the form of an API token.
    ApiToken(ApiTokenText),
    /// Something else, perhaps a session.
    Session(Zeroizing<String>),
}

/// The schemes by which a token comes.
const SCHEMES: [&str; 2] = ["bearer", "barman"];

/// Reads the header; none for everything that is not exactly such a scheme with one token of RFC 6750's alphabet.
pub(super) fn read(header: &HeaderValue) -> Option<Bearer> {
    let text = header.to_str().ok().filter(|text| text.len() <= MAX_BYTES)?;
    let (scheme, token) = text.split_once(' ')?;
    if !SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return None;
    }
    let token = token.trim_matches(' ');
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
    if token.is_empty() || !token.bytes().all(plain) {
        return None;
    }
    if token.starts_with(ApiTokenText::PREFIX) {
        return ApiTokenText::parse(token).map(Bearer::ApiToken);
    }
    Some(Bearer::Session(Zeroizing::new(token.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<&'static str> {
        match read(&HeaderValue::from_str(text).ok()?)? {
            Bearer::ApiToken(_) => Some("token"),
            Bearer::Session(_) => Some("session"),
        }
    }

    #[test]
    fn tokens_and_sessions_are_told_apart() {
        let token = ApiTokenText::generate();
        assert_eq!(shown(&format!("Bearer {}", token.expose())), Some("token"));
        assert_eq!(shown(&format!("bEARER  {} ", token.expose())), Some("token"));
        assert_eq!(shown("Bearer eyJhbGciOi.J9.x"), Some("session"));
        assert_eq!(shown("Barman eyJhbGciOi.J9.x"), Some("session"));
    }

    #[test]
    fn everything_else_is_nobody() {
        let short = format!("Bearer rck_{}", "a".repeat(42));
        let long = format!("Bearer {}", "a".repeat(MAX_BYTES));
        for text in
            ["", "Bearer", "Bearer ", "Bearer a b", "Bearer a,b", "Token abc", "Bearer rck_", &short, &long]
        {
            assert_eq!(shown(text), None, "{text:.40}");
        }
    }
}
