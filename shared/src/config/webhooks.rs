//! Section `webhooks`, and the URL under which others reach this installation.

use std::time::Duration;

use jiff::SignedDuration;
use url::Url;

use super::keys;
use super::reader::Reader;
use super::settings::{CallbackHost, Webhooks};

/// The most attempts that can be asked for, the first one not counted.
const MAX_DELAYS: usize = 30;
/// The longest delay between two attempts.
const MAX_DELAY: SignedDuration = SignedDuration::from_hours(24 * 7);

/// Faults are in the reader's list.
pub(super) fn webhooks(reader: &mut Reader) -> Webhooks {
    let hosts = reader.names(&keys::WEBHOOKS_CALLBACK_HOSTS);
    Webhooks {
        schedule: schedule(reader),
        jitter_percent: reader.number(&keys::WEBHOOKS_JITTER),
        timeout: reader.period(&keys::WEBHOOKS_TIMEOUT),
        in_flight_per_endpoint: reader.number(&keys::WEBHOOKS_PER_ENDPOINT),
        in_flight: reader.number(&keys::WEBHOOKS_IN_FLIGHT),
        poll: reader.period(&keys::WEBHOOKS_POLL),
        max_retry_after: reader.period(&keys::WEBHOOKS_MAX_RETRY_AFTER),
        disable_after: reader.period(&keys::WEBHOOKS_DISABLE),
        keep: reader.period(&keys::WEBHOOKS_KEEP),
        rotation: reader.period(&keys::WEBHOOKS_ROTATION),
        endpoints_per_account: reader.number(&keys::WEBHOOKS_PER_ACCOUNT),
        callback_hosts: reader.parsed(&keys::WEBHOOKS_CALLBACK_HOSTS.path, hosts, callback_host),
    }
}

fn schedule(reader: &mut Reader) -> Vec<Duration> {
    let texts = reader.names(&keys::WEBHOOKS_SCHEDULE);
    if texts.len() > MAX_DELAYS {
        reader.fault(&keys::WEBHOOKS_SCHEDULE.path, format_args!("must have at most {MAX_DELAYS} delays"));
    }
    reader.parsed(&keys::WEBHOOKS_SCHEDULE.path, texts, delay)
}

fn delay(text: &str) -> Result<Duration, &'static str> {
    let delay: SignedDuration = text.parse().map_err(|_| "is not a duration such as 5s, 2m or 6h")?;
    if !(SignedDuration::from_millis(1)..=MAX_DELAY).contains(&delay) {
        return Err("must be longer than nothing and at most a week");
    }
    Ok(delay.unsigned_abs())
}

fn callback_host(text: &str) -> Result<CallbackHost, &'static str> {
    const WANTED: &str =
        "is not the name of a host, such as ci.example.com, *.example.com or ci.example.com:8443";
    let (name, is_wildcard) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
    let (name, port) = match name.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
            (name, Some(port.parse::<u16>().ok().filter(|port| *port > 0).ok_or(WANTED)?))
        }
        Some(_) | None => (name, None),
    };
    // The form in which a URL has it afterwards.
    let url = Url::parse(&format!("https://{name}/")).map_err(|_| WANTED)?;
    let host = url.host_str().filter(|_| url.path() == "/" && url.username().is_empty()).ok_or(WANTED)?;
    if url.port().is_some() || name.contains(['/', '?', '#', '@', '*']) {
        return Err(WANTED);
    }
    Ok(CallbackHost { name: host.to_owned(), is_wildcard, port })
}

impl CallbackHost {
    /// Whether this URL is one that a job may name.
    pub fn allows(&self, url: &Url) -> bool {
        let is_named = url.host_str().is_some_and(|host| {
            if self.is_wildcard {
                host.strip_suffix(&self.name).is_some_and(|before| before.len() > 1 && before.ends_with('.'))
            } else {
                host == self.name
            }
        });
        // A URL that names the port of its scheme has none.
        is_named && (url.port() == self.port || url.port_or_known_default() == self.port)
    }
}

/// Where this installation is reached, without a slash at its end; empty if nobody said.
pub(super) fn public_url(reader: &mut Reader) -> String {
    let text = reader.text(&keys::API_PUBLIC_URL);
    let text = text.trim_end_matches('/');
    let is_plain = |url: &Url| {
        ["https", "http"].contains(&url.scheme())
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    if !text.is_empty() && !Url::parse(text).is_ok_and(|url| is_plain(&url)) {
        let wanted =
            "must be a URL such as https://rolecall.example.com, without a user, a query and a fragment";
        reader.fault(&keys::API_PUBLIC_URL.path, wanted);
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(host: &str, url: &str) -> bool {
        callback_host(host).unwrap().allows(&Url::parse(url).unwrap())
    }

    #[test]
    fn a_host_on_the_list_is_that_host_and_port_alone() {
        assert!(allows("ci.example.com", "https://ci.example.com/hook?x=1"));
        assert!(allows("CI.example.com", "https://ci.EXAMPLE.com:443/"));
        assert!(allows("ci.example.com:8443", "https://ci.example.com:8443/"));
        assert!(allows("*.example.com", "https://a.b.example.com/"));
        assert!(allows("127.0.0.1:9", "http://127.0.0.1:9/x") && allows("[::1]:9", "http://[::1]:9/x"));
        for (host, url) in [
            ("ci.example.com", "https://ci.example.com:8443/"),
            ("ci.example.com:8443", "https://ci.example.com/"),
            ("ci.example.com", "https://ci.example.com.evil.org/"),
            ("ci.example.com", "https://ci.example.com@evil.org/"),
            ("*.example.com", "https://example.com/"),
            ("*.example.com", "https://evilexample.com/"),
            ("ci.example.com", "https://xci.example.com/"),
        ] {
            assert!(!allows(host, url), "{host} {url}");
        }
        for text in ["", "*", "*.", "a b", "https://x", "x/y", "x:0", "x:99999", "u@x", "a.*.b"] {
            assert!(callback_host(text).is_err(), "{text}");
        }
    }

    #[test]
    fn delays_have_both_ends() {
        assert_eq!(delay("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(delay("168h"), Ok(Duration::from_hours(168)));
        for text in ["0s", "-1s", "5", "", "169h"] {
            assert!(delay(text).is_err(), "{text}");
        }
    }
}
