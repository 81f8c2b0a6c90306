//! The form of a token: three parts, a header and claims that are JSON objects (RFC 7515, RFC 7519). What is read here
//! is believed by nobody before its signature is verified.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::refusal::{Reason, Refusal};

/// Longer texts are no ID tokens; it bounds what is decoded for strangers.
const MAX_BYTES: usize = 16 * 1024;

/// A token in its parts. No `Debug`: it holds the signature.
pub(super) struct Token<'a> {
    /// How it says it is signed.
    pub(super) algorithm: String,
    /// Which key it says it is signed with.
    pub(super) key_id: Option<String>,
    /// What it says.
    pub(super) claims: Map<String, Value>,
    /// What is signed.
    pub(super) message: &'a [u8],
    /// The signature, in base64url.
    pub(super) signature: &'a str,
}

impl<'a> Token<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Refusal> {
        if text.len() > MAX_BYTES {
            return Err(malformed(format!("it is longer than {MAX_BYTES} bytes")));
        }
        let (message, signature) = text.rsplit_once('.').ok_or_else(not_three)?;
        let (header, payload) = message.split_once('.').ok_or_else(not_three)?;
        if payload.contains('.') {
            return Err(not_three());
        }
        let header = object(header, "header")?;
        check_header(&header)?;
        let claims = object(payload, "payload")?;
        let Some(Value::String(algorithm)) = header.get("alg") else {
            return Err(malformed("its header has no alg"));
        };
        let key_id = match header.get("kid") {
            None => None,
            Some(Value::String(key_id)) => Some(key_id.clone()),
            Some(_) => return Err(malformed("its kid is no text")),
        };
        Ok(Self { algorithm: algorithm.clone(), key_id, claims, message: message.as_bytes(), signature })
    }
}

/// `jku`, `jwk`, `x5u` and `x5c` are not looked at at all. `crit` names what must be understood (RFC 7515, section
/// 4.1.11), and nothing of the kind is. A `typ` other than JWT is that of another kind of token, such as an access
/// token (RFC 9068), which its issuer did not make to say who somebody is.
fn check_header(header: &Map<String, Value>) -> Result<(), Refusal> {
    if header.contains_key("crit") {
        return Err(malformed(
            "its header has crit, and none of the extensions that it could name is known here",
        ));
    }
    match header.get("typ") {
        None => Ok(()),
        Some(Value::String(kind)) if kind.eq_ignore_ascii_case("JWT") => Ok(()),
        Some(_) => Err(malformed("its typ is not JWT, so it is no ID token")),
    }
}

fn object(part: &str, name: &str) -> Result<Map<String, Value>, Refusal> {
    let wrong = || malformed(format!("its {name} is not base64url of a JSON object"));
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| wrong())?;
    // No cause: the parser's text may quote what it met.
    serde_json::from_slice(&bytes).map_err(|_| wrong())
}

fn not_three() -> Refusal {
    malformed("it does not have three parts with dots between them")
}

fn malformed(detail: impl Into<String>) -> Refusal {
    Refusal::new(Reason::Malformed, detail)
}
