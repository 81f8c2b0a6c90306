//! The label sets. Every value comes from a closed set in the code, but for `route`, which is the pattern of a
//! mount (`/api/v2/tickets/{id}`) and never the path of a request.

use prometheus_client::encoding::EncodeLabelSet;

/// One of our own servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dependency {
    /// RabbitMQ.
    Broker,
    /// Redis.
    TicketStore,
    /// The control database.
    ControlDatabase,
}

impl Dependency {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Broker, Self::TicketStore, Self::ControlDatabase];

    /// Its name in metrics and on `/readyz`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Broker => "rabbitmq",
            Self::TicketStore => "redis",
            Self::ControlDatabase => "control",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Request {
    pub method: &'static str,
    pub route: String,
    pub status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Route {
    pub route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfOperation {
    pub operation: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Settled {
    pub operation: &'static str,
    pub outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfCode {
    pub code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TurnEnded {
    pub ended: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfDependency {
    pub dependency: &'static str,
}

/// An attempt at telling a receiver, by what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfAttempt {
    pub outcome: &'static str,
}
