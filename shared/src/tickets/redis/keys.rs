//! The names of everything we keep in Redis, all under one prefix.

use crate::domain::{HostKey, TicketId};

/// The prefix, and the keys under it.
#[derive(Debug, Clone)]
pub(super) struct Keys(String);

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self(prefix.to_owned())
    }

    /// The channel that tells which tickets moved.
    pub(super) fn moved(&self) -> String {
        format!("{}:moved", self.0)
    }

    /// The index of what a deadline can end.
    pub(super) fn deadlines(&self) -> String {
        format!("{}:deadlines", self.0)
    }

    /// The index of what is not over.
    pub(super) fn unfinished(&self) -> String {
        format!("{}:unfinished", self.0)
    }

    /// What the store says of itself: that it holds every ticket.
    pub(super) fn whole(&self) -> String {
        format!("{}:whole", self.0)
    }

    /// How many joined a host's queue, and how many of them were served.
    pub(super) fn line(&self, host: &HostKey) -> String {
        format!("{}:line:{host}", self.0)
    }

    /// What stands before an id in the key of its ticket.
    pub(super) fn ticket_prefix(&self) -> String {
        format!("{}:ticket:", self.0)
    }

    pub(super) fn ticket(&self, ticket: TicketId) -> String {
        format!("{}:ticket:{ticket}", self.0)
    }

    pub(super) fn secret(&self, ticket: TicketId) -> String {
        format!("{}:secret:{ticket}", self.0)
    }

    /// Which ticket stands for a request that is made again and again.
    pub(super) fn joined(&self, name: &str) -> String {
        format!("{}:joined:{name}", self.0)
    }

    pub(super) fn bell(&self, host: &HostKey) -> String {
        format!("{}:bell:{host}", self.0)
    }

    pub(super) fn lease(&self, name: &str) -> String {
        format!("{}:lease:{name}", self.0)
    }

    pub(super) fn host(&self, host: &HostKey) -> String {
        format!("{}:host:{host}", self.0)
    }
}
