//! HTTP Basic (RFC 7617), with UTF-8 as its charset.

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;

/// What a caller says.
pub(super) struct Claim {
    pub(super) user: String,
    pub(super) password: SecretString,
}

/// Longer headers are no credentials of ours; it bounds what is decoded and hashed for strangers.
const MAX_BYTES: usize = 2048;

/// Reads the header; none for everything that is not exactly `Basic` with base64 of `user:password` in UTF-8.
pub(super) fn read(header: &HeaderValue) -> Option<Claim> {
    let text = header.to_str().ok().filter(|text| text.len() <= MAX_BYTES)?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim_matches(' ')).ok()?).ok()?;
    // RFC 7617: the user has no colon, the password may; neither has control characters.
    let (user, password) = decoded.split_once(':')?;
    if user.is_empty() || decoded.chars().any(char::is_control) {
        return None;
    }
    Some(Claim { user: user.to_owned(), password: SecretString::from(password) })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read_bytes(bytes: &[u8]) -> Option<(String, String)> {
        let claim = read(&HeaderValue::from_bytes(bytes).ok()?)?;
        Some((claim.user, claim.password.expose_secret().to_owned()))
    }

    fn encoded(scheme: &str, credentials: &[u8]) -> Option<(String, String)> {
        read_bytes(format!("{scheme} {}", STANDARD.encode(credentials)).as_bytes())
    }

    #[test]
    fn what_rfc_7617_says_is_read() {
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(encoded("Basic", b"Aladdin:open sesame"), pair("Aladdin", "open sesame"));
        assert_eq!(read_bytes(b"Basic dGVzdDoxMjPCow=="), pair("test", "123£"));
        assert_eq!(encoded("bASIC", b"a:b:c"), pair("a", "b:c"));
        assert_eq!(encoded("Basic", b"a:"), pair("a", ""));
    }

    #[test]
    fn everything_else_is_nobody() {
        for bytes in [
            &b""[..],
            b"Basic",
            b"Basic ",
            b"Basic ====",
            b"Basic dGVzdDoxMjPCow",
            b"Basic \xff\xfe",
            b"Bearer dGVzdDoxMjPCow==",
            b"dGVzdDoxMjPCow==",
        ] {
            assert_eq!(read_bytes(bytes), None, "{bytes:?}");
        }
        for credentials in [&b"no colon"[..], b":password", b"\xff\xfe:x", b"a\0:b", b"a:b\n"] {
            assert_eq!(encoded("Basic", credentials), None, "{credentials:?}");
        }
        assert_eq!(encoded("Basic", format!("a:{}", "p".repeat(3000)).as_bytes()), None);
    }
}
