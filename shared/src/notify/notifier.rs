//! From a stored event and a rule to a message in a channel.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::channel::{self, Senders};
use super::escape::Tongue;
use super::mail::MAX_SUBJECT_CHARS;
use super::texts::{default_subject, default_text};
use super::told::cut;
use super::{Notice, Told};
use crate::config::{Notify, NotifyChannel, NotifyRule};
use crate::domain::webhook::PING;
use crate::domain::{Clock, Template, TemplateFault};
use crate::outbound::{Attempt, Outbound, Trouble};
use crate::seal::MessageId;

/// One channel of one rule: what a delivery is for. Written `RULE/CHANNEL`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleKey {
    /// The rule's name.
    pub rule: String,
    /// The channel's name.
    pub channel: String,
}

impl fmt::Display for RuleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.rule, self.channel)
    }
}

/// Not of the form `RULE/CHANNEL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have the form RULE/CHANNEL")]
pub struct InvalidRuleKey;

impl FromStr for RuleKey {
    type Err = InvalidRuleKey;

    fn from_str(text: &str) -> Result<Self, InvalidRuleKey> {
        let (rule, channel) = text.split_once('/').ok_or(InvalidRuleKey)?;
        Ok(Self { rule: rule.to_owned(), channel: channel.to_owned() })
    }
}

/// A text, and the subject it has where it is a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub subject: String,
    pub text: String,
}

/// Sends what rules say.
pub struct Notifier {
    channels: BTreeMap<String, NotifyChannel>,
    rules: BTreeMap<String, NotifyRule>,
    senders: Senders,
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notifier").field("rules", &self.rules.keys()).finish_non_exhaustive()
    }
}

impl Notifier {
    /// `guarded` is for channels that are not trusted, `trusted` for those that are. An attempt takes at most `timeout`.
    pub fn new(
        notify: &Notify,
        guarded: Outbound,
        trusted: Outbound,
        clock: Arc<dyn Clock>,
        timeout: Duration,
    ) -> Self {
        Self {
            channels: notify.channels.iter().map(|channel| (channel.name.clone(), channel.clone())).collect(),
            rules: notify.rules.iter().map(|rule| (rule.name.clone(), rule.clone())).collect(),
            senders: Senders { guarded, trusted, clock, timeout },
        }
    }

    /// Every channel of every rule.
    pub fn keys(&self) -> impl Iterator<Item = (RuleKey, &NotifyRule)> {
        self.rules.values().flat_map(|rule| {
            let key = |channel: &String| RuleKey { rule: rule.name.clone(), channel: channel.clone() };
            rule.channels.iter().map(move |channel| (key(channel), rule))
        })
    }

    /// Sends a stored event for a channel of a rule, once. `id` is that of the event and the same for every attempt.
    ///
    /// A rule or channel that is not in this process's configuration is an attempt that failed: another process may have
    /// read a newer one.
    pub async fn deliver(&self, key: &str, id: &MessageId, body: &str) -> Attempt {
        let known = key
            .parse::<RuleKey>()
            .ok()
            .and_then(|key| Some((self.rules.get(&key.rule)?, self.channels.get(&key.channel)?)));
        let Some((rule, channel)) = known else { return failed(Trouble::Channel) };
        let Some(notice) = Notice::read(body) else { return failed(Trouble::Request("the stored event")) };
        match message(&notice, Some(rule), channel::tongue(&channel.place)) {
            Ok(message) => self.senders.send(channel, &message, id, body).await.attempt,
            Err(_) => failed(Trouble::Request("the template")),
        }
    }

    /// Sends a test message to a channel, once. None if there is no such channel.
    pub async fn test(&self, channel: &str, id: &MessageId) -> Option<Told> {
        let channel = self.channels.get(channel)?;
        let notice = Notice::ping(self.senders.clock.now());
        let told = match message(&notice, None, channel::tongue(&channel.place)) {
            Ok(message) => self.senders.send(channel, &message, id, &notice.body()).await,
            Err(_) => Told { attempt: failed(Trouble::Request("the template")), said: String::new() },
        };
        Some(told)
    }
}

fn failed(trouble: Trouble) -> Attempt {
    Attempt { result: Err(trouble), duration: Duration::ZERO, retry_after: None }
}

/// What is said of an event, written for one sort of channel.
pub(super) fn message(
    notice: &Notice,
    rule: Option<&NotifyRule>,
    tongue: Tongue,
) -> Result<Message, TemplateFault> {
    let name = rule.map_or("", |rule| rule.name.as_str());
    // A rule's words are about events that it tells of.
    let rule = rule.filter(|_| notice.event() != PING);
    let chosen = |own: Option<&Template>, default: Result<Template, TemplateFault>| match own {
        Some(template) => Ok(template.clone()),
        None => default,
    };
    let text = chosen(rule.and_then(|rule| rule.template.as_ref()), default_text(notice.event()))?;
    let subject = chosen(rule.and_then(|rule| rule.subject.as_ref()), default_subject(notice.event()))?;
    Ok(Message {
        text: text.render(|placeholder| tongue.escape(&notice.value(placeholder, name)).into_owned().into()),
        subject: cut(&subject.render(|placeholder| notice.value(placeholder, name)), MAX_SUBJECT_CHARS),
    })
}

/// What a rule says of an event in plain words; for those who want to see it before it happens.
pub fn preview(notice: &Notice, rule: &NotifyRule) -> Result<String, TemplateFault> {
    message(notice, Some(rule), Tongue::Plain).map(|message| message.text)
}
