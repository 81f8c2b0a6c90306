//! Whether a URL is one that its driver will take. Each text says what is wrong and repeats nothing: URLs hold
//! passwords.

use redis::IntoConnectionInfo;
use tokio_postgres::config::Host;
use url::Url;

/// RabbitMQ. Without a user the driver would log in as `guest`, and no default credentials exist here.
pub(super) fn check_amqp(url: &str) -> Result<(), &'static str> {
    const FORM: &str = "must have the form amqp://user:password@host:port/vhost (amqps:// for TLS)";
    let parsed: lapin::uri::AMQPUri = url.parse().map_err(|_| FORM)?;
    let authority = url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or(""));
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    if user.is_empty() || user.starts_with(':') || parsed.authority.host.is_empty() {
        return Err(FORM);
    }
    match parsed.scheme {
        lapin::uri::AMQPScheme::AMQP => Ok(()),
        lapin::uri::AMQPScheme::AMQPS if cfg!(feature = "amqps") => Ok(()),
        lapin::uri::AMQPScheme::AMQPS => {
            Err("amqps:// needs a binary that was built with the feature `amqps`; this one was not")
        }
    }
}

/// Redis.
pub(super) fn check_redis(url: &str) -> Result<(), &'static str> {
    const FORM: &str = "must have the form redis://user:password@host:port/database (rediss:// for TLS)";
    let known = ["redis://", "rediss://", "redis+unix://", "unix://"].iter().any(|s| url.starts_with(s));
    if known { url.into_connection_info().map(drop).map_err(|_| FORM) } else { Err(FORM) }
}

/// PostgreSQL: a URL, or key=value pairs as libpq takes them.
pub(super) fn check_postgres(url: &str) -> Result<(), &'static str> {
    const FORM: &str =
        "must have the form postgresql://user:password@host:port/database, or `host=… user=… dbname=…`";
    let parsed: tokio_postgres::Config = url.parse().map_err(|_| FORM)?;
    let has_host = match parsed.get_hosts().first() {
        Some(Host::Tcp(name)) => !name.is_empty(),
        #[cfg(unix)]
        Some(Host::Unix(_)) => true,
        None => !parsed.get_hostaddrs().is_empty(),
    };
    let has = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
    if has_host && has(parsed.get_user()) && has(parsed.get_dbname()) { Ok(()) } else { Err(FORM) }
}

/// An OpenID issuer, or one of its documents: what it says is believed, so nobody in between may have said it.
pub fn check_issuer_url(text: &str) -> Result<(), &'static str> {
    const FORM: &str =
        "must be an https:// URL without user, query and fragment (http:// for a loopback address only)";
    let url = Url::parse(text).map_err(|_| FORM)?;
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let is_safe = url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url);
    if is_plain && is_safe && url.has_host() { Ok(()) } else { Err(FORM) }
}

/// Whether a URL leads to this machine and nowhere else.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
