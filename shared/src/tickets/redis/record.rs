//! Tickets and hosts as Redis holds them, read into types. What cannot be read is a fault of ours, never a panic.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use redis::{ScriptInvocation, Value, from_redis_value};
use serde::de::DeserializeOwned;

use crate::domain::{
    Code, Failure, Job, TicketId,
    ticket::{State, Ticket},
};
use crate::tickets::{ClosingAs, HostState};

/// The fields of one hash.
pub(super) type Fields = HashMap<String, String>;

/// A stored value that is not what we write.
#[derive(Debug, thiserror::Error)]
#[error("the ticket store holds an unreadable `{0}`")]
struct Unreadable(&'static str, #[source] Option<serde_json::Error>);

fn unreadable(what: &'static str) -> Failure {
    Failure::internal(Unreadable(what, None))
}

fn json<T: DeserializeOwned>(fields: &Fields, name: &'static str) -> Result<Option<T>, Failure> {
    let parse = |text: &String| {
        serde_json::from_str(text).map_err(|error| Failure::internal(Unreadable(name, Some(error))))
    };
    fields.get(name).map(parse).transpose()
}

fn parsed<T: FromStr>(fields: &Fields, name: &'static str) -> Result<Option<T>, Failure> {
    fields.get(name).map(|text| text.parse().map_err(|_| unreadable(name))).transpose()
}

/// A moment written in ms by a script.
fn moment(fields: &Fields, name: &'static str) -> Result<Option<Timestamp>, Failure> {
    let moment = parsed::<i64>(fields, name)?.map(Timestamp::from_millisecond).transpose();
    moment.map_err(|_| unreadable(name))
}

/// Reads a ticket; its fields are described in `prelude.lua`.
pub(super) fn ticket(mut fields: Fields) -> Result<Ticket, Failure> {
    Ok(Ticket {
        job: json(&fields, "job")?.ok_or_else(|| unreadable("job"))?,
        state: fields.get("state").and_then(|text| State::parse(text)).ok_or_else(|| unreadable("state"))?,
        revision: parsed(&fields, "rev")?.ok_or_else(|| unreadable("rev"))?,
        attempts: parsed(&fields, "attempts")?.unwrap_or(0),
        ending: json(&fields, "ending")?,
        finished_at: parsed(&fields, "finished_at")?,
        dead_lettered: fields.remove("dead_lettered"),
    })
}

/// Reads a ticket and as what it is being closed.
pub(super) fn closing_ticket(fields: Fields) -> Result<(Ticket, ClosingAs), Failure> {
    let closing = fields.get("closing").and_then(|text| State::parse(text));
    let closing = [ClosingAs::Cancelled, ClosingAs::Expired]
        .into_iter()
        .find(|closing_as| Some(closing_as.state()) == closing)
        .ok_or_else(|| unreadable("closing"))?;
    Ok((ticket(fields)?, closing))
}

/// Reads a host; no fields at all are a host that is well.
pub(super) fn host_state(mut fields: Fields) -> Result<HostState, Failure> {
    let code = fields.get("code").map(|text| Code::ALL.iter().copied().find(|code| code.as_str() == text));
    Ok(HostState {
        failures: parsed(&fields, "failures")?.unwrap_or(0),
        // A code of a newer version of ours must not hide that the host is blocked.
        code: code.map(|code| code.unwrap_or(Code::Internal)),
        blocked_until: moment(&fields, "blocked_until")?,
        since: moment(&fields, "since")?,
        cause: fields.remove("cause"),
    })
}

/// A script's answer: a word, and what belongs to it.
pub(super) struct Answer {
    pub(super) word: String,
    rest: Option<Value>,
}

impl Answer {
    pub(super) fn read(mut values: Vec<Value>) -> Result<Self, Failure> {
        let rest = (values.len() > 1).then(|| values.pop()).flatten();
        let word = values.pop().ok_or_else(|| unreadable("answer"))?;
        Ok(Self { word: from_redis_value(word).map_err(Failure::internal)?, rest })
    }

    pub(super) fn rest<T: redis::FromRedisValue>(self) -> Result<T, Failure> {
        from_redis_value(self.rest.unwrap_or(Value::Nil)).map_err(Failure::internal)
    }

    /// The word is none that the script says.
    pub(super) fn unexpected(&self) -> Failure {
        Failure::internal(format!("a script of the ticket store answered `{}`", self.word))
    }
}

/// The four arguments from which scripts write a ticket: id, job, fingerprint, deadline (ms).
pub(super) fn job_args(call: &mut ScriptInvocation<'_>, job: &Job) -> Result<(), Failure> {
    let json = serde_json::to_string(job).map_err(Failure::internal)?;
    call.arg(id(job.ticket)).arg(json).arg(&job.fingerprint).arg(job.deadline_at.as_millisecond());
    Ok(())
}

pub(super) fn id(ticket: TicketId) -> String {
    ticket.to_string()
}

/// A duration as Redis takes it.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Fields {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    const JOB: &str = r#"{
        "ticket": "0190b7a0-0000-7000-8000-000000000001", "fingerprint": "f",
        "operation": {"name": "reset_password", "role": "r"}, "target": {"env": "dev", "database": "d"},
        "host": "db:5432", "actor": {"account": "a", "owner": "a", "address": null},
        "submitted_at": "2026-01-01T00:00:00Z", "deadline_at": "2026-01-01T00:15:00Z"
    }"#;

    #[test]
    fn a_whole_ticket_is_read() {
        let read = ticket(fields(&[("job", JOB), ("state", "queued"), ("rev", "2")])).unwrap();
        assert_eq!((read.state, read.revision, read.attempts), (State::Queued, 2, 0));
        assert!(read.ending.is_none() && read.finished_at.is_none() && read.dead_lettered.is_none());
    }

    #[test]
    fn what_cannot_be_read_is_our_fault_and_names_the_field() {
        let whole = [("job", JOB), ("state", "queued"), ("rev", "2")];
        for (name, bad) in [
            ("job", "{}"),
            ("job", ""),
            ("state", "done"),
            ("rev", "-1"),
            ("attempts", "many"),
            ("ending", "null!"),
            ("finished_at", "yesterday"),
        ] {
            let mut fields = fields(&whole);
            fields.insert(name.to_owned(), bad.to_owned());
            let failure = ticket(fields).unwrap_err();
            assert_eq!(failure.code(), Code::Internal);
            assert!(failure.cause_chain().unwrap().contains(name), "{name}: {failure:?}");
        }
        for (name, _) in whole {
            let mut fields = fields(&whole);
            fields.remove(name);
            assert_eq!(ticket(fields).unwrap_err().code(), Code::Internal, "{name}");
        }
        let open = fields(&[("job", JOB), ("state", "closing"), ("rev", "2"), ("closing", "failed")]);
        assert_eq!(closing_ticket(open).unwrap_err().code(), Code::Internal);
    }

    #[test]
    fn a_host_without_a_record_is_well_and_an_unknown_code_is_still_a_failure() {
        assert_eq!(host_state(Fields::new()).unwrap(), HostState::default());
        let state = host_state(fields(&[("failures", "1"), ("code", "of_tomorrow")])).unwrap();
        assert_eq!((state.failures, state.code), (1, Some(Code::Internal)));
        assert!(host_state(fields(&[("blocked_until", "soon")])).is_err());
    }
}
