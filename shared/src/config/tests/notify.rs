//! Channels and rules: what is read, what is refused, and that no token is repeated.

use secrecy::ExposeSecret;

use super::super::{MailTls, Notify, Place};
use super::Ground;
use crate::domain::EventName;

const GOOD: &str = "[notify.channels.room]\ntype = 'slack'\nurl = 'https://hooks.slack.com/services/T/B/hunter2'\n\
                    [notify.channels.mail]\ntype = 'email'\nsmtp_host = 'mail.example.com'\n\
                    from = 'Rolecall <rolecall@example.com>'\nto = ['dba@example.com']\n\
                    [notify.rules.failed]\nevents = ['ticket.failed', 'host.*']\nchannels = ['room', 'mail']\n";

fn notify(file: &str) -> Notify {
    Ground::new().load(file).unwrap().notify
}

#[test]
fn nothing_stated_is_nobody_told() {
    let notify = notify("");
    assert!(notify.channels.is_empty() && notify.rules.is_empty());
}

#[test]
fn channels_and_rules_are_read() {
    let notify = notify(GOOD);
    let [mail, room] = notify.channels.as_slice() else { panic!("{notify:?}") };
    assert_eq!((mail.name.as_str(), room.name.as_str()), ("mail", "room"));
    assert!(!room.is_trusted);
    let Place::Slack { url } = &room.place else { panic!("{room:?}") };
    assert!(url.expose_secret().ends_with("hunter2"));
    let Place::Email(mail) = &mail.place else { panic!("{mail:?}") };
    assert_eq!((mail.port, mail.tls, mail.login.is_none()), (587, MailTls::StartTls, true));
    let rule = &notify.rules[0];
    assert_eq!(rule.channels, ["mail", "room"]);
    assert_eq!(rule.events.first(), Some(&EventName::TicketFailed));
    assert!(rule.events.len() == 5 && rule.envs.is_empty() && rule.template.is_none());
    assert!(!format!("{notify:?}").contains("hunter2"));
}

