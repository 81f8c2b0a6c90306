//! Channels and rules of notifications: `[notify.channels.NAME]` and `[notify.rules.NAME]`.
//!
//! Owns their keys' meaning and the rules between them (`channels` for one channel, here for rules). Never repeats a
//! value that may hold a token. Tested in `config::tests::notify`.

mod channels;
mod settings;

pub use settings::{Mail, MailTls, Notify, NotifyChannel, NotifyRule, Place};

use std::collections::BTreeSet;

use super::chosen::{must_be_there, names};
use super::keys;
use super::reader::Reader;
use super::shape::{Key, Plain};
use crate::domain::{Env, EventName, KindName, Template, told_events};

/// The most channels, and the most rules: every event is held against each rule.
const MAX_SECTIONS: usize = 100;
/// The most channels of one rule.
const MAX_CHANNELS: usize = 10;

/// Faults are in the reader's list; what has one may be missing here.
pub(super) fn notify(reader: &mut Reader) -> Notify {
    let channel_names = sections(reader, "notify.channels");
    let channels = channel_names.iter().filter_map(|name| channels::channel(reader, name)).collect();
    let rule_names = sections(reader, "notify.rules");
    let rules = rule_names.iter().map(|name| rule(reader, name, &channel_names)).collect();
    Notify { channels, rules }
}

fn sections(reader: &mut Reader, section: &str) -> Vec<String> {
    let names = names(reader, section);
    if names.len() > MAX_SECTIONS {
        reader.fault(section, format_args!("has {} names; at most {MAX_SECTIONS} are taken", names.len()));
    }
    names
}

fn rule(reader: &mut Reader, name: &str, known: &[String]) -> NotifyRule {
    let (envs_key, kinds_key) = (keys::NOTIFY_ENVS.within(name), keys::NOTIFY_KINDS.within(name));
    let (envs, kinds) = (reader.names(&envs_key), reader.names(&kinds_key));
    NotifyRule {
        name: name.to_owned(),
        events: events(reader, name),
        envs: reader.parsed(&envs_key.path, envs, Env::parse),
        kinds: reader.parsed(&kinds_key.path, kinds, KindName::parse),
        channels: channels_of(reader, name, known),
        template: template(reader, &keys::NOTIFY_TEMPLATE.within(name)),
        subject: template(reader, &keys::NOTIFY_SUBJECT.within(name)),
    }
}

fn events(reader: &mut Reader, name: &str) -> Vec<EventName> {
    let key = keys::NOTIFY_EVENTS.within(name);
    must_be_there(reader, &key);
    let words = reader.names(&key);
    if reader.has_section(&key.path) && words.is_empty() {
        reader.fault(&key.path, "must name at least one event");
    }
    let stated = reader.parsed(&key.path, words, told_events).concat();
    EventName::TOLD.iter().copied().filter(|event| stated.contains(event)).collect()
}

fn channels_of(reader: &mut Reader, name: &str, known: &[String]) -> Vec<String> {
    let key = keys::NOTIFY_CHANNELS.within(name);
    must_be_there(reader, &key);
    let stated: BTreeSet<_> = reader.names(&key).into_iter().collect();
    if reader.has_section(&key.path) && !(1..=MAX_CHANNELS).contains(&stated.len()) {
        reader.fault(&key.path, format_args!("must name 1 to {MAX_CHANNELS} channels"));
    }
    let fault = match known {
        [] => "is no channel; there is none, add [notify.channels.NAME]".to_owned(),
        known => format!("is no channel; known are {}", known.join(", ")),
    };
    reader.parsed(&key.path, stated.into_iter().collect(), |text| {
        if known.iter().any(|known| known == text) { Ok(text.to_owned()) } else { Err(&fault) }
    })
}

fn template(reader: &mut Reader, key: &Key<Plain>) -> Option<Template> {
    match Template::parse(&reader.plain(key)?) {
        Ok(template) => Some(template),
        Err(fault) => {
            reader.fault(&key.path, fault);
            None
        }
    }
}
