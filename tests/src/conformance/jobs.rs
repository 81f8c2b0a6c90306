//! Jobs for suites that need some.

use std::time::Duration;

use rolecall_shared::domain::{
    Actor, Clock, DatabaseName, Env, HostKey, Job, Operation, Rights, RoleName, SystemClock, TargetKey,
    TicketId,
};
use uuid::Uuid;

/// A host nobody else has; it need not exist.
///
/// # Panics
/// Never: the name is well formed.
pub fn host() -> HostKey {
    HostKey::new(&format!("h{}", Uuid::new_v4().simple()), 5432).expect("a host")
}

/// A job for a host.
///
/// # Panics
/// Never: the names are well formed.
pub fn job_on(host: &HostKey) -> Job {
    let now = SystemClock.now();
    Job {
        ticket: TicketId::derived("conformance", &Uuid::new_v4().to_string()),
        operation: Operation::ResetPassword { role: RoleName::from_stored("jsmith").expect("a role") },
        target: TargetKey {
            env: Env::parse("dev").expect("an env"),
            database: DatabaseName::parse("myapp_dev").expect("a database"),
        },
        host: host.clone(),
        actor: Actor { account: "ci".to_owned(), owner: "ci".to_owned(), address: None, via: None },
        fingerprint: "f".to_owned(),
        submitted_at: now,
        deadline_at: now + Duration::from_mins(15),
        metadata: [("pipeline".to_owned(), "4711".to_owned())].into(),
        rights: Rights::all(),
        callback: None,
        replay_of: None,
    }
}
