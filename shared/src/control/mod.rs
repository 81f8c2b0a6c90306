//! The control database: targets and hosts, accounts, the audit, history, who took which password, and
//! what is told to whom.
//!
//! Owns its connections, its migrations (the SQL files in `migrations/`), every statement that is sent to it, and the
//! files of archived months.
//! Never keeps a caller waiting longer than `control.timeout`, never writes a password or what opens one into an
//! audit row or an error, and never changes a row of the audit or of history: the service's role may not
//! (`migrate.rs`).
//!
//! Three rules hold everywhere. A change and its audit row are one transaction. Whoever records something waits until it
//! stands in the ledger (`ledger`). And whatever may be called again after a crash says of itself what was done before, by
//! a unique key in the database.
//!
//! Tested in `tests/tests/control/` against a real server.

mod account_changes;
mod accounts;
mod api_tokens;
mod audit;
mod changes;
mod error;
mod gathering;
mod history;
mod hosts;
mod import;
mod inspect;
mod ledger;
mod migrate;
mod notices;
mod pool;
mod registry;
mod rows;
mod secrets;
mod sessions;
mod switches;
mod targets;
mod tls;
mod trouble;
mod trust;
mod unread;
pub mod webhooks;

pub use account_changes::{AccountChange, AccountEnd, NewAccount};
pub use accounts::Account;
pub use api_tokens::{ApiToken, MAX_TOKENS};
pub use changes::{NewTarget, Put};
pub use history::{
    Archive, Archived, Dropped, Ended, HistoryFilter, HistoryPage, Keeper, MOST_SCANNED, Month, Place, See,
    Settlement,
};
pub use hosts::{Host, Pause};
pub use import::Expecting;
pub use inspect::ControlReport;
pub use ledger::{Due, EventFilter, Export, Recorded, Verdict};
pub use migrate::migrate;
pub use notices::Notices;
pub use secrets::{Take, Taken};
pub use switches::Switch;
pub use trust::TrustedHost;
pub use webhooks::{
    Attempted, CallbackKey, Delivery, DeliveryFilter, Endpoint, Outbox, RuleEndpoint, SealedKeys,
};

use std::sync::Arc;

use self::error::Error;
use crate::config;
use crate::domain::{Failure, HostKey, Target, TargetKey};

/// A handle on the control database as its writer role; clones share one pool.
///
/// Every method ends within `control.timeout`, and one that records something within twice that
/// ([`Control::take_secret`] within a small multiple of it). It fails with
/// `Code::ControlDatabaseUnavailable` when the database is away, and with `Code::Internal` for everything else that
/// its own documentation does not name.
#[derive(Clone, Debug)]
pub struct Control {
    pool: pool::Pool,
    ledger: Arc<ledger::Ledger>,
    targets: Arc<gathering::Gathering<TargetKey, Target>>,
    hosts: Arc<gathering::Gathering<HostKey, Host>>,
    archives: history::Archives,
    callbacks: Arc<gathering::Gathering<(String, CallbackKey), uuid::Uuid>>,
}

impl Control {
    /// Opens no connection yet.
    ///
    /// # Errors
    /// `Code::Internal` when `control.url` is none, or TLS is demanded and the machine trusts no authority.
    pub fn new(settings: &config::Control) -> Result<Self, Failure> {
        let pool = pool::Pool::new(&settings.url, settings.pool, settings.timeout, pool::Guard::Service)?;
        let (targets, hosts) =
            (gathering::Gathering::new(settings.timeout), gathering::Gathering::new(settings.timeout));
        let ledger = Arc::new(ledger::Ledger::new(settings)?);
        let archives = history::Archives::new(settings);
        let callbacks = Arc::new(gathering::Gathering::new(settings.timeout));
        Ok(Self { pool, ledger, targets: Arc::new(targets), hosts: Arc::new(hosts), archives, callbacks })
    }

    /// Whether the database answers and takes changes. One that only reads (a standby, a primary that was demoted)
    /// is as good as away.
    pub async fn ping(&self) -> Result<(), Failure> {
        let question = "SELECT current_setting('transaction_read_only')::bool";
        self.pool
            .run(async |client| {
                let only_reads: bool = client.query_typed_one(question, &[]).await?.try_get(0)?;
                if only_reads { Err(Error::ReadOnly) } else { Ok(()) }
            })
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Actor, HostKey, Job, TargetKey, TicketId};
    use jiff::Timestamp;

    /// Callers await these on a multi-threaded runtime; what is not `Send` fails to compile here and not there.
    #[test]
    fn every_call_can_move_between_threads() {
        fn moves<T: Send>(_: impl Fn(&'static Control) -> T) {}
        fn moves_with<A: 'static, T: Send>(_: impl Fn(&'static Control, &'static A) -> T) {}
        fn moves_too<A: 'static, T: Send>(
            _: impl Fn(&'static Control, &'static A, &'static Actor, Timestamp) -> T,
        ) {
        }
        moves_too(|control, job: &Job, actor, at| control.take_secret(job, actor, at));
        moves_too(|control, target: &NewTarget, actor, at| control.put_target(target, None, actor, at));
        moves_too(|control, key: &TargetKey, actor, at| control.remove_target(key, None, actor, at));
        moves_too(|control, host: &HostKey, actor, at| control.pause_host(host, "", actor, at));
        moves_too(|control, host: &HostKey, actor, at| control.resume_host(host, actor, at));
        moves_too(|control, (): &(), actor, at| control.switch_all_hosts(Switch::Resume, actor, at));
        moves(Control::ping);
        moves(Control::check_migrated);
        moves_with(|control, key: &TargetKey| control.find_target(key));
        moves_with(|control, host: &HostKey| control.find_host(host));
        moves(|control| control.list_targets(None, 1));
        moves(Control::list_hosts);
        moves(|control| control.settle(&[]));
        moves(|control| control.find_history(&[]));
        moves(|control| control.find_made_through(&[]));
        moves(|control| control.find_ended(TicketId::derived("", "")));
        moves_with(|control, filter: &HistoryFilter| {
            control.list_history(filter, None, 1, Arc::new(|_| true))
        });
        moves(|control| control.expire_unread(Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH, 1));
        moves(|control| control.find_account(""));
        moves(|control| control.use_api_token(&[], Timestamp::UNIX_EPOCH));
        moves(|control| control.is_session_revoked(uuid::Uuid::nil()));
        moves(Control::catch_up);
        moves(|control| control.verify_ledger(&[], &[]));
        moves(|control| control.prove_event(1));
        moves(|control| control.bundle_ledger(|_| Ok(())));
        moves_with(|control, key: &crate::audit::SigningKey| {
            control.sign_due(key, Due { every: std::time::Duration::ZERO, rows: 1 })
        });
        moves(|control| control.find_taken(TicketId::derived("", "")));
    }
}
