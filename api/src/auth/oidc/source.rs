//! Where an issuer's keys come from: a file, a URL, or the URL that the issuer's own document names.

use std::time::Duration;

use reqwest::{Client, Url, redirect};
use rolecall_shared::config::{KeySource, OidcIssuer, check_issuer_url, is_loopback};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::AsyncReadExt;

use super::keys::KeySet;

/// For connecting and for the whole answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest document.
const MAX_BYTES: u64 = 256 * 1024;

/// The part of the discovery document that matters (OpenID Connect Discovery 1.0, section 3).
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// The keys as they are now. The error is a text for people.
pub(super) async fn read(issuer: &OidcIssuer) -> Result<KeySet, String> {
    let document = match &issuer.keys {
        KeySource::File(path) => {
            let wrong = |error| format!("{} cannot be read: {error}", path.display());
            let file = tokio::fs::File::open(path).await.map_err(wrong)?;
            let mut bytes = Vec::new();
            file.take(MAX_BYTES + 1).read_to_end(&mut bytes).await.map_err(wrong)?;
            json(&bytes, &path.display().to_string())?
        }
        KeySource::Url(url) => get(url).await?,
        KeySource::Discovery => get(&discovered(&issuer.issuer).await?).await?,
    };
    KeySet::parse(&document)
}

async fn discovered(issuer: &str) -> Result<String, String> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let found: Discovery = get(&url).await?;
    // Section 4.3: else one issuer could speak for another.
    if found.issuer != issuer {
        return Err(format!("{url} is about another issuer, `{}`", found.issuer.escape_debug()));
    }
    check_issuer_url(&found.jwks_uri).map_err(|fault| format!("the jwks_uri in {url} {fault}"))?;
    Ok(found.jwks_uri)
}

async fn get<T: DeserializeOwned>(url: &str) -> Result<T, String> {
    let wrong = |error: reqwest::Error| format!("{url} cannot be had: {}", chain(&error.without_url()));
    let mut response = client(url)?.get(url).send().await.map_err(wrong)?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(format!("{url} answers {}", response.status()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(wrong)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > MAX_BYTES {
            break;
        }
    }
    json(&bytes, url)
}

/// No redirect is followed: what the operator named is what is asked. Proxies of the environment are used, except on
/// the way to this machine.
fn client(url: &str) -> Result<Client, String> {
    let builder =
        Client::builder().redirect(redirect::Policy::none()).connect_timeout(PATIENCE).timeout(PATIENCE);
    let is_local = Url::parse(url).is_ok_and(|url| is_loopback(&url));
    let builder = if is_local { builder.no_proxy() } else { builder };
    builder.build().map_err(|error| format!("there is no HTTP client: {error}"))
}

fn json<T: DeserializeOwned>(bytes: &[u8], name: &str) -> Result<T, String> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("{name} is larger than {MAX_BYTES} bytes"));
    }
    serde_json::from_slice(bytes).map_err(|error| format!("{name} is not what it should be: {error}"))
}

/// An error and what lies below it: "error sending request" alone helps nobody.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
