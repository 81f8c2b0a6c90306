//! One channel: its keys, those that its type needs, and those that belong to another type.

use lettre::message::Mailbox;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::super::chosen::must_be_there;
use super::super::keys;
use super::super::reader::Reader;
use super::super::shape::Entry as _;
use super::super::urls::is_loopback;
use super::settings::{Mail, MailTls, NotifyChannel, Place};
use crate::seal::WebhookKey;

/// The most recipients of one mail.
const MAX_RECIPIENTS: usize = 50;

/// The keys that each type may state, besides `type`.
const KEYS: &[(&str, &[&str])] = &[
    ("slack", &["url", "trusted"]),
    ("teams", &["url", "trusted"]),
    ("webex", &["token", "room", "api_url", "trusted"]),
    ("webhook", &["url", "token", "signing_secret", "trusted"]),
    (
        "email",
        &["smtp_host", "smtp_port", "smtp_tls", "smtp_user", "smtp_password", "smtp_ca_file", "from", "to"],
    ),
];

/// None means that a fault is in the reader's list.
pub(super) fn channel(reader: &mut Reader, name: &str) -> Option<NotifyChannel> {
    let read = Keys::read(reader, name);
    let key = keys::NOTIFY_TYPE.within(name);
    let Some(word) = reader.choice_if_set(&key) else {
        if !reader.has_section(&key.path) {
            reader.fault(&key.path, format_args!("is missing; it is {}", key.expects()));
        }
        return None;
    };
    only_its_own(reader, name, &word);
    let is_trusted = read.is_trusted;
    let place = read.place(reader, name, &word)?;
    Some(NotifyChannel { name: name.to_owned(), is_trusted, place })
}

/// A key of another type is a misunderstanding: somebody would wait for what it seems to say.
fn only_its_own(reader: &mut Reader, name: &str, word: &str) {
    let section = format!("notify.channels.{name}");
    let own = KEYS.iter().find(|(known, _)| *known == word).map_or(&[][..], |(_, keys)| keys);
    for stated in reader.names_under(&section) {
        let bare = stated.strip_suffix("_file").filter(|bare| *bare != "smtp_ca").unwrap_or(&stated);
        let is_known = KEYS.iter().any(|(_, keys)| keys.contains(&bare));
        if is_known && !own.contains(&bare) {
            reader
                .fault(&format!("{section}.{stated}"), format_args!("is no key of a channel of type {word}"));
        }
    }
}

/// What was stated, of whichever type.
struct Keys {
    is_trusted: bool,
    url: Option<SecretString>,
    token: Option<SecretString>,
    signing_secret: Option<SecretString>,
    room: Option<String>,
    api_url: String,
    mail: MailKeys,
}

struct MailKeys {
    host: Option<String>,
    port: Option<i64>,
    tls: MailTls,
    user: Option<String>,
    password: Option<SecretString>,
    ca_file: Option<String>,
    from: Option<String>,
    to: Vec<String>,
}

impl Keys {
    fn read(reader: &mut Reader, name: &str) -> Self {
        Self {
            is_trusted: reader.flag(&keys::NOTIFY_TRUSTED.within(name)),
            url: reader.secret(&keys::NOTIFY_URL.within(name)),
            token: reader.secret(&keys::NOTIFY_TOKEN.within(name)),
            signing_secret: reader.secret(&keys::NOTIFY_SIGNING_SECRET.within(name)),
            room: reader.plain(&keys::NOTIFY_ROOM.within(name)),
            api_url: reader.text(&keys::NOTIFY_API_URL.within(name)),
            mail: MailKeys::read(reader, name),
        }
    }

    /// What has a fault may be here nevertheless: with one in the list nobody gets to see the result.
    fn place(self, reader: &mut Reader, name: &str, word: &str) -> Option<Place> {
        match word {
            "slack" => Some(Place::Slack { url: self.url(reader, name)? }),
            "teams" => Some(Place::Teams { url: self.url(reader, name)? }),
            "webhook" => {
                if let Some(Err(fault)) =
                    self.signing_secret.as_ref().map(|key| WebhookKey::parse(key.expose_secret()))
                {
                    reader.fault(&keys::NOTIFY_SIGNING_SECRET.within(name).path, fault);
                }
                let url = self.url(reader, name)?;
                Some(Place::Webhook { url, token: self.token, signing_secret: self.signing_secret })
            }
            "webex" => self.webex(reader, name),
            _ => self.mail.mail(reader, name).map(|mail| Place::Email(Box::new(mail))),
        }
    }

    fn webex(self, reader: &mut Reader, name: &str) -> Option<Place> {
        let token_key = keys::NOTIFY_TOKEN.within(name);
        if !reader.states_secret(&token_key) {
            reader.missing_secret(&token_key, "");
        }
        must_be_there(reader, &keys::NOTIFY_ROOM.within(name));
        if let Err(fault) = check_url(&self.api_url, self.is_trusted) {
            reader.fault(&keys::NOTIFY_API_URL.within(name).path, fault);
        }
        Some(Place::Webex { api_url: self.api_url, token: self.token?, room: self.room? })
    }

    fn url(&self, reader: &mut Reader, name: &str) -> Option<SecretString> {
        let key = keys::NOTIFY_URL.within(name);
        if !reader.states_secret(&key) {
            reader.missing_secret(&key, "");
        }
        if let Some(Err(fault)) = self.url.as_ref().map(|url| check_url(url.expose_secret(), self.is_trusted))
        {
            reader.fault(&key.path, fault);
        }
        self.url.clone()
    }
}

