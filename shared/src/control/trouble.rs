//! Hosts that cannot be worked on: the beginning and the end of each outage stand in the audit once, whichever workers meet
//! it.

use jiff::Timestamp;
use serde_json::json;

use super::{Control, audit, hosts, registry};
use crate::domain::{Actor, Code, Event, EventName, Failure, HostKey};

impl Control {
    /// A host cannot be worked on, for the reason of this code. Recorded if nobody has said so since it last could.
    pub async fn host_unreachable(
        &self,
        host: &HostKey,
        code: Code,
        (actor, at): (&Actor, Timestamp),
    ) -> Result<bool, Failure> {
        let sql = "UPDATE hosts SET unreachable_since = $3 \
                   WHERE hostname = $1 AND port = $2 AND unreachable_since IS NULL";
        let event = Event {
            outcome: Some(code.as_str().to_owned()),
            ..Event::new(EventName::HostUnreachable, at, actor.clone())
        };
        self.tell_trouble(host, sql, event).await
    }

    /// A host has been worked on. Recorded if it could not be before.
    pub async fn host_recovered(
        &self,
        host: &HostKey,
        (actor, at): (&Actor, Timestamp),
    ) -> Result<bool, Failure> {
        let sql = "UPDATE hosts SET unreachable_since = NULL \
                   WHERE hostname = $1 AND port = $2 AND unreachable_since <= $3";
        self.tell_trouble(host, sql, Event::new(EventName::HostRecovered, at, actor.clone())).await
    }

    async fn tell_trouble(&self, host: &HostKey, sql: &str, event: Event) -> Result<bool, Failure> {
        let told = async |client: &mut deadpool_postgres::Client| {
            let transaction = client.transaction().await?;
            let (hostname, port) = registry::parts(host);
            if transaction.execute(sql, &[&hostname, &port, &event.at]).await? == 0 {
                return Ok(false);
            }
            let found = hosts::find(&transaction, host).await?;
            let targets: Vec<_> =
                found.iter().flat_map(|host| &host.targets).map(ToString::to_string).collect();
            let event = Event { host: Some(host.clone()), detail: json!({ "targets": targets }), ..event };
            audit::insert(&transaction, &event).await?;
            transaction.commit().await?;
            Ok(true)
        };
        Ok(self.recorded(told).await?)
    }
}
