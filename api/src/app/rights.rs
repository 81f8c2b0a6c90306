//! Whether a caller may. Every use case asks here, and whoever is told no is in the audit.

use rolecall_shared::control::Host;
use rolecall_shared::domain::ticket::Ticket;
use rolecall_shared::domain::{Code, Failure, Need, Operation, Permission, TargetKey};

use super::App;
use crate::auth::Caller;

impl App {
    /// [`Code::Forbidden`], with what would be needed, unless all of it is allowed.
    pub(crate) fn allow(&self, caller: &Caller, need: &Need<'_>) -> Result<(), Failure> {
        if caller.rights.allow(need) { Ok(()) } else { Err(self.deny(caller, need)) }
    }

    /// [`Code::Forbidden`], with what would be needed, unless some of it is allowed.
    pub(crate) fn allow_some(&self, caller: &Caller, need: &Need<'_>) -> Result<(), Failure> {
        if caller.rights.allow_some(need) { Ok(()) } else { Err(self.deny(caller, need)) }
    }

    /// Whether a job may be submitted. For a role that exists its kind counts, and through which target it was made; both
    /// stand on the target, so the worker decides (the job carries the rights along), and here it is enough that some
    /// role could be meant.
    pub(super) fn may_submit(
        &self,
        caller: &Caller,
        operation: &Operation,
        target: &TargetKey,
    ) -> Result<(), Failure> {
        let need = Need::on(Permission::Submit, target);
        match operation.kind() {
            Some(kind) => self.allow(caller, &need.of_kind(kind)),
            None => self.allow_some(caller, &need),
        }
    }

    /// What is done to a host concerns all its targets.
    pub(crate) fn allow_host(
        &self,
        caller: &Caller,
        permission: Permission,
        host: &Host,
    ) -> Result<(), Failure> {
        match host.targets.iter().find(|target| !caller.rights.allow(&Need::on(permission, target))) {
            Some(target) => Err(self.deny(caller, &Need::on(permission, target))),
            None if host.targets.is_empty() => self.allow(caller, &Need::everywhere(permission)),
            None => Ok(()),
        }
    }

    /// Somebody who may see a ticket wants its password.
    pub(super) fn deny_secret(&self, caller: &Caller, ticket: &Ticket) -> Failure {
        let wanted = format!("the password of {}'s ticket {}", ticket.job.actor.account, ticket.job.ticket);
        self.authenticator.refusals.access_denied(caller, wanted, self.clock.now());
        Failure::new(Code::Forbidden, "A password is for the owner of its ticket and for nobody else.")
    }

    /// Something that no pattern alone allows.
    pub(super) fn refuse(&self, caller: &Caller, what: &str) -> Failure {
        self.authenticator.refusals.access_denied(caller, what.to_owned(), self.clock.now());
        Failure::new(Code::Forbidden, format!("The account may not do this: {what}."))
    }

    fn deny(&self, caller: &Caller, need: &Need<'_>) -> Failure {
        self.authenticator.refusals.access_denied(caller, need.to_string(), self.clock.now());
        Failure::new(Code::Forbidden, format!("The account may not do this; it would need {need}."))
            .with_context(serde_json::json!({ "needs": need.to_string() }))
    }
}
