//! How each sort of channel takes a message.

use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::escape::Tongue;
use super::mail::{self, Letter};
use super::notifier::Message;
use super::told::{Told, cut, first_line};
use super::{slack, teams, webex};
use crate::config::{Mail, NotifyChannel, Place};
use crate::domain::Clock;
use crate::outbound::{Attempt, Outbound, Post, Trouble};
use crate::seal::{MessageId, SignedHeaders, WebhookKey, sign_webhook};

/// How values are written for a channel.
pub(super) fn tongue(place: &Place) -> Tongue {
    match place {
        Place::Slack { .. } => Tongue::Slack,
        Place::Webex { .. } | Place::Teams { .. } => Tongue::Markdown,
        Place::Email(_) | Place::Webhook { .. } => Tongue::Plain,
    }
}

type Headers = Vec<(&'static str, Zeroizing<String>)>;

/// What is needed to send anything.
pub(super) struct Senders {
    pub guarded: Outbound,
    pub trusted: Outbound,
    pub clock: Arc<dyn Clock>,
    pub timeout: Duration,
}

impl Senders {
    /// Sends a message, once. `body` is the event itself, for receivers of JSON.
    pub async fn send(&self, channel: &NotifyChannel, message: &Message, id: &MessageId, body: &str) -> Told {
        let is_trusted = channel.is_trusted;
        match &channel.place {
            Place::Slack { url } => {
                let json = slack::body(&cut(&message.text, slack::MAX_CHARS));
                self.post(is_trusted, url.expose_secret(), Vec::new(), &json.to_string()).await
            }
            Place::Teams { url } => {
                let json = teams::body(&cut(&message.text, teams::MAX_CHARS));
                self.teams(is_trusted, url.expose_secret(), &json).await
            }
            Place::Webex { api_url, token, room } => {
                let json = webex::body(room, &cut(&message.text, webex::MAX_CHARS));
                let headers = vec![bearer(token.expose_secret())];
                self.post(is_trusted, api_url, headers, &json.to_string()).await
            }
            Place::Webhook { url, token, signing_secret } => {
                let key = signing_secret.as_ref().map(|secret| WebhookKey::parse(secret.expose_secret()));
                let Ok(key) = key.transpose() else {
                    return unsent(Trouble::Request("the signing secret"));
                };
                let mut headers = self.proof(key.as_ref(), id, body);
                headers.extend(token.as_ref().map(|token| bearer(token.expose_secret())));
                self.post(is_trusted, url.expose_secret(), headers, body).await
            }
            Place::Email(mail) => self.mail(&channel.name, mail, message, id).await,
        }
    }

    /// The id, and with a key the signature after Standard Webhooks.
    fn proof(&self, key: Option<&WebhookKey>, id: &MessageId, body: &str) -> Headers {
        let Some(key) = key else { return vec![(SignedHeaders::ID, Zeroizing::new(id.to_string()))] };
        let signed = sign_webhook([key], id, self.clock.now(), body.as_bytes());
        signed.pairs().map(|(name, value)| (name, Zeroizing::new(value.to_owned()))).into()
    }

    async fn post(&self, is_trusted: bool, url: &str, mut headers: Headers, body: &str) -> Told {
        let outbound = if is_trusted { &self.trusted } else { &self.guarded };
        let url: Url = match outbound.parse_url(url) {
            Ok(url) => url,
            Err(refusal) => return unsent(refusal.into()),
        };
        headers.push(("content-type", Zeroizing::new("application/json".to_owned())));
        let post = Post { url, headers, body: body.as_bytes().to_vec(), timeout: self.timeout };
        let (attempt, answer) = outbound.ask(post).await;
        Told { attempt, said: first_line(&String::from_utf8_lossy(&answer)) }
    }

    /// A refusal that comes as a 200 is told as what it is.
    async fn teams(&self, is_trusted: bool, url: &str, json: &Value) -> Told {
        let mut told = self.post(is_trusted, url, Vec::new(), &json.to_string()).await;
        if let (true, Some(status)) = (told.attempt.is_success(), teams::hidden_refusal(&told.said)) {
            told.attempt.result = Ok(status);
        }
        told
    }

    async fn mail(&self, channel: &str, mail: &Mail, message: &Message, id: &MessageId) -> Told {
        let began = Instant::now();
        let text = cut(&message.text, mail::MAX_CHARS);
        let letter = Letter { subject: &message.subject, text, id, at: self.clock.now() };
        let taken = mail::send(mail, letter, self.timeout).await;
        let duration = began.elapsed();
        let (result, said) = match taken {
            Ok(taken) => {
                if let Some(first) = taken.refused.first() {
                    let refused = taken.refused.len();
                    tracing::warn!(channel, refused, said = first, "the mail server refused recipients");
                }
                let refused: Vec<_> = taken.refused.iter().map(|text| format!("; refused: {text}")).collect();
                // The reply to a message that was taken (RFC 5321, section 4.3.2).
                (Ok(250), format!("{}{}", taken.said, refused.concat()))
            }
            Err(trouble) => (Err(trouble), String::new()),
        };
        Told { attempt: Attempt { result, duration, retry_after: None }, said }
    }
}

fn bearer(token: &str) -> (&'static str, Zeroizing<String>) {
    ("authorization", Zeroizing::new(format!("Bearer {token}")))
}

fn unsent(trouble: Trouble) -> Told {
    let attempt = Attempt { result: Err(trouble), duration: Duration::ZERO, retry_after: None };
    Told { attempt, said: String::new() }
}