#[test]
fn every_type_is_read_with_its_secrets_from_files_too() {
    let ground = Ground::new();
    let token = ground.file("token", b"a-token\n");
    let key = ground.file("key", b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n");
    let file = format!(
        "[notify.channels.a]\ntype = 'webex'\ntoken_file = '{token}'\nroom = 'R'\n\
         [notify.channels.b]\ntype = 'teams'\nurl = 'http://127.0.0.1:9/x'\ntrusted = true\n\
         [notify.channels.c]\ntype = 'webhook'\nurl = 'https://x.example/?token=1'\nsigning_secret_file = '{key}'\n\
         [notify.channels.d]\ntype = 'email'\nsmtp_host = '::1'\nsmtp_tls = 'none'\nfrom = 'a@b'\nto = 'c@d, e@f'\n\
         [notify.channels.e]\ntype = 'email'\nsmtp_host = 'm'\nsmtp_tls = 'implicit'\nsmtp_user = 'u'\n\
         smtp_password_file = '{token}'\nfrom = 'a@b'\nto = ['c@d']\n"
    );
    let faults = ground.faults(&file.replace("'::1'", "'[::2]'"));
    assert_eq!(
        faults,
        ["notify.channels.d.smtp_tls: `none` is for a mail server at a loopback address only"]
    );
    let notify = ground.load(&file.replace("'::1'", "'[::1]'")).unwrap().notify;
    let Place::Webex { api_url, token, room } = &notify.channels[0].place else { panic!() };
    assert_eq!((api_url.as_str(), room.as_str()), ("https://webexapis.com/v1/messages", "R"));
    assert_eq!(token.expose_secret(), "a-token");
    assert!(notify.channels[1].is_trusted);
    let Place::Webhook { signing_secret, token, .. } = &notify.channels[2].place else { panic!() };
    assert!(signing_secret.is_some() && token.is_none());
    let Place::Email(plain) = &notify.channels[3].place else { panic!() };
    assert_eq!((plain.port, plain.tls, plain.to.len()), (25, MailTls::None, 2));
    let Place::Email(implicit) = &notify.channels[4].place else { panic!() };
    assert_eq!((implicit.port, implicit.tls), (465, MailTls::Implicit));
    assert_eq!(implicit.login.as_ref().unwrap().1.expose_secret(), "a-token");
}

/// Each row: what is replaced in a good file, by what, and the beginning of the only fault.
const FAULTS: &[(&str, &str, &str)] = &[
    ("type = 'slack'\n", "", "notify.channels.room.type: is missing; it is one of `slack`, `webex`, `teams`"),
    ("'slack'", "'irc'", "notify.channels.room.type: must be one of `slack`"),
    ("url = 'https://hooks.slack.com/services/T/B/hunter2'", "", "notify.channels.room.url: is missing: set"),
    ("https://hooks", "http://hooks", "notify.channels.room.url: must be an https:// URL"),
    ("https://hooks", "https://u:p@hooks", "notify.channels.room.url: must be an https:// URL"),
    ("'slack'", "'slack'\nurl_file = '/x'", "notify.channels.room.url: is stated, and so is"),
    ("'slack'", "'slack'\nroom = 'x'", "notify.channels.room.room: is no key of a channel of type slack"),
    (
        "'slack'",
        "'slack'\ntoken = 'hunter2'",
        "notify.channels.room.token: is no key of a channel of type slack",
    ),
    (
        "'slack'",
        "'webhook'\nsigning_secret = 'hunter2'",
        "notify.channels.room.signing_secret: a webhook's key begins with whsec_",
    ),
    ("'slack'", "'slack'\nchanel = 'x'", "notify.channels.room.chanel: there is no such key"),
    ("smtp_host = 'mail.example.com'\n", "", "notify.channels.mail.smtp_host: is missing"),
    ("'mail.example.com'", "'mail.example.com:25'", "notify.channels.mail.smtp_host: is no host name"),
    ("'mail.example.com'", "'a b'", "notify.channels.mail.smtp_host: is no host name"),
    (
        "'email'",
        "'email'\nsmtp_tls = 'none'",
        "notify.channels.mail.smtp_tls: `none` is for a mail server at",
    ),
    ("'email'", "'email'\nsmtp_user = 'u'", "notify.channels.mail.smtp_password: is missing while"),
    ("'email'", "'email'\nsmtp_password = 'hunter2'", "notify.channels.mail.smtp_user: is missing while"),
    (
        "'email'",
        "'email'\nsmtp_ca_file = '/not/there'",
        "notify.channels.mail.smtp_ca_file: /not/there cannot be",
    ),
    (
        "'email'",
        "'email'\nsmtp_ca_file = '/dev/null'",
        "notify.channels.mail.smtp_ca_file: /dev/null holds no cert",
    ),
    ("'email'", "'email'\nsmtp_port = 0", "notify.channels.mail.smtp_port: must be a whole number"),
    ("from = 'Rolecall <rolecall@example.com>'\n", "", "notify.channels.mail.from: is missing"),
    ("rolecall@example.com>", "rolecall>", "notify.channels.mail.from: must have the form name@example.com"),
    ("['dba@example.com']", "[]", "notify.channels.mail.to: must name 1 to 50 recipients"),
    (
        "['dba@example.com']",
        "[\"a@b\\r\\nBcc: c@d\"]",
        "notify.channels.mail.to: `a@b\\r\\nBcc: c@d` must have the form name@example.com",
    ),
    ("events = ['ticket.failed', 'host.*']\n", "", "notify.rules.failed.events: is missing"),
    ("['ticket.failed', 'host.*']", "[]", "notify.rules.failed.events: must name at least one event"),
    (
        "'host.*'",
        "'login.failed'",
        "notify.rules.failed.events: `login.failed` is no event that somebody can",
    ),
    ("channels = ['room', 'mail']", "", "notify.rules.failed.channels: is missing"),
    ("['room', 'mail']", "[]", "notify.rules.failed.channels: must name 1 to 10 channels"),
    (
        "['room', 'mail']",
        "['rom']",
        "notify.rules.failed.channels: `rom` is no channel; known are mail, room",
    ),
    ("events", "envs = ['Prod env']\nevents", "notify.rules.failed.envs: `Prod env` "),
    ("events", "kinds = ['DBA']\nevents", "notify.rules.failed.kinds: `DBA` a kind is named with"),
    ("events", "template = ''\nevents", "notify.rules.failed.template: is empty"),
    (
        "events",
        "template = '{role} {passwort}'\nevents",
        "notify.rules.failed.template: `{passwort}` is no placeholder; known are {event} {time}",
    ),
    (
        "events",
        "subject = '{role'\nevents",
        "notify.rules.failed.subject: has a brace without its other half",
    ),
];

#[test]
fn every_fault_is_told_by_its_key_and_repeats_no_secret() {
    for (text, by, fault) in FAULTS {
        assert!(GOOD.contains(text), "{text}");
        let faults = Ground::new().faults(&GOOD.replacen(text, by, 1));
        assert!(faults.len() == 1 && faults[0].starts_with(fault), "{by}: {faults:?}");
        assert!(!faults[0].contains("hunter2"), "{faults:?}");
    }
}

#[test]
fn a_log_in_needs_tls_and_names_are_names() {
    let plain = "'[::1]'\nsmtp_tls = 'none'\nsmtp_user = 'u'\nsmtp_password = 'p'";
    let faults = Ground::new().faults(&GOOD.replace("'mail.example.com'", plain));
    assert_eq!(faults, ["notify.channels.mail.smtp_user: cannot be sent without TLS; change smtp_tls"]);
    let faults = Ground::new().faults(&GOOD.replace("rules.failed", "rules.Failed"));
    assert_eq!(faults, ["notify.rules.Failed: is named with a-z, then a-z 0-9 -, at most 32 in all"]);
    let faults = Ground::new().faults("[notify.rules.a]\nevents = ['*']\nchannels = ['x']");
    assert!(faults[0].contains("there is none, add [notify.channels.NAME]"), "{faults:?}");
}

#[test]
fn the_limits_are_met() {
    let channel = |n| format!("[notify.channels.c{n}]\ntype = 'slack'\nurl = 'https://x/'\n");
    let channels = |count: usize| (0..count).map(channel).collect::<Vec<_>>().concat();
    assert_eq!(notify(&channels(100)).channels.len(), 100);
    let faults = Ground::new().faults(&channels(101));
    assert_eq!(faults, ["notify.channels: has 101 names; at most 100 are taken"]);
    let rule = |count: usize| {
        let names: Vec<_> = (0..count).map(|n| format!("'c{n}'")).collect();
        format!("{}[notify.rules.r]\nevents = ['*']\nchannels = [{}]", channels(11), names.join(","))
    };
    assert_eq!(notify(&rule(10)).rules[0].channels.len(), 10);
    assert_eq!(Ground::new().faults(&rule(11)), ["notify.rules.r.channels: must name 1 to 10 channels"]);
    let mail = |count: usize| {
        let to: Vec<_> = (0..count).map(|n| format!("'u{n}@example.com'")).collect();
        GOOD.replace("['dba@example.com']", &format!("[{}]", to.join(",")))
    };
    assert!(Ground::new().load(&mail(50)).is_ok());
    assert_eq!(Ground::new().faults(&mail(51)), ["notify.channels.mail.to: must name 1 to 50 recipients"]);
}

#[test]
fn passwords_of_targets_are_not_read_where_our_own_secrets_are() {
    let ground = Ground::new();
    let url = ground.file("slack", b"https://hooks.slack.com/services/T/B/x");
    let folder = ground.dir.path().display().to_string();
    let ground = ground.with(&[("ROLECALL__SEAL__KEY_FILE", "/dev/null")]);
    let file = format!(
        "[target]\npassword_folders = ['{folder}']\n[notify.channels.room]\ntype = 'slack'\nurl_file = '{url}'"
    );
    let faults = ground.faults(&file);
    assert!(faults.len() == 1 && faults[0].contains("holds notify.channels.room.url_file"), "{faults:?}");
}
