//! The one request.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, Response, redirect, retry};
use url::{Host, Url};
use zeroize::Zeroizing;

use super::attempt::{Attempt, Trouble, retry_after};
use super::guard::Guard;
use super::lookup::Lookup;
use super::policy::{Policy, Refusal};
use super::protected::{Protected, TargetHosts};
use crate::config;
use crate::domain::Clock;

/// So much of an answer's body is read, so that a receiver that is well-behaved can finish writing; the rest is not.
pub const MAX_BODY_BYTES: usize = 8 * 1024;
/// For how long it is read after its head, at most: the answer stands already.
const BODY_PATIENCE: Duration = Duration::from_secs(1);

/// A request as it is sent.
pub struct Post {
    /// Where to.
    pub url: Url,
    /// Its headers, `content-type` among them. Their values stay out of logs.
    pub headers: Vec<(&'static str, Zeroizing<String>)>,
    /// Its body, byte for byte.
    pub body: Vec<u8>,
    /// How long it may take, from the look-up of the name to the end of the answer's head.
    pub timeout: Duration,
}

/// Sends requests to addresses that callers name. Clones share one client.
#[derive(Clone)]
pub struct Outbound {
    client: Client,
    guard: Guard,
    clock: Arc<dyn Clock>,
}

impl Outbound {
    /// `own` are the servers of our own ([`own_hosts`](super::own_hosts)). The process needs its rustls provider
    /// before this.
    ///
    /// # Errors
    /// A text by key, when `outbound.ca_file` cannot be used.
    pub fn new(
        settings: &config::Outbound,
        own: Vec<String>,
        targets: Arc<dyn TargetHosts>,
        lookup: Arc<dyn Lookup>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let protected = Protected::new(own, targets, Arc::clone(&lookup), Arc::clone(&clock));
        let guard = Guard { policy: Policy::new(settings), lookup, protected };
        let certificates = match &settings.ca_file {
            Some(file) => certificates(file)?,
            None => Vec::new(),
        };
        let client = Client::builder()
            .dns_resolver(Arc::new(guard.clone()))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .referer(false)
            .https_only(!settings.allow_http)
            // A connection that is kept would not be checked again when it is used again.
            .pool_max_idle_per_host(0)
            .http1_only()
            .tls_certs_merge(certificates)
            .user_agent(concat!("rolecall/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("outbound: there is no HTTP client: {error}"))?;
        Ok(Self { client, guard, clock })
    }

    /// Reads a URL that a caller names and says at once why it may not be reached, as far as that can be known without
    /// looking up its name.
    pub fn parse_url(&self, text: &str) -> Result<Url, Refusal> {
        self.guard.policy.parse_url(text)
    }

    /// Whether it may be reached as things stand, its name looked up. For those who register an address; every
    /// [`post`](Self::post) checks again.
    pub async fn check(&self, url: &Url) -> Result<(), Trouble> {
        self.guard.check_url(url).await?;
        match url.host() {
            Some(Host::Domain(name)) => self.guard.resolve_checked(name).await.map(drop),
            Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => Ok(()),
        }
    }

    /// Makes the request, once. Always comes to an end soon after the request's timeout.
    pub async fn post(&self, post: Post) -> Attempt {
        self.ask(post).await.0
    }

    /// The same for who has to know what was answered: so much of the body as is read.
    pub async fn ask(&self, post: Post) -> (Attempt, Vec<u8>) {
        let began = Instant::now();
        let timeout = post.timeout;
        let answer = tokio::time::timeout(timeout, self.send(post)).await.unwrap_or(Err(Trouble::Timeout));
        let duration = began.elapsed();
        match answer {
            Ok(answer) => {
                let header = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                let retry_after = header.and_then(|value| retry_after(value.trim(), self.clock.now()));
                let status = answer.status().as_u16();
                let mut body = Vec::new();
                // What comes of it changes nothing.
                _ = tokio::time::timeout(BODY_PATIENCE.min(timeout), read_some(answer, &mut body)).await;
                (Attempt { result: Ok(status), duration, retry_after }, body)
            }
            Err(trouble) => (Attempt { result: Err(trouble), duration, retry_after: None }, Vec::new()),
        }
    }

    async fn send(&self, post: Post) -> Result<Response, Trouble> {
        self.guard.check_url(&post.url).await?;
        let request = self.client.post(post.url).headers(headers(&post.headers)?).body(post.body);
        request.send().await.map_err(|error| Trouble::of(&error))
    }
}

fn headers(pairs: &[(&'static str, Zeroizing<String>)]) -> Result<HeaderMap, Trouble> {
    let mut headers = HeaderMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        let name =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| Trouble::Request("a header's name"))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| Trouble::Request("a header's value"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

async fn read_some(mut answer: Response, body: &mut Vec<u8>) {
    while body.len() < MAX_BODY_BYTES {
        match answer.chunk().await {
            Ok(Some(chunk)) => body.extend(&chunk[..chunk.len().min(MAX_BODY_BYTES - body.len())]),
            Ok(None) | Err(_) => break,
        }
    }
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, String> {
    let wrong = |what: String| format!("outbound.ca_file: {} {what}", file.display());
    let pem = std::fs::read(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|_| wrong("is not PEM".to_owned()))?;
    if found.is_empty() { Err(wrong("holds no certificate".to_owned())) } else { Ok(found) }
}
