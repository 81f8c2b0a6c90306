//! Mail: one message to all recipients of a channel, over a connection of its own.
//!
//! Never logs in over a connection that is not protected, and never goes on without TLS where TLS is asked for. A
//! recipient whom the server refuses does not keep the others from their mail.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use lettre::Message;
use lettre::address::Envelope;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use secrecy::ExposeSecret as _;

use super::told::first_line;
use crate::config::{Mail, MailTls};
use crate::outbound::Trouble;
use crate::seal::MessageId;

/// The longest text, in characters.
pub(super) const MAX_CHARS: usize = 8_000;
/// The longest subject, in characters: more than anybody sees in a list.
pub(super) const MAX_SUBJECT_CHARS: usize = 200;

/// What is written.
pub(super) struct Letter<'a> {
    pub subject: &'a str,
    pub text: String,
    /// The same for every attempt, so that a mail that comes twice is known as one.
    pub id: &'a MessageId,
    pub at: Timestamp,
}

/// What became of a letter that the server has taken.
pub(super) struct Taken {
    /// The server's last answer.
    pub said: String,
    /// What it said of recipients whom it refused.
    pub refused: Vec<String>,
}

/// Sends it, once, within the time.
pub(super) async fn send(mail: &Mail, letter: Letter<'_>, timeout: Duration) -> Result<Taken, Trouble> {
    tokio::time::timeout(timeout, post(mail, letter, timeout)).await.unwrap_or(Err(Trouble::Timeout))
}

async fn post(mail: &Mail, letter: Letter<'_>, timeout: Duration) -> Result<Taken, Trouble> {
    let message = message(mail, letter)?;
    let mut connection = connect(mail, message.envelope(), timeout).await?;
    let taken = hand_over(&mut connection, &message).await;
    // What is said now changes nothing.
    _ = connection.quit().await;
    taken
}

async fn hand_over(connection: &mut AsyncSmtpConnection, message: &Message) -> Result<Taken, Trouble> {
    let envelope = message.envelope();
    connection
        .command(MailFrom::new(envelope.from().cloned(), vec![]))
        .await
        .map_err(|error| said(&error))?;
    let mut refused = Vec::new();
    for to in envelope.to() {
        match connection.command(Rcpt::new(to.clone(), vec![])).await {
            Ok(_) => {}
            Err(error) if error.status().is_some() => refused.push(text_of(&error)),
            Err(error) => return Err(said(&error)),
        }
    }
    if refused.len() == envelope.to().len() {
        return Err(Trouble::Mail(refused.swap_remove(0)));
    }
    connection.command(Data).await.map_err(|error| said(&error))?;
    let answer = connection.message(&message.formatted()).await.map_err(|error| said(&error))?;
    let words: Vec<_> = answer.message().collect();
    Ok(Taken { said: first_line(&format!("{} {}", answer.code(), words.join(" "))), refused })
}

async fn connect(
    mail: &Mail,
    envelope: &Envelope,
    timeout: Duration,
) -> Result<AsyncSmtpConnection, Trouble> {
    let host = mail.host.trim_matches(['[', ']']).to_owned();
    let hello = ClientId::Domain(envelope.from().map_or("localhost", |from| from.domain()).to_owned());
    let server = (host.as_str(), mail.port);
    let (at_once, later) = match mail.tls {
        MailTls::Implicit => (Some(parameters(mail, host.clone())?), None),
        MailTls::StartTls => (None, Some(parameters(mail, host.clone())?)),
        MailTls::None => (None, None),
    };
    let mut connection = AsyncSmtpConnection::connect_tokio1(server, Some(timeout), &hello, at_once, None)
        .await
        .map_err(|error| said(&error))?;
    if let Some(parameters) = later {
        if !connection.can_starttls() {
            return Err(Trouble::Tls("the mail server does not offer STARTTLS".to_owned()));
        }
        connection.starttls(parameters, &hello).await.map_err(|error| said(&error))?;
    }
    if let Some((user, password)) = &mail.login {
        let credentials = Credentials::new(user.clone(), password.expose_secret().to_owned());
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        connection.auth(&mechanisms, &credentials).await.map_err(|error| said(&error))?;
    }
    Ok(connection)
}

