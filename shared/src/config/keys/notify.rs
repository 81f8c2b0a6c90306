//! `[notify.channels.NAME]` and `[notify.rules.NAME]`: who hears of what, and where.

use super::super::shape::{Choice, Entry, Flag, Key, Names, Number, Plain, Secret, Text};

use std::borrow::Cow;

/// Behind all other sections.
pub(in crate::config) const NOTIFY_SECTIONS: &[(&str, &str)] = &[
    (
        "notify.channels.dba-room",
        "Where notifications can be sent, one section [notify.channels.NAME] each (NAME: a-z, then a-z 0-9 -).\n\
         `rolecall notify test NAME` sends a test message there. Each type needs its own keys:\n\
         slack: url. teams: url. webex: token, room. webhook: url. email: smtp_host, from, to.",
    ),
    (
        "notify.rules.failed-in-prod",
        "Who hears of what, one section [notify.rules.NAME] each. Every rule that matches an event sends one message\n\
         to each of its channels. `rolecall notify explain` says which rules match. Workers read rules when they start.",
    ),
];

keys! {
    NOTIFY_TYPE: Choice = "notify.channels.*.type"
        { default: "slack", of: &["slack", "webex", "teams", "email", "webhook"] }
        "What is there. Has to be stated.";
    NOTIFY_URL: Secret = "notify.channels.*.url"
        { example: "https://hooks.slack.com/services/T000/B000/XXXX", needed_by: "by slack, teams and webhook" }
        "The address of an incoming webhook of Slack, of a workflow or incoming webhook of Teams, or of any receiver.\n\
         Whoever knows it can write there, so it is kept like a password.";
    NOTIFY_TOKEN: Secret = "notify.channels.*.token"
        { example: "", needed_by: "by webex; a webhook gets it as Authorization: Bearer" }
        "The bot's access token.";
    NOTIFY_SIGNING_SECRET: Secret = "notify.channels.*.signing_secret"
        { example: "whsec_…", needed_by: "by a webhook whose receiver verifies signatures" }
        "With it a webhook is signed after Standard Webhooks (v1, HMAC-SHA256): whsec_ and 24 to 64 bytes in base64.";
    NOTIFY_ROOM: Plain = "notify.channels.*.room"
        { example: "Y2lzY29zcGFyazovL3VzL1JPT00vYmJjZWI", needed_by: "by webex" }
        "The room's id (`roomId`).";
    NOTIFY_API_URL: Text = "notify.channels.*.api_url" { default: "https://webexapis.com/v1/messages" }
        "Where Webex takes messages.";
    NOTIFY_TRUSTED: Flag = "notify.channels.*.trusted" { default: false }
        "Whether url and api_url may lead to private addresses and to servers of Rolecall's own, and be http://.\n\
         Redirects are never followed.";
    NOTIFY_SMTP_HOST: Plain = "notify.channels.*.smtp_host" { example: "mail.example.com", needed_by: "by email" }
        "The mail server, by the name that its certificate has.";
    NOTIFY_SMTP_PORT: Number = "notify.channels.*.smtp_port" { default: 587, min: 1, max: 65_535 }
        "Its port. Unless stated 465 with smtp_tls = \"implicit\", and 25 with \"none\".";
    NOTIFY_SMTP_TLS: Choice = "notify.channels.*.smtp_tls"
        { default: "starttls", of: &["starttls", "implicit", "none"] }
        "starttls: a plain connection that must become TLS before anything is said. implicit: TLS from the first\n\
         byte. none: for a mail server at a loopback address only, and without a log-in.";
    NOTIFY_SMTP_USER: Plain = "notify.channels.*.smtp_user"
        { example: "rolecall", needed_by: "with smtp_password, if the server asks for a log-in" }
        "Who logs in there.";
    NOTIFY_SMTP_PASSWORD: Secret = "notify.channels.*.smtp_password"
        { example: "", needed_by: "with smtp_user" }
        "The password.";
    NOTIFY_SMTP_CA_FILE: Plain = "notify.channels.*.smtp_ca_file"
        { example: "/etc/rolecall/mail-ca.pem", needed_by: "for a mail server with a certificate of your own authority" }
        "PEM. Trusted in place of the system's authorities.";
    NOTIFY_FROM: Plain = "notify.channels.*.from"
        { example: "Rolecall <rolecall@example.com>", needed_by: "by email" }
        "The sender.";
    NOTIFY_TO: Names = "notify.channels.*.to" { default: &[], example: &["dba@example.com"] }
        "The recipients of email, at most 50.";

    NOTIFY_EVENTS: Names = "notify.rules.*.events" { default: &[], example: &["ticket.failed", "host.*"] }
        "Which events. A name, the first word of some with `.*` behind it, or `*` for all.";
    NOTIFY_ENVS: Names = "notify.rules.*.envs" { default: &[], example: &["prod"] }
        "If not empty, only events of targets in these environments.";
    NOTIFY_KINDS: Names = "notify.rules.*.kinds" { default: &[], example: &["dba"] }
        "If not empty, only events of roles of these kinds.";
    NOTIFY_CHANNELS: Names = "notify.rules.*.channels" { default: &[], example: &["dba-room"] }
        "Where to: names of channels, at most 10.";
    NOTIFY_TEMPLATE: Plain = "notify.rules.*.template"
        { example: "{operation} of {role} on {env}/{database} failed: {code}", needed_by: "for another text than ours" }
        "The text. Placeholders: {event} {time} {env} {database} {host} {kind} {role} {operation} {outcome} {code}\n\
         {account} {ticket} {ticket_url} {sequence} {rule}; a brace is written {{ or }}. Values are escaped for where the\n\
         text goes, the rest is sent as it is: Slack's mrkdwn, Webex' and Teams' Markdown, plain text in mail.";
    NOTIFY_SUBJECT: Plain = "notify.rules.*.subject"
        { example: "[rolecall] {event} {env}", needed_by: "for another subject than ours" }
        "The same for the subject of mail.";
}