impl MailKeys {
    fn read(reader: &mut Reader, name: &str) -> Self {
        let tls = reader.choice_if_set(&keys::NOTIFY_SMTP_TLS.within(name));
        Self {
            host: reader.plain(&keys::NOTIFY_SMTP_HOST.within(name)),
            port: reader.number_if_set(&keys::NOTIFY_SMTP_PORT.within(name)),
            tls: match tls.as_deref() {
                Some("implicit") => MailTls::Implicit,
                Some("none") => MailTls::None,
                _ => MailTls::StartTls,
            },
            user: reader.plain(&keys::NOTIFY_SMTP_USER.within(name)),
            password: reader.secret(&keys::NOTIFY_SMTP_PASSWORD.within(name)),
            ca_file: reader.plain(&keys::NOTIFY_SMTP_CA_FILE.within(name)),
            from: reader.plain(&keys::NOTIFY_FROM.within(name)),
            to: reader.names(&keys::NOTIFY_TO.within(name)),
        }
    }

    fn mail(self, reader: &mut Reader, name: &str) -> Option<Mail> {
        must_be_there(reader, &keys::NOTIFY_SMTP_HOST.within(name));
        self.check_login(reader, name);
        self.check_server(reader, name);
        let from_key = keys::NOTIFY_FROM.within(name);
        must_be_there(reader, &from_key);
        if let Some(Err(fault)) = self.from.as_deref().map(check_mailbox) {
            reader.fault(&from_key.path, fault);
        }
        let to_key = keys::NOTIFY_TO.within(name);
        if !(1..=MAX_RECIPIENTS).contains(&self.to.len()) {
            reader.fault(&to_key.path, format_args!("must name 1 to {MAX_RECIPIENTS} recipients"));
        }
        let to = reader.parsed(&to_key.path, self.to, |text| check_mailbox(text).map(|()| text.to_owned()));
        let usual = match self.tls {
            MailTls::StartTls => keys::NOTIFY_SMTP_PORT.shape.default,
            MailTls::Implicit => 465,
            MailTls::None => 25,
        };
        let port = u16::try_from(self.port.unwrap_or(usual)).ok();
        let login = self.user.zip(self.password);
        let ca_file = self.ca_file.map(Into::into);
        Some(Mail { host: self.host?, port: port?, tls: self.tls, login, ca_file, from: self.from?, to })
    }

    /// A user without a password, or the other way round, is half a log-in; and none goes over a plain connection.
    fn check_login(&self, reader: &mut Reader, name: &str) {
        let (user_key, password_key) =
            (keys::NOTIFY_SMTP_USER.within(name), keys::NOTIFY_SMTP_PASSWORD.within(name));
        let (has_user, has_password) =
            (reader.has_section(&user_key.path), reader.states_secret(&password_key));
        if has_user && !has_password {
            reader.missing_secret(&password_key, &format!(" while {} is set", user_key.path));
        }
        if has_password && !has_user {
            reader.fault(&user_key.path, format_args!("is missing while {} is set", password_key.path));
        }
        if self.tls == MailTls::None && (has_user || has_password) {
            reader.fault(&user_key.path, "cannot be sent without TLS; change smtp_tls");
        }
    }

    fn check_server(&self, reader: &mut Reader, name: &str) {
        let Some(host) = &self.host else { return };
        let host_key = keys::NOTIFY_SMTP_HOST.within(name);
        match Url::parse(&format!("smtp://{host}/")) {
            Ok(url) if url.host_str() == Some(host) && url.port().is_none() && url.username().is_empty() => {
                // `smtp` is no special scheme, so its hosts are not read as addresses.
                let local = Url::parse(&format!("http://{host}/")).is_ok_and(|url| is_loopback(&url));
                if self.tls == MailTls::None && !local {
                    let text = "`none` is for a mail server at a loopback address only";
                    reader.fault(&keys::NOTIFY_SMTP_TLS.within(name).path, text);
                }
            }
            Ok(_) | Err(_) => {
                reader.fault(&host_key.path, "is no host name or address; the port is smtp_port");
            }
        }
        if let Some(file) = &self.ca_file {
            let key = keys::NOTIFY_SMTP_CA_FILE.within(name);
            match std::fs::read(file) {
                Ok(pem) => {
                    if let Err(fault) = check_authorities(&pem) {
                        reader.fault(&key.path, format_args!("{file} {fault}"));
                    }
                }
                Err(error) => reader.fault(&key.path, format_args!("{file} cannot be read: {error}")),
            }
        }
    }
}

fn check_authorities(pem: &[u8]) -> Result<(), &'static str> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(()),
        Ok(_) | Err(_) => Err("holds no certificate in PEM"),
    }
}

fn check_mailbox(text: &str) -> Result<(), &'static str> {
    const FORM: &str = "must have the form name@example.com, or Name <name@example.com>";
    // Another address would need a server that knows SMTPUTF8.
    match text.parse::<Mailbox>() {
        Ok(mailbox) if <_ as AsRef<str>>::as_ref(&mailbox.email).is_ascii() => Ok(()),
        Ok(_) | Err(_) => Err(FORM),
    }
}

/// A receiver's address. Repeats nothing of it: it may hold a token.
fn check_url(text: &str, is_trusted: bool) -> Result<(), &'static str> {
    const FORM: &str = "must be an https:// URL without user and fragment (http:// with trusted = true only)";
    let url = Url::parse(text).map_err(|_| FORM)?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let is_safe = url.scheme() == "https" || url.scheme() == "http" && is_trusted;
    if is_plain && is_safe && url.has_host() { Ok(()) } else { Err(FORM) }
}
