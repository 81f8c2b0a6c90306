//! Webhooks: who is told of what happened.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::words::words;
use super::{Env, EventName, Failure, Need, Permission, Rights};

/// What a test event is called; it is in no audit.
pub const PING: &str = "webhook.ping";
/// The most bytes of a URL.
pub const MAX_URL_BYTES: usize = 2_048;
/// The most bytes of a description.
pub const MAX_DESCRIPTION_BYTES: usize = 256;

/// Where the end of one job is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Callback {
    /// Whose keys sign it, and where its attempts are listed.
    pub endpoint: Uuid,
    /// Where to, if not to the endpoint's own URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

words! {
    /// Whether a webhook is told anything.
    EndpointState, InvalidEndpointState = "must be active, paused or disabled" {
        /// It is.
        Active = "active",
        /// What is to be told waits until it is resumed.
        Paused = "paused",
        /// Nothing is told, and nothing waits.
        Disabled = "disabled",
    }
}

words! {
    /// What became of an event for one webhook.
    DeliveryState, InvalidDeliveryState = "must be pending, delivered or failed" {
        /// It is, or will be, tried.
        Pending = "pending",
        /// The receiver has it.
        Delivered = "delivered",
        /// The receiver did not take it, and it is not tried any more.
        Failed = "failed",
    }
}

words! {
    /// Whose events a webhook hears of.
    EndpointScope, InvalidEndpointScope = "must be own or all" {
        /// Its owner's tickets.
        Own = "own",
        /// Everybody's tickets, and hosts.
        All = "all",
    }
}

/// Which events a webhook hears of. What is empty lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// What happened.
    pub events: Vec<EventName>,
    /// On targets of these environments; of a host, on which one of them is.
    pub envs: Vec<Env>,
}

impl Filter {
    /// Whether whoever has these rights may hear of everybody's events that pass.
    ///
    /// # Errors
    /// What would be needed.
    pub fn may_hear_all(&self, rights: &Rights) -> Result<(), String> {
        let needs: Vec<Need<'_>> = if self.envs.is_empty() {
            vec![Need::everywhere(Permission::Read)]
        } else {
            self.envs.iter().map(|env| Need::within(Permission::Read, Some(env), None)).collect()
        };
        match needs.iter().find(|need| !rights.allow(need)) {
            Some(need) => Err(need.to_string()),
            None => Ok(()),
        }
    }

    /// Reads the names of events.
    pub fn parse_events(names: &[String]) -> Result<Vec<EventName>, Failure> {
        let known = || EventName::TOLD.iter().map(|event| event.as_str()).collect::<Vec<_>>().join(", ");
        let parse = |name: &String| {
            EventName::told(name).ok_or_else(|| Failure::field("events", format!("may hold {}", known())))
        };
        names.iter().map(parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Grants;

    #[test]
    fn words_read_back() {
        for state in EndpointState::ALL {
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
        for state in DeliveryState::ALL {
            assert_eq!(state.to_string().parse(), Ok(*state));
        }
        for scope in EndpointScope::ALL {
            assert_eq!(scope.as_str().parse(), Ok(*scope));
        }
        assert_eq!("Active".parse::<EndpointState>(), Err(InvalidEndpointState));
    }

    #[test]
    fn everybodys_events_are_for_those_who_may_read_them() {
        let rights =
            |access: &str| Rights::listed(Grants { access: vec![access.parse().unwrap()], deny: Vec::new() });
        let dev = Filter { envs: vec![Env::parse("dev").unwrap()], ..Filter::default() };
        assert_eq!(dev.may_hear_all(&rights("read:dev/*:*")), Ok(()));
        assert_eq!(dev.may_hear_all(&rights("read:dev/app:*")), Err("read:dev/*:*".to_owned()));
        assert_eq!(Filter::default().may_hear_all(&rights("read:dev/*:*")), Err("read:*/*:*".to_owned()));
        assert_eq!(Filter::default().may_hear_all(&Rights::all()), Ok(()));
    }
}