fn parameters(mail: &Mail, host: String) -> Result<TlsParameters, Trouble> {
    let unusable = |text: String| Trouble::Tls(text);
    let mut builder = TlsParameters::builder(host);
    if let Some(file) = &mail.ca_file {
        builder = builder.certificate_store(CertificateStore::None);
        let found: Vec<_> = CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect)
            .map_err(|_| unusable("smtp_ca_file cannot be read".to_owned()))?;
        for certificate in found {
            let certificate = Certificate::from_der(certificate.to_vec());
            builder = builder.add_root_certificate(certificate.map_err(|error| unusable(error.to_string()))?);
        }
    }
    builder.build_rustls().map_err(|error| unusable(error.to_string()))
}

fn message(mail: &Mail, letter: Letter<'_>) -> Result<Message, Trouble> {
    const BAD: Trouble = Trouble::Request("an address of the mail");
    let from: Mailbox = mail.from.parse().map_err(|_| BAD)?;
    let id = format!("<{}@{}>", letter.id, from.email.domain());
    // Those who answer for people who are away do not answer this (RFC 3834, section 5).
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let mut builder = Message::builder()
        .from(from)
        .date(SystemTime::from(letter.at))
        .message_id(Some(id))
        .subject(letter.subject)
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
        .header(ContentType::TEXT_PLAIN);
    for to in &mail.to {
        builder = builder.to(to.parse().map_err(|_| BAD)?);
    }
    builder.body(letter.text).map_err(|_| Trouble::Request("the text of the mail"))
}

/// What a server answered is told in its words; everything else in those of the part that failed.
fn said(error: &Error) -> Trouble {
    let text = text_of(error);
    if error.status().is_some() || error.is_client() {
        return Trouble::Mail(text);
    }
    if error.is_timeout() {
        return Trouble::Timeout;
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(found) = cause {
        let wrapped = found.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let is_tls = |e: &(dyn std::error::Error + 'static)| {
            e.downcast_ref::<rustls::Error>().map(ToString::to_string)
        };
        if let Some(text) = is_tls(found).or_else(|| wrapped.and_then(|e| is_tls(e))) {
            return Trouble::Tls(text);
        }
        cause = found.source();
    }
    if error.is_response() { Trouble::Answer(text) } else { Trouble::Connect(text) }
}

/// Without the kind of error in front, which its variant says already.
fn text_of(error: &Error) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    let text = source.unwrap_or_else(|| error.to_string());
    first_line(&match error.status() {
        Some(code) => format!("{code} {text}"),
        None => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> Mail {
        Mail {
            host: "mail.example.com".to_owned(),
            port: 587,
            tls: MailTls::StartTls,
            login: None,
            ca_file: None,
            from: "Rolecall <rolecall@example.com>".to_owned(),
            to: vec!["dba@example.com".to_owned(), "Ops <ops@example.org>".to_owned()],
        }
    }

    fn formatted(subject: &str, text: &str) -> String {
        let id = MessageId::parse("msg_7").unwrap();
        let letter = Letter { subject, text: text.to_owned(), id: &id, at: Timestamp::UNIX_EPOCH };
        String::from_utf8(message(&mail(), letter).unwrap().formatted()).unwrap()
    }

    #[test]
    fn a_mail_has_its_headers_and_nobody_answers_it_automatically() {
        let text = formatted("[Rolecall] ticket.failed", "failed: role_not_found");
        for line in [
            "From: Rolecall <rolecall@example.com>\r\n",
            "To: dba@example.com, Ops <ops@example.org>\r\n",
            "Subject: [Rolecall] ticket.failed\r\n",
            "Message-ID: <msg_7@example.com>\r\n",
            "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "\r\n\r\nfailed: role_not_found",
        ] {
            assert!(text.contains(line), "{line:?} is not in {text}");
        }
    }

    /// Values lose their line ends before they get here; a second lock costs nothing.
    #[test]
    fn no_header_is_begun_by_a_subject() {
        let text = formatted("a\r\nBcc: evil@example.com", "x");
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.lines().any(|line| line.to_lowercase().starts_with("bcc:")), "{head}");
        assert!(formatted("größer", "ü").is_ascii());
    }
}
