//! The form of a message: versioned JSON that carries the whole job, so that a lost ticket can be rebuilt from it.

use serde::{Deserialize, Serialize};

use crate::domain::Job;

/// The version this binary writes, and the only one it reads.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Outgoing<'a> {
    version: u32,
    job: &'a Job,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Deserialize)]
struct Incoming {
    job: Job,
}

/// A message this binary cannot read: it belongs on the dead queue, from where it can be replayed by a binary that
/// can. The text names the reason without repeating the body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// Not JSON, or without a version.
    #[error("not a message of ours: {0}")]
    Foreign(String),
    /// Written by another release.
    #[error("message version {0} is not known to this release")]
    UnknownVersion(u32),
    /// Our version, but a job this release does not know (an operation, a field).
    #[error("the job is not known to this release: {0}")]
    UnknownJob(String),
}

/// Writes a job down.
pub fn encode(job: &Job) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Outgoing { version: VERSION, job })
}

/// Reads a job back.
pub fn decode(body: &[u8]) -> Result<Job, Undecodable> {
    let versioned: Versioned =
        serde_json::from_slice(body).map_err(|e| Undecodable::Foreign(describe(&e)))?;
    if versioned.version != VERSION {
        return Err(Undecodable::UnknownVersion(versioned.version));
    }
    let incoming: Incoming =
        serde_json::from_slice(body).map_err(|e| Undecodable::UnknownJob(describe(&e)))?;
    Ok(incoming.job)
}

/// Category and place only: the full text of a `serde_json` error may quote the body.
fn describe(error: &serde_json::Error) -> String {
    format!("{:?} error at line {} column {}", error.classify(), error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Actor, DatabaseName, Env, Operation, Rights, RoleName, TargetKey, TicketId};
    use jiff::Timestamp;

    fn job() -> Job {
        Job {
            ticket: TicketId::derived("a", "b"),
            operation: Operation::ResetPassword { role: RoleName::from_stored("o'brien \"x\"").unwrap() },
            target: TargetKey {
                env: Env::parse("dev").unwrap(),
                database: DatabaseName::parse("myapp_dev").unwrap(),
            },
            host: "db.example.com:5432".parse().unwrap(),
            actor: Actor {
                account: "ci".into(),
                owner: "ci".into(),
                address: Some("10.0.0.1".into()),
                via: None,
            },
            fingerprint: "f".into(),
            submitted_at: Timestamp::from_second(1_700_000_000).unwrap(),
            deadline_at: Timestamp::from_second(1_700_000_900).unwrap(),
            metadata: [("pipeline".to_owned(), "4711".to_owned())].into(),
            rights: Rights::all(),
            callback: None,
            replay_of: None,
        }
    }

    #[test]
    fn a_job_reads_back_as_written() {
        assert_eq!(decode(&encode(&job()).unwrap()), Ok(job()));
    }

    #[test]
    fn what_cannot_be_read_says_why_and_repeats_nothing() {
        let text = String::from_utf8(encode(&job()).unwrap()).unwrap();
        assert!(matches!(decode(b"hunter2"), Err(Undecodable::Foreign(why)) if !why.contains("hunter2")));
        assert_eq!(
            decode(text.replace("\"version\":1", "\"version\":2").as_bytes()),
            Err(Undecodable::UnknownVersion(2))
        );
        let unknown = decode(text.replace("reset_password", "hunter2").as_bytes());
        assert!(matches!(unknown, Err(Undecodable::UnknownJob(why)) if !why.contains("hunter2")));
    }
}
